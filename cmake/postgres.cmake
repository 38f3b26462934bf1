# SPDX-License-Identifier: MIT
# One PostgreSQL server for a test run: the fixture that the tests which need it require. Where
# there is no PostgreSQL, pg.start is skipped, and what requires it skips itself.
if(NOT OURO_PG)
    return()
endif()
set(ouro_postgres_sh ${PROJECT_SOURCE_DIR}/tests/support/postgres.sh)
set(ouro_postgres ${PROJECT_BINARY_DIR}/postgres)

# ctest runs the script itself, and so is its parent, with which the server ends at the latest.
add_test(NAME pg.start COMMAND sh ${ouro_postgres_sh} start ${ouro_postgres} --tls --owner parent)
add_test(NAME pg.stop COMMAND sh ${ouro_postgres_sh} stop ${ouro_postgres})
foreach(test pg.start pg.stop)
    ouro_guard_test(${test} pg 60)
endforeach()
set_tests_properties(pg.start PROPERTIES FIXTURES_SETUP postgres)
set_tests_properties(pg.stop PROPERTIES FIXTURES_CLEANUP postgres)

# ouro_needs_postgres(TEST): has the server, and knows where it is.
function(ouro_needs_postgres test)
    set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED postgres)
    set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT
        OURO_TEST_PG=${ouro_postgres}/conninfo
        OURO_TEST_PG_TLS=${ouro_postgres}/conninfo.tls)
endfunction()

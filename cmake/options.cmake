# SPDX-License-Identifier: MIT
# How everything here is compiled. Functions rather than global flags, so that a project which
# adds ouro as a subdirectory keeps its own.

set(OURO_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wvla -Wundef
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wwrite-strings
    -Wpointer-arith -Wcast-align -Wformat=2 -Wimplicit-fallthrough)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND OURO_WARNINGS -Wlogical-op -Wduplicated-cond -Walloca)
endif()

# Sanitizers are also a matter of linking: of whatever links to @target as well, if that is a
# static library.
function(ouro_sanitize target)
    if(NOT OURO_SANITIZE)
        return()
    endif()
    list(JOIN OURO_SANITIZE "," sanitizers)
    set(flags -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PUBLIC $<BUILD_INTERFACE:-fsanitize=${sanitizers}>)
endfunction()

# C11 without extensions, all warnings, sanitizers: for every target with sources of ours.
function(ouro_compile target)
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11
        C_STANDARD_REQUIRED ON
        C_EXTENSIONS OFF)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:${OURO_WARNINGS}>)
    if(OURO_WERROR)
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-Werror>)
    endif()
    ouro_sanitize(${target})
endfunction()

# Objects of the library: nothing is exported but what a public header declares (these push default
# visibility themselves), and the library's own calls go straight to its own functions.
function(ouro_compile_objects target)
    ouro_compile(${target})
    set_target_properties(${target} PROPERTIES C_VISIBILITY_PRESET hidden)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE=1) # mmap flags, accept4, ... by name
    if(BUILD_SHARED_LIBS)
        set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
        target_compile_options(${target} PRIVATE
            $<$<COMPILE_LANGUAGE:C>:-fno-semantic-interposition>)
    endif()
endfunction()

# ouro_adapter(NAME [ROOMS ...] SOURCES ... [SEES NAME...]): the folder of an adapter as an object
# library, which sees core, its inner headers included, and of the other adapters those below it.
# Headers are found by their names alone, from every room.
function(ouro_adapter name)
    cmake_parse_arguments(PARSE_ARGV 1 adapter "" "" "ROOMS;SOURCES;SEES")
    set(target ouro_${name})
    list(TRANSFORM adapter_ROOMS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    add_library(${target} OBJECT ${adapter_SOURCES})
    target_include_directories(${target} PRIVATE
        ${CMAKE_CURRENT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR} ${adapter_ROOMS})
    foreach(below ouro_core ${adapter_SEES})
        target_include_directories(${target} PRIVATE
            $<TARGET_PROPERTY:${below},INCLUDE_DIRECTORIES>)
    endforeach()
    ouro_compile_objects(${target})
endfunction()

# ouro_library_objects(NAME [ROOMS ...] SOURCES ... NEEDS TARGET...): the folder of an adapter that
# is a library of its own. It sees public headers alone, as any program does.
function(ouro_library_objects name)
    cmake_parse_arguments(PARSE_ARGV 1 adapter "" "" "ROOMS;SOURCES;NEEDS")
    set(target ouro_${name}_objects)
    list(TRANSFORM adapter_ROOMS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    add_library(${target} OBJECT ${adapter_SOURCES})
    target_include_directories(${target} PRIVATE
        ${CMAKE_CURRENT_SOURCE_DIR}/include ${adapter_ROOMS} ${ouro_public_roots})
    target_link_libraries(${target} PRIVATE ${adapter_NEEDS})
    ouro_compile_objects(${target})
endfunction()

# What every test has: a label, a limit in seconds, exit status 77 for "skipped, and it said why".
# Criterion runs tests in child processes and takes no notice of what a sanitizer reports when one
# exits, so the report itself is what fails the test.
function(ouro_guard_test test label timeout)
    set_tests_properties(${test} PROPERTIES
        LABELS ${label}
        TIMEOUT ${timeout}
        SKIP_RETURN_CODE 77
        ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1"
        FAIL_REGULAR_EXPRESSION
            "ERROR: (Address|Leak)Sanitizer;WARNING: ThreadSanitizer;runtime error:")
endfunction()

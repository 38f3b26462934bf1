# SPDX-License-Identifier: MIT
# Other parsers of HTTP, if they are there: ouro_http_rivals. llhttp is the library libllhttp-dev,
# or in Debian 12 generated C within node-llhttp; http_parser is the library libhttp-parser-dev.
find_library(LLHTTP_LIBRARY llhttp)
find_path(LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp)
find_path(LLHTTP_HEADERS llhttp.h PATHS /usr/share/include/llhttp)
find_path(HTTP_PARSER_HEADERS http_parser.h)
find_library(HTTP_PARSER_LIBRARY http_parser)
mark_as_advanced(LLHTTP_LIBRARY LLHTTP_SOURCES LLHTTP_HEADERS HTTP_PARSER_HEADERS
    HTTP_PARSER_LIBRARY)

# ouro_http_rival(NAME SOURCE...)
function(ouro_http_rival name)
    set(target ouro_http_rival_${name})
    string(TOUPPER ${name} upper)
    add_library(${target} STATIC EXCLUDE_FROM_ALL support/http_rival.c ${ARGN})
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -w)
    target_include_directories(${target} SYSTEM PRIVATE ${${upper}_HEADERS})
    target_compile_definitions(${target}
        PRIVATE RIVAL_${upper} LLHTTP_STRICT_MODE=1
        INTERFACE HTTP_HAVE_${upper})
    # What it needs of the tests' own is linked by whoever compares.
    target_include_directories(${target}
        PUBLIC support
        PRIVATE $<TARGET_PROPERTY:ouro_http_objects,INCLUDE_DIRECTORIES>)
    ouro_compile(${target})
    if(NOT TARGET ouro_http_rivals)
        add_library(ouro_http_rivals INTERFACE)
    endif()
    target_link_libraries(ouro_http_rivals INTERFACE ${target})
endfunction()

if(LLHTTP_LIBRARY AND LLHTTP_HEADERS)
    ouro_http_rival(llhttp)
    target_link_libraries(ouro_http_rival_llhttp PUBLIC ${LLHTTP_LIBRARY})
elseif(LLHTTP_SOURCES AND LLHTTP_HEADERS)
    ouro_http_rival(llhttp
        ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/api.c ${LLHTTP_SOURCES}/http.c)
endif()
if(HTTP_PARSER_HEADERS AND HTTP_PARSER_LIBRARY)
    ouro_http_rival(http_parser)
    target_link_libraries(ouro_http_rival_http_parser PUBLIC ${HTTP_PARSER_LIBRARY})
endif()

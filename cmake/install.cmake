# SPDX-License-Identifier: MIT
# What is installed: headers, libraries, ouro-doctor, and what find_package() and pkg-config read.
# The shared and the static libraries are two builds that may be installed into one prefix: each
# brings targets files of its own, and ouro-config.cmake picks those of one kind.
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ouro)
if(BUILD_SHARED_LIBS)
    set(kind shared)
else()
    set(kind static)
endif()

# install_library(TARGET EXPORT): a library, its headers, and ouro-EXPORTKIND-targets.cmake
function(install_library target export)
    install(TARGETS ${target}
        EXPORT ouro-${export}${kind}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(EXPORT ouro-${export}${kind}
        FILE ouro-${export}${kind}-targets.cmake
        NAMESPACE ouro::
        DESTINATION ${config_dir})
endfunction()

install_library(ouro "")
if(OURO_PG)
    install_library(ouro_pg pg-)
endif()
if(OURO_HTTP)
    install_library(ouro_http http-)
endif()
install(TARGETS ouro-doctor RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES docs/ouro-doctor.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

configure_package_config_file(cmake/ouro-config.cmake.in ouro-config.cmake
    INSTALL_DESTINATION ${config_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(ouro-config-version.cmake
    COMPATIBILITY SameMinorVersion) # until 1.0 a minor version may break
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/ouro-config.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/ouro-config-version.cmake
    DESTINATION ${config_dir})

# *.pc find their prefix from where they lie, so that an install tree can be moved.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
    set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
else()
    file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" up ${up})
    set(pc_prefix "\${pcfiledir}/${up}")
    set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else()
    set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(pc_files ouro.pc)
if(OURO_PG)
    # Not "Requires.private: libpq": with --static that brings what libpq.a needs too, of which
    # libpq-dev has nothing. Who links our static library takes libpq.so.
    list(JOIN LIBPQ_LDFLAGS " " pc_libpq)
    list(APPEND pc_files ouro_pg.pc)
endif()
if(OURO_HTTP) # likewise: libcurl.a would need Kerberos, LDAP and a dozen more
    list(JOIN LIBCURL_LDFLAGS " " pc_libcurl)
    list(JOIN JANSSON_LDFLAGS " " pc_jansson)
    list(APPEND pc_files ouro_http.pc)
endif()
foreach(file IN LISTS pc_files)
    configure_file(cmake/${file}.in ${file} @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${file}
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# SPDX-License-Identifier: MIT
# What is installed: headers, library, ouro-doctor, and what find_package() and pkg-config read.
# The shared and the static library are two builds that may be installed into one prefix: each
# brings a targets file of its own, and ouro-config.cmake picks one.
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ouro)
if(BUILD_SHARED_LIBS)
    set(kind shared)
else()
    set(kind static)
endif()

install(TARGETS ouro
    EXPORT ouro-${kind}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ouro-doctor RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

install(EXPORT ouro-${kind}
    FILE ouro-${kind}-targets.cmake
    NAMESPACE ouro::
    DESTINATION ${config_dir})
configure_package_config_file(cmake/ouro-config.cmake.in ouro-config.cmake
    INSTALL_DESTINATION ${config_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(ouro-config-version.cmake
    COMPATIBILITY SameMinorVersion) # until 1.0 a minor version may break
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/ouro-config.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/ouro-config-version.cmake
    DESTINATION ${config_dir})

# ouro.pc finds its prefix from where it lies, so that an install tree can be moved.
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
configure_file(cmake/ouro.pc.in ouro.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ouro.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

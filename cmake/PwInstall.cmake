# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `cmake --install` puts where: libraries, headers, CMake package, pkg-config files, licences and
# documents. Programs of tools/ are installed where they are defined (pw_add_program ... INSTALL).

include(CMakePackageConfigHelpers)

get_target_property(product_type pywatt_orchestrator TYPE)
if(product_type STREQUAL "INTERFACE_LIBRARY")
    message(STATUS "No library has a source yet: nothing to install")
    return()
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/pywatt")

set_target_properties(pywatt_orchestrator PROPERTIES EXPORT_NAME orchestrator)
set_target_properties(pywatt_tls PROPERTIES EXPORT_NAME tls)
# These find the libpywatt that was installed beside them.
set_target_properties(pywatt_orchestrator pywatt_tls PROPERTIES INSTALL_RPATH "$ORIGIN")

install(TARGETS pywatt pywatt_orchestrator pywatt_tls
    EXPORT pywattTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/pywatt"
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
install(EXPORT pywattTargets NAMESPACE pywatt:: DESTINATION ${package_dir})

configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/pywattConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/pywattConfig.cmake"
    INSTALL_DESTINATION ${package_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/pywattConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/pywattConfig.cmake"
    "${PROJECT_BINARY_DIR}/pywattConfigVersion.cmake"
    DESTINATION ${package_dir})

# pkg-config. Paths are relative to the .pc file, so that an installed tree can be moved. What a
# shared library needs it finds by itself; an archive passes it on to those who link with --static.
set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH pc_to_prefix
    "${CMAKE_INSTALL_PREFIX}/${pc_dir}" "${CMAKE_INSTALL_PREFIX}")
if(BUILD_SHARED_LIBS)
    set(pc_requires_private "")
    set(pc_orchestrator_requires_private "")
    set(pc_tls_requires_private "")
    set(pc_libs_private "")
else()
    set(pc_requires_private "libcjson libprotobuf-c uuid")
    set(pc_orchestrator_requires_private "libcrypto sqlite3")
    set(pc_tls_requires_private "libssl libcrypto")
    set(pc_libs_private "-pthread")
endif()
foreach(library IN ITEMS libpywatt libpywatt-orchestrator libpywatt-tls)
    configure_file(
        "${PROJECT_SOURCE_DIR}/cmake/${library}.pc.in" "${PROJECT_BINARY_DIR}/${library}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/${library}.pc" DESTINATION ${pc_dir})
endforeach()

install(FILES
    "${PROJECT_SOURCE_DIR}/LICENSE"
    "${PROJECT_SOURCE_DIR}/LICENSE-MIT"
    "${PROJECT_SOURCE_DIR}/LICENSE-APACHE"
    "${PROJECT_SOURCE_DIR}/CHANGELOG.md"
    "${PROJECT_SOURCE_DIR}/examples/orchestrator.ini"
    "${PROJECT_SOURCE_DIR}/SECURITY.md"
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES "${PROJECT_SOURCE_DIR}/README.md" DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
if(EXISTS "${PROJECT_SOURCE_DIR}/docs")
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/" DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILES_MATCHING PATTERN "*.md" PATTERN "man" EXCLUDE)
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/docs/man")
    foreach(section IN ITEMS 1 3 5 7 8)
        file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/*.${section}")
        install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
    endforeach()
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/proto/" DESTINATION ${CMAKE_INSTALL_DATADIR}/pywatt/proto
    FILES_MATCHING PATTERN "*.proto")

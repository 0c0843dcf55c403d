# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the build needs from the system. A missing package ends the configure with one line that
# names the Debian package to install.

find_package(PkgConfig)
if(NOT PkgConfig_FOUND)
    message(FATAL_ERROR "pkg-config is missing: apt-get install pkgconf")
endif()
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

function(pw_require variable module package)
    pkg_check_modules(${variable} QUIET IMPORTED_TARGET ${module})
    if(NOT ${variable}_FOUND)
        message(FATAL_ERROR "${module} is missing: apt-get install ${package}")
    endif()
    if(TARGET PkgConfig::${variable})
        set_target_properties(PkgConfig::${variable} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
    set(${variable}_VERSION "${${variable}_VERSION}" PARENT_SCOPE)
endfunction()

# The names of the imported targets are used again by the installed package, in pywattConfig.cmake.
pw_require(PYWATT_CJSON "libcjson>=1.7.15" libcjson-dev)
pw_require(PYWATT_PROTOBUF_C "libprotobuf-c>=1.4.0" libprotobuf-c-dev)
pw_require(PYWATT_UUID uuid uuid-dev)
pw_require(PYWATT_CRYPTO "libcrypto>=3.0" libssl-dev)
pw_require(PYWATT_SSL "libssl>=3.0" libssl-dev)
pw_require(PYWATT_SQLITE "sqlite3>=3.37" libsqlite3-dev)
pw_require(PYWATT_INIH "inih>=53" libinih-dev)
if(PYWATT_BUILD_TESTS)
    pw_require(PYWATT_CMOCKA "cmocka>=1.1.5" libcmocka-dev)
endif()

find_program(PYWATT_PROTOC_C protoc-c)
if(NOT PYWATT_PROTOC_C)
    message(FATAL_ERROR "protoc-c is missing: apt-get install protobuf-c-compiler")
endif()

# The distribution's version number does not say whether a fix was brought back to it, so ask the
# library itself; see the probe. A cross build cannot, and has to trust its packages.
if(NOT CMAKE_CROSSCOMPILING AND NOT DEFINED PYWATT_CJSON_STAYS_IN_BOUNDS)
    try_run(probe_result probe_compiled
        SOURCES "${CMAKE_CURRENT_LIST_DIR}/probes/cjson_bounds.c"
        COMPILE_DEFINITIONS -D_GNU_SOURCE
        LINK_LIBRARIES PkgConfig::PYWATT_CJSON)
    if(NOT probe_compiled OR NOT probe_result STREQUAL "0")
        message(FATAL_ERROR "cJSON ${PYWATT_CJSON_VERSION} reads past its input (CVE-2023-53154): "
            "apt-get update && apt-get install libcjson-dev (1.7.15-1+deb12u4 or newer)")
    endif()
    set(PYWATT_CJSON_STAYS_IN_BOUNDS ON CACHE INTERNAL "cJSON passed cmake/probes/cjson_bounds.c")
endif()

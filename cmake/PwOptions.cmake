# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The options of the build, the language level, the warnings, the sanitizers and the hardening.
# Everything that is compiled here links pw_flags; nothing of it reaches a consumer.

include(GNUInstallDirs)
include(CheckCCompilerFlag)

option(BUILD_SHARED_LIBS "Build shared libraries (OFF: static archives)" ON)
option(PYWATT_BUILD_TESTS "Build the tests (needs cmocka)" ${PROJECT_IS_TOP_LEVEL})
option(PYWATT_WERROR "Turn warnings into errors" OFF)
option(PYWATT_HARDEN "Build with _FORTIFY_SOURCE, stack protector, relro and bind-now" OFF)
option(PYWATT_COVERAGE "Instrument for gcov" OFF)
option(PYWATT_FUZZ "Instrument for libFuzzer, and build the fuzzers (needs clang)" OFF)
set(PYWATT_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them: 'address,undefined' or 'thread'")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(pw_flags INTERFACE)
target_compile_definitions(pw_flags INTERFACE _GNU_SOURCE)

# Both gcc 12 and clang 14 know all of these; -Wvla and friends catch what the stack cannot bound.
target_compile_options(pw_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
    -Wvla -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wpointer-arith -Wold-style-definition)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(pw_flags INTERFACE -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
endif()
if(PYWATT_WERROR)
    target_compile_options(pw_flags INTERFACE -Werror)
endif()

if(PYWATT_SANITIZE)
    target_compile_options(pw_flags INTERFACE
        -fsanitize=${PYWATT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(pw_flags INTERFACE -fsanitize=${PYWATT_SANITIZE})
    # clang leaves the sanitizer's own symbols undefined in shared libraries, on purpose.
    set(PYWATT_NO_UNDEFINED OFF)
else()
    set(PYWATT_NO_UNDEFINED ON)
endif()

# See src/base/tool_hints.h.
include(CheckIncludeFile)
check_include_file(valgrind/helgrind.h PYWATT_HAVE_HELGRIND_H)
if(PYWATT_HAVE_HELGRIND_H AND NOT PYWATT_SANITIZE)
    target_compile_definitions(pw_flags INTERFACE $<$<CONFIG:Debug>:PW_TOOL_HINTS>)
endif()

if(PYWATT_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "PYWATT_FUZZ needs clang, which has libFuzzer")
    endif()
    target_compile_options(pw_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(PYWATT_COVERAGE)
    target_compile_options(pw_flags INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(pw_flags INTERFACE --coverage)
endif()

if(PYWATT_HARDEN)
    target_compile_options(pw_flags INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection)
    target_link_options(pw_flags INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()

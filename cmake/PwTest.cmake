# SPDX-License-Identifier: MIT OR Apache-2.0
#
# pw_add_test(<name> [SOURCES <file>...] [THREADED] [ALONE] [MALLOC_FAIL] [PUBLIC]
#             [LABELS <label>...] [LIBS <target>...] [TIMEOUT <seconds>])
#
# Builds <name>.c of the current folder, or the SOURCES, with cmocka and tests/support into the
# program test_<folder>_<name>, and registers it as the test <folder>.<name>.
#   THREADED     the test starts threads: it gets the label "threaded" and runs under Helgrind too.
#   ALONE        it asserts on times: nothing else runs beside it.
#   MALLOC_FAIL  allocations go through tests/support/malloc_fail.c, which can make any of them fail.
#   PUBLIC       link the installed libraries and see include/ only, instead of pywatt_internal.
#   TIMEOUT      seconds on the plain build, 60 if not said; slow tools get a multiple of it.
# Labels with a meaning: "no-valgrind" (not run under Valgrind; say why beside it).

set(PW_TEST_RUNNER "${PROJECT_SOURCE_DIR}/tests/support/run-test")

# pw_register_test(<name> <timeout> <labels> <command>...): what every test has in common.
function(pw_register_test name timeout labels)
    add_test(NAME ${name} COMMAND "${PW_TEST_RUNNER}" ${ARGN} COMMAND_EXPAND_LISTS)
    # The runner ends a test that hangs, with a limit that knows the tool; ctest's is the last resort.
    math(EXPR backstop "${timeout} * 40 + 60")
    set(environment "PYWATT_TEST_NAME=${name}" "PYWATT_TEST_TIMEOUT_S=${timeout}")
    if(PYWATT_SANITIZE)
        list(APPEND environment "PYWATT_TEST_SANITIZER=${PYWATT_SANITIZE}")
    endif()
    set_tests_properties(${name} PROPERTIES
        ENVIRONMENT "${environment}"
        LABELS "${labels}"
        TIMEOUT ${backstop})
endfunction()

function(pw_add_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg
        "ALONE;THREADED;MALLOC_FAIL;PUBLIC" "TIMEOUT" "SOURCES;LABELS;LIBS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "pw_add_test(${name}): what is ${arg_UNPARSED_ARGUMENTS}?")
    endif()
    if(NOT arg_SOURCES)
        set(arg_SOURCES ${name}.c)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
    set(target test_${folder}_${name})

    add_executable(${target} ${arg_SOURCES})
    target_compile_definitions(${target} PRIVATE PW_TESTS_DIR="${PROJECT_SOURCE_DIR}/tests")
    target_link_libraries(${target} PRIVATE pw_test_support ${arg_LIBS})
    if(arg_PUBLIC)
        target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include")
        target_link_libraries(${target} PRIVATE pywatt_orchestrator pywatt)
    else()
        target_link_libraries(${target} PRIVATE pywatt_internal)
    endif()
    if(arg_MALLOC_FAIL)
        target_link_libraries(${target} PRIVATE pw_test_malloc_fail)
    endif()
    target_link_libraries(${target} PRIVATE pw_flags)

    set(labels ${folder} unit ${arg_LABELS})
    if(arg_THREADED)
        list(APPEND labels threaded)
    endif()
    pw_register_test(${folder}.${name} ${arg_TIMEOUT} "${labels}" $<TARGET_FILE:${target}>)
    if(arg_ALONE)
        set_tests_properties(${folder}.${name} PROPERTIES RUN_SERIAL TRUE)
    endif()
endfunction()

# SPDX-License-Identifier: MIT OR Apache-2.0
#
# pw_add_program(<name> SOURCES <file>... [LIBS <target>...] [INSTALL]): a program of tools/,
# examples/ or bench/. It links the public libraries (LIBS pywatt and/or pywatt_orchestrator) and
# sees include/ alone. INSTALL puts it into the bin folder, where it finds the libraries by a
# path relative to itself.

function(pw_add_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "INSTALL" "" "SOURCES;LIBS")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
        message(FATAL_ERROR "pw_add_program(${name}): SOURCES are needed, and nothing unknown")
    endif()
    add_executable(${name})
    target_sources(${name} PRIVATE ${arg_SOURCES})
    target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/include")
    target_compile_definitions(${name} PRIVATE PYWATT_PROGRAM_VERSION="${PROJECT_VERSION}")
    target_link_libraries(${name} PRIVATE ${arg_LIBS} Threads::Threads pw_flags)
    if(arg_INSTALL)
        file(RELATIVE_PATH libraries
            "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
        set_target_properties(${name} PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries}")
        install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endfunction()

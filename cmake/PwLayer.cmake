# SPDX-License-Identifier: MIT OR Apache-2.0
#
# pw_add_layer(<layer> [DEPENDS <layer>...] [LIBS <imported target>...] [HIDDEN] SOURCES <file>...)
#
# Makes the object library pw_<layer> of the folder src/<layer>. DEPENDS names the layers to its
# left; LIBS what it needs from the system. A layer without a source is an interface library.
#
# Visibility: a symbol that is compiled hidden cannot be exported by a version script afterwards, and
# libpywatt-orchestrator and libpywatt-tls use internal (pw_*) names of the lower layers. So in a shared build those
# layers are compiled with default visibility, and the version script alone decides what leaves the
# library; -fno-semantic-interposition gives the compiler back what default visibility costs it.
# Layers marked HIDDEN, and every layer of a static build, are compiled with -fvisibility=hidden.

function(pw_add_layer layer)
    cmake_parse_arguments(PARSE_ARGV 1 arg "HIDDEN" "" "DEPENDS;LIBS;SOURCES")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "pw_add_layer(${layer}): what is ${arg_UNPARSED_ARGUMENTS}?")
    endif()
    set(target pw_${layer})
    if(arg_SOURCES)
        set(scope PUBLIC)
        add_library(${target} OBJECT)
        target_sources(${target} PRIVATE ${arg_SOURCES})
        target_link_libraries(${target} PRIVATE pw_flags)
        if(arg_HIDDEN OR NOT BUILD_SHARED_LIBS)
            target_compile_options(${target} PRIVATE -fvisibility=hidden)
        else()
            target_compile_options(${target} PRIVATE -fno-semantic-interposition)
        endif()
    else()
        set(scope INTERFACE)
        add_library(${target} INTERFACE)
    endif()
    target_include_directories(${target} ${scope}
        "${PROJECT_SOURCE_DIR}/include"
        "${PROJECT_SOURCE_DIR}/src"
        "${PROJECT_BINARY_DIR}/generated")
    list(TRANSFORM arg_DEPENDS PREPEND pw_)
    target_link_libraries(${target} ${scope} ${arg_DEPENDS} ${arg_LIBS} Threads::Threads)
endfunction()

# pw_layer_objects(<variable> <layer>...): the object files of these layers.
function(pw_layer_objects variable)
    set(objects "")
    foreach(layer IN LISTS ARGN)
        get_target_property(type pw_${layer} TYPE)
        if(type STREQUAL "OBJECT_LIBRARY")
            list(APPEND objects "$<TARGET_OBJECTS:pw_${layer}>")
        endif()
    endforeach()
    set(${variable} "${objects}" PARENT_SCOPE)
endfunction()

# pw_add_product(<target> OUTPUT <name> MAP <file> LAYERS <layer>... [LIBS <library>...]
#                [PUBLIC <target>]): a library that is installed.
function(pw_add_product target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUTPUT;MAP" "LAYERS;LIBS;PUBLIC")
    pw_layer_objects(objects ${arg_LAYERS})
    if(NOT objects)
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE ${arg_PUBLIC})
        return()
    endif()
    add_library(${target} ${objects})
    set_target_properties(${target} PROPERTIES
        LINKER_LANGUAGE C
        OUTPUT_NAME ${arg_OUTPUT}
        VERSION ${PROJECT_VERSION}
        SOVERSION 0)
    target_include_directories(${target} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${target}
        PUBLIC ${arg_PUBLIC}
        PRIVATE ${arg_LIBS} Threads::Threads $<BUILD_INTERFACE:pw_flags>)
    if(BUILD_SHARED_LIBS)
        set(map "${PROJECT_SOURCE_DIR}/cmake/${arg_MAP}")
        set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${map}")
        target_link_options(${target} PRIVATE "LINKER:--version-script=${map}")
        if(PYWATT_NO_UNDEFINED)
            target_link_options(${target} PRIVATE "LINKER:--no-undefined")
        endif()
    endif()
endfunction()

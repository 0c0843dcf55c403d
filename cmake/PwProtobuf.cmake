# SPDX-License-Identifier: MIT OR Apache-2.0
#
# pw_protobuf_c(<variable> <file under proto/>): sets <variable> to the C source that protoc-c makes
# of it in the build folder. Its header is included as "<path of the proto>.pb-c.h". Generated code
# is compiled without our warnings. Call it in the folder whose target compiles the source.

function(pw_protobuf_c variable proto)
    set(input "${PROJECT_SOURCE_DIR}/proto/${proto}")
    set(root "${PROJECT_BINARY_DIR}/generated")
    string(REGEX REPLACE "\\.proto$" "" stem "${root}/${proto}")
    file(MAKE_DIRECTORY "${root}")
    add_custom_command(
        OUTPUT "${stem}.pb-c.c" "${stem}.pb-c.h"
        COMMAND "${PYWATT_PROTOC_C}" "--c_out=${root}" "--proto_path=${PROJECT_SOURCE_DIR}/proto"
                "${input}"
        DEPENDS "${input}"
        COMMENT "protoc-c ${proto}"
        VERBATIM)
    set_source_files_properties("${stem}.pb-c.c" PROPERTIES COMPILE_OPTIONS "-w")
    set(${variable} "${stem}.pb-c.c" "${stem}.pb-c.h" PARENT_SCOPE)
endfunction()

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_part.c - info and capabilities alone, as JSON text. No state; any thread.
 */
#include "codec/json_part.h"

#include "codec/json_build.h"
#include "codec/json_read.h"

/* A guess of the length, which saves growing. */
#define EXPECTED_BYTES 256

/*
 * Not those of a message: what came in as protobuf may be longer in JSON, where control characters
 * take six bytes. What it may be like was checked when it came in.
 */
static const struct pw_codec_limits part_limits = {
    .max_bytes = UINT32_MAX,
    .max_depth = 64,
    .max_elements = UINT16_MAX,
    .max_string = UINT32_MAX,
};

enum pywatt_status pw_json_write_info(const struct pywatt_module_info *info, struct pw_buffer *out,
                                      struct pywatt_error *error)
{
    struct pw_json_out json;
    pw_json_out_begin(&json, out, PW_JSON_RUST, EXPECTED_BYTES);
    pw_json_put_info(&json, info);
    return pw_json_out_end(&json, error);
}

enum pywatt_status pw_json_write_capabilities(const struct pywatt_capabilities *capabilities,
                                              struct pw_buffer *out, struct pywatt_error *error)
{
    struct pw_json_out json;
    pw_json_out_begin(&json, out, PW_JSON_RUST, EXPECTED_BYTES);
    pw_json_put_capabilities(&json, capabilities);
    return pw_json_out_end(&json, error);
}

enum pywatt_status pw_json_parse_info(struct pw_str text, struct pw_arena *arena,
                                      struct pywatt_module_info **out, struct pywatt_error *error)
{
    struct pw_json_doc doc;
    struct pw_json_token tape[PW_JSON_STACK_TAPE];
    const struct pw_span bytes = {(const uint8_t *)text.data, text.len};
    const enum pywatt_status status = pw_json_open(&doc, bytes, &part_limits, arena, tape, error);
    return status == PYWATT_OK ? pw_json_read_info(&doc, NULL, "info", 0, out) : status;
}

enum pywatt_status pw_json_parse_capabilities(struct pw_str text, struct pw_arena *arena,
                                              struct pywatt_capabilities **out,
                                              struct pywatt_error *error)
{
    struct pw_json_doc doc;
    struct pw_json_token tape[PW_JSON_STACK_TAPE];
    const struct pw_span bytes = {(const uint8_t *)text.data, text.len};
    const enum pywatt_status status = pw_json_open(&doc, bytes, &part_limits, arena, tape, error);
    return status == PYWATT_OK ? pw_json_read_capabilities(&doc, NULL, "capabilities", 0, out)
                               : status;
}

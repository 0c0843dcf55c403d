/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_capabilities.c - capabilities out of a JSON text of the application's: read by the same scanner
 * and readers as those that come in requests, so that what is spelled in a file arrives as it is
 * spelled. No state; any thread.
 */
#include "base/error.h"
#include "codec/json_read.h"

#include <pywatt/model.h>

enum pywatt_status pywatt_capabilities_parse(const char *json_text, size_t len,
                                             struct pywatt_capabilities **out,
                                             struct pywatt_error *error)
{
    if (json_text == NULL || out == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s must not be NULL",
                            json_text == NULL ? "json_text" : "out");
    }
    const struct pw_codec_limits *const limits = &pw_codec_default_limits;
    if (len > limits->max_bytes) {
        return pw_error_set(error, PYWATT_LIMIT,
                            "the capabilities are %zu bytes of JSON, at most %zu are allowed", len,
                            limits->max_bytes);
    }
    struct pw_arena arena;
    struct pw_json_doc doc;
    struct pw_json_token tape[PW_JSON_STACK_TAPE];
    pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
    const struct pw_span text = {(const uint8_t *)json_text, len};
    enum pywatt_status status = pw_json_open(&doc, text, limits, &arena, tape, error);
    if (status == PYWATT_OK) {
        status = pw_json_read_written_capabilities(&doc, out);
    }
    pw_arena_destroy(&arena);
    return status;
}

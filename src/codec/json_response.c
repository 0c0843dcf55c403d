/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_response.c - reads a reply, bare or in the envelope. No state; any thread. Replies to beats
 * take no memory, unless a text is escaped.
 */
#include "base/error.h"
#include "base/uuid.h"
#include "codec/json_codec.h"
#include "codec/json_read.h"

enum field {
    CONTENT,
    RESPONSE_TYPE,
    REQUEST_ID,
    SUCCESS,
    ERROR,
    ERROR_CODE,
    RETRY_AFTER_MS,
    STATUS,
    CONTEXT,
    MODULE,
    FIELDS
};

static const struct pw_str keys[FIELDS] = {
    [CONTENT] = PW_JSON_KEY("content"),
    [RESPONSE_TYPE] = PW_JSON_KEY("response_type"),
    [REQUEST_ID] = PW_JSON_KEY("request_id"),
    [SUCCESS] = PW_JSON_KEY("success"),
    [ERROR] = PW_JSON_KEY("error"),
    [ERROR_CODE] = PW_JSON_KEY("error_code"),
    [RETRY_AFTER_MS] = PW_JSON_KEY("retry_after_ms"),
    [STATUS] = PW_JSON_KEY("status"),
    [CONTEXT] = PW_JSON_KEY("context"),
    [MODULE] = PW_JSON_KEY("module"),
};

static const struct pw_json_place in_content = {.name = "content"};

static enum pywatt_status read_operation(const struct pw_json_doc *doc,
                                         const struct pw_json_place *in,
                                         const uint32_t fields[FIELDS], struct pw_response *message)
{
    struct pw_str text;
    enum pywatt_status status =
        pw_json_text(doc, in, "response_type", fields[RESPONSE_TYPE], &text);
    if (status == PYWATT_OK && !pw_json_find_operation(text, &message->operation)) {
        status = pw_json_wrong(doc, in, "response_type", PYWATT_SERIALIZATION,
                               "is none that is known here");
    }
    return status;
}

static enum pywatt_status read_request_id(const struct pw_json_doc *doc,
                                          const struct pw_json_place *in,
                                          const uint32_t fields[FIELDS],
                                          struct pw_response *message)
{
    struct pw_str text;
    if (fields[REQUEST_ID] == PW_JSON_ABSENT) {
        return PYWATT_OK;
    }
    const enum pywatt_status status =
        pw_json_text(doc, in, "request_id", fields[REQUEST_ID], &text);
    if (status == PYWATT_OK) {
        message->has_request_id = pw_uuid_parse_str(text, &message->request_id);
    }
    return status;
}

/* What went wrong: by the code, or by the words of peers that send none. */
static enum pywatt_status read_failure(const struct pw_json_doc *doc,
                                       const struct pw_json_place *in,
                                       const uint32_t fields[FIELDS], struct pw_response *message)
{
    struct pw_str code;
    enum pywatt_status status = PYWATT_OK;
    if (fields[ERROR] != PW_JSON_ABSENT) {
        status = pw_json_text(doc, in, "error", fields[ERROR], &message->error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    if (fields[RETRY_AFTER_MS] != PW_JSON_ABSENT) {
        uint64_t retry_after_ms = 0;
        status = pw_json_whole(doc, in, "retry_after_ms", fields[RETRY_AFTER_MS], UINT32_MAX, true,
                               &retry_after_ms);
        if (status != PYWATT_OK) {
            return status;
        }
        message->retry_after_ms = (uint32_t)retry_after_ms;
    }
    if (fields[ERROR_CODE] == PW_JSON_ABSENT) {
        message->status = pw_status_from_error_text(message->error);
        return PYWATT_OK;
    }
    status = pw_json_text(doc, in, "error_code", fields[ERROR_CODE], &code);
    if (status == PYWATT_OK) {
        message->status = pw_status_from_wire_code(code.data, code.len);
    }
    return status;
}

static enum pywatt_status read_heartbeat(const struct pw_json_doc *doc,
                                         const struct pw_json_place *in,
                                         const uint32_t fields[FIELDS], struct pw_response *message)
{
    /* Peers with no more to say than that it failed may leave the status out. */
    if (message->success || fields[STATUS] != PW_JSON_ABSENT) {
        const enum pywatt_status status =
            pw_json_health(doc, in, "status", fields[STATUS], &message->health);
        if (status != PYWATT_OK) {
            return status;
        }
    }
    if (fields[CONTEXT] == PW_JSON_ABSENT) {
        return PYWATT_OK;
    }
    struct pywatt_string_map *context = pw_response_context(message);
    if (context == NULL) {
        return pw_error_no_memory(doc->error);
    }
    const enum pywatt_status status =
        pw_json_read_entries(doc, in, "context", fields[CONTEXT], &pw_json_string_map, context);
    message->context = pywatt_string_map_count(context) > 0 ? context : NULL;
    return status;
}

static enum pywatt_status read_fields(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                      const uint32_t fields[FIELDS], struct pw_response *message)
{
    enum pywatt_status status = pw_json_once(doc, in, keys, FIELDS, fields);
    if (status == PYWATT_OK) {
        status = read_operation(doc, in, fields, message);
    }
    if (status == PYWATT_OK) {
        status = read_request_id(doc, in, fields, message);
    }
    if (status == PYWATT_OK) {
        status = pw_json_bool(doc, in, "success", fields[SUCCESS], &message->success);
    }
    if (status == PYWATT_OK && !message->success) {
        status = read_failure(doc, in, fields, message);
    }
    if (status == PYWATT_OK && message->operation == PW_OP_HEARTBEAT) {
        status = read_heartbeat(doc, in, fields, message);
    }
    if (status == PYWATT_OK && message->operation == PW_OP_REGISTER && message->success) {
        status =
            pw_json_read_registration(doc, in, "module", fields[MODULE], &message->registration);
    }
    return status;
}

enum pywatt_status pw_json_decode_response(struct pw_span payload,
                                           const struct pw_codec_limits *limits,
                                           struct pw_arena *arena, struct pw_response *message,
                                           struct pywatt_error *error)
{
    struct pw_json_token tape[PW_JSON_STACK_TAPE];
    struct pw_json_doc doc;
    uint32_t fields[FIELDS];
    enum pywatt_status status = pw_json_open(&doc, payload, limits, arena, tape, error);
    if (status != PYWATT_OK) {
        return status;
    }
    pw_json_find(&doc, 0, keys, FIELDS, fields);
    const uint32_t content = fields[CONTENT];
    if (fields[RESPONSE_TYPE] != PW_JSON_ABSENT || !pw_json_is(&doc, content, PW_JSON_OBJECT)) {
        return read_fields(&doc, NULL, fields, message);
    }
    status = pw_json_once(&doc, NULL, keys, FIELDS, fields);
    if (status != PYWATT_OK) {
        return status;
    }
    pw_json_find(&doc, content, keys, FIELDS, fields);
    return read_fields(&doc, &in_content, fields, message);
}

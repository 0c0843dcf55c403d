/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_request.c - reads a request: the envelope, what is asked for, and the fields of it. No state;
 * any thread. Beats and unregister requests take no memory at all, unless a text is escaped.
 */
#include "base/error.h"
#include "base/uuid.h"
#include "codec/json_codec.h"
#include "codec/json_read.h"

enum envelope_field {
    ENVELOPE_ID,
    ENVELOPE_CONTENT,
    ENVELOPE_METADATA,
    ENVELOPE_FIELDS
};

static const struct pw_str envelope_keys[ENVELOPE_FIELDS] = {
    [ENVELOPE_ID] = PW_JSON_KEY("id"),
    [ENVELOPE_CONTENT] = PW_JSON_KEY("content"),
    [ENVELOPE_METADATA] = PW_JSON_KEY("metadata"),
};

enum field {
    REQUEST_TYPE,
    MODULE_ID,
    TOKEN,
    STATUS,
    DETAILS,
    GENERATION,
    MODULE_INFO,
    CAPABILITIES,
    CAN_WAIT,
    FIELDS
};

static const struct pw_str keys[FIELDS] = {
    [REQUEST_TYPE] = PW_JSON_KEY("request_type"),
    [MODULE_ID] = PW_JSON_KEY("module_id"),
    [TOKEN] = PW_JSON_KEY("token"),
    [STATUS] = PW_JSON_KEY("status"),
    [DETAILS] = PW_JSON_KEY("details"),
    [GENERATION] = PW_JSON_KEY("generation"),
    [MODULE_INFO] = PW_JSON_KEY("module_info"),
    [CAPABILITIES] = PW_JSON_KEY("capabilities"),
    [CAN_WAIT] = PW_JSON_KEY("can_wait"),
};

static const struct pw_json_place in_content = {.name = "content"};
static const struct pw_json_place in_metadata = {.name = "metadata"};

/* The correlation key: metadata.id, else id; one that is no UUID counts as none. */
static enum pywatt_status read_request_id(const struct pw_json_doc *doc,
                                          const uint32_t envelope[ENVELOPE_FIELDS],
                                          struct pw_request *message)
{
    static const struct pw_str id_key[] = {PW_JSON_KEY("id")};
    const struct pw_json_place *in = NULL;
    uint32_t token = PW_JSON_ABSENT;
    struct pw_str text;
    enum pywatt_status status;
    if (envelope[ENVELOPE_METADATA] != PW_JSON_ABSENT) {
        status = pw_json_expect(doc, NULL, "metadata", envelope[ENVELOPE_METADATA], PW_JSON_OBJECT);
        if (status != PYWATT_OK) {
            return status;
        }
        pw_json_find(doc, envelope[ENVELOPE_METADATA], id_key, 1, &token);
        in = &in_metadata;
    }
    if (token == PW_JSON_ABSENT) {
        token = envelope[ENVELOPE_ID];
        in = NULL;
    }
    if (token == PW_JSON_ABSENT) {
        return PYWATT_OK;
    }
    status = pw_json_text(doc, in, "id", token, &text);
    if (status == PYWATT_OK) {
        message->has_request_id = pw_uuid_parse_str(text, &message->request_id);
    }
    return status;
}

static enum pywatt_status read_heartbeat(const struct pw_json_doc *doc,
                                         const uint32_t fields[FIELDS], struct pw_request *message)
{
    enum pywatt_status status =
        pw_json_health(doc, &in_content, "status", fields[STATUS], &message->health);
    if (status == PYWATT_OK && fields[GENERATION] != PW_JSON_ABSENT) {
        status = pw_json_whole(doc, &in_content, "generation", fields[GENERATION], UINT64_MAX, true,
                               &message->generation);
    }
    if (status != PYWATT_OK || fields[DETAILS] == PW_JSON_ABSENT) {
        return status;
    }
    struct pywatt_string_map *details = pw_request_details(message);
    if (details == NULL) {
        return pw_error_no_memory(doc->error);
    }
    status = pw_json_read_entries(doc, &in_content, "details", fields[DETAILS], &pw_json_string_map,
                                  details);
    message->details = pywatt_string_map_count(details) > 0 ? details : NULL;
    return status;
}

static enum pywatt_status read_register(const struct pw_json_doc *doc,
                                        const uint32_t fields[FIELDS], struct pw_request *message)
{
    enum pywatt_status status = PYWATT_OK;
    if (fields[TOKEN] != PW_JSON_ABSENT) {
        status = pw_json_read_bounded(doc, &in_content, "token", fields[TOKEN], PYWATT_TOKEN_MAX,
                                      true, &message->token);
    }
    if (status == PYWATT_OK && fields[CAN_WAIT] != PW_JSON_ABSENT) {
        status = pw_json_bool(doc, &in_content, "can_wait", fields[CAN_WAIT], &message->can_wait);
    }
    if (status == PYWATT_OK) {
        status =
            pw_json_read_info(doc, &in_content, "module_info", fields[MODULE_INFO], &message->info);
    }
    return status;
}

static enum pywatt_status read_module_and_token(const struct pw_json_doc *doc,
                                                const uint32_t fields[FIELDS],
                                                struct pw_request *message)
{
    enum pywatt_status status =
        pw_json_uuid(doc, &in_content, "module_id", fields[MODULE_ID], &message->module_id);
    if (status == PYWATT_OK) {
        status = pw_json_read_bounded(doc, &in_content, "token", fields[TOKEN], PYWATT_TOKEN_MAX,
                                      false, &message->token);
    }
    return status;
}

static enum pywatt_status read_fields(const struct pw_json_doc *doc, const uint32_t fields[FIELDS],
                                      struct pw_request *message)
{
    if (message->operation == PW_OP_REGISTER) {
        return read_register(doc, fields, message);
    }
    const enum pywatt_status status = read_module_and_token(doc, fields, message);
    if (status != PYWATT_OK) {
        return status;
    }
    switch (message->operation) {
    case PW_OP_HEARTBEAT: return read_heartbeat(doc, fields, message);
    case PW_OP_CAPABILITIES:
        return pw_json_read_capabilities(doc, &in_content, "capabilities", fields[CAPABILITIES],
                                         &message->capabilities);
    case PW_OP_UNREGISTER:
    case PW_OP_REGISTER:
    default: return PYWATT_OK;
    }
}

static enum pywatt_status unsupported(const struct pw_json_doc *doc, const char *what)
{
    return pw_error_set(doc->error, PYWATT_UNSUPPORTED, "%s", what);
}

/* What is asked for. PYWATT_UNSUPPORTED, or an error, if the message does not say so. */
static enum pywatt_status read_operation(const struct pw_json_doc *doc, uint32_t request_type,
                                         struct pw_request *message)
{
    struct pw_str type;
    if (request_type == PW_JSON_ABSENT) {
        return unsupported(doc, "content.request_type is missing");
    }
    const enum pywatt_status status =
        pw_json_text(doc, &in_content, "request_type", request_type, &type);
    if (status == PYWATT_OK && !pw_json_find_operation(type, &message->operation)) {
        return unsupported(doc, "content.request_type is none that is known here");
    }
    return status;
}

static enum pywatt_status read_request(const struct pw_json_doc *doc, struct pw_request *message,
                                       bool *recognised)
{
    uint32_t envelope[ENVELOPE_FIELDS];
    uint32_t fields[FIELDS];
    pw_json_find(doc, 0, envelope_keys, ENVELOPE_FIELDS, envelope);
    const uint32_t content = envelope[ENVELOPE_CONTENT];
    if (content != PW_JSON_TWICE && !pw_json_is(doc, content, PW_JSON_OBJECT)) {
        return unsupported(doc, "the message has no content object");
    }
    enum pywatt_status status = pw_json_expect(doc, NULL, "content", content, PW_JSON_OBJECT);
    if (status != PYWATT_OK) {
        return status;
    }
    pw_json_find(doc, content, keys, FIELDS, fields);
    status = read_operation(doc, fields[REQUEST_TYPE], message);
    if (status != PYWATT_OK) {
        return status;
    }
    *recognised = true;
    status = pw_json_once(doc, NULL, envelope_keys, ENVELOPE_FIELDS, envelope);
    if (status == PYWATT_OK) {
        status = read_request_id(doc, envelope, message);
    }
    if (status == PYWATT_OK) {
        status = pw_json_once(doc, &in_content, keys, FIELDS, fields);
    }
    return status == PYWATT_OK ? read_fields(doc, fields, message) : status;
}

enum pywatt_status pw_json_decode_request(struct pw_span payload,
                                          const struct pw_codec_limits *limits,
                                          struct pw_arena *arena, struct pw_request *message,
                                          bool *recognised, struct pywatt_error *error)
{
    struct pw_json_token tape[PW_JSON_STACK_TAPE];
    struct pw_json_doc doc;
    const enum pywatt_status status = pw_json_open(&doc, payload, limits, arena, tape, error);
    return status == PYWATT_OK ? read_request(&doc, message, recognised) : status;
}

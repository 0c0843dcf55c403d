/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf.c - the protobuf codec: scans, then reads beats, unregister requests and plain replies
 * from what the scan found, and writes them by hand, without memory. Registrations and capabilities
 * go on to protobuf_read.c and protobuf_write.c. No state; any thread.
 */
#include "base/error.h"
#include "codec/proto_scan.h"
#include "codec/proto_wire.h"
#include "codec/protobuf_codec.h"
#include "model/registration.h"
#include "model/string_map.h"

#define ID_BYTES sizeof(struct pywatt_uuid)

/* Field numbers, as in registration.proto. */
enum {
    REQUEST_ID = 1
};
enum {
    REQUEST_FIRST_OPERATION = 2,
    REQUEST_LAST_OPERATION = 5
};
enum {
    RESPONSE_STATUS = 2,
    RESPONSE_ERROR = 3
};
enum {
    RESPONSE_FIRST_REPLY = 4,
    RESPONSE_LAST_REPLY = 7
};
enum {
    MODULE_ID = 1,
    TOKEN = 2,
    HEALTH = 3,
    GENERATION = 4,
    DETAILS = 5
};
enum {
    REPLY_HEALTH = 1,
    REPLY_CONTEXT = 2
};
enum {
    PAIR_KEY = 1,
    PAIR_VALUE = 2
};

/* Operations in the order of their numbers, which is the same in requests and replies. */
static const enum pw_operation operations[PW_OPERATION_COUNT] = {
    PW_OP_HEARTBEAT, PW_OP_REGISTER, PW_OP_UNREGISTER, PW_OP_CAPABILITIES};

static unsigned number_of(enum pw_operation operation, unsigned first)
{
    unsigned i = 0;
    while (operations[i] != operation) {
        i++;
    }
    return first + i;
}

/* ---- Reading ------------------------------------------------------------------------------ */

/* The one operation that is there: 0 if there is none, PW_PROTO_NUMBERS if there are several. */
static unsigned find_operation(const struct pw_proto_fields *outer, unsigned first, unsigned last)
{
    unsigned found = 0;
    for (unsigned number = first; number <= last; number++) {
        if (pw_proto_has(outer, number)) {
            found = found == 0 ? number : PW_PROTO_NUMBERS;
        }
    }
    return found;
}

static bool read_id(const struct pw_proto_fields *fields, unsigned number, struct pywatt_uuid *out)
{
    if (!pw_proto_has(fields, number)) {
        return false;
    }
    memcpy(out->bytes, fields->spans[number].data, ID_BYTES);
    return true;
}

static enum pywatt_status read_map(const struct pw_proto_scan *scan, const char *name,
                                   struct pw_span body, unsigned number,
                                   struct pywatt_string_map *map)
{
    struct pw_str key;
    struct pw_str value;
    size_t count = 0;
    while (pw_proto_next_pair(&body, number, &key, &value)) {
        const enum pywatt_status status = pw_string_map_set(map, key, value);
        if (status == PYWATT_NO_MEMORY) {
            return pw_error_no_memory(scan->error);
        }
        if (status != PYWATT_OK) {
            return pw_proto_wrong(scan, name, status, "has too many entries or too long ones");
        }
        if (pywatt_string_map_count(map) != ++count) {
            return pw_proto_wrong(scan, name, PYWATT_SERIALIZATION, "has a key twice");
        }
    }
    return PYWATT_OK;
}

static enum pywatt_status read_module_and_token(const struct pw_proto_scan *scan,
                                                const struct pw_proto_fields *fields,
                                                struct pw_request *message)
{
    if (!read_id(fields, MODULE_ID, &message->module_id)) {
        return pw_proto_wrong(scan, "module_id", PYWATT_SERIALIZATION, "is missing");
    }
    message->token = pw_proto_text(fields, TOKEN);
    if (message->token.len == 0) {
        return pw_proto_wrong(scan, "token", PYWATT_SERIALIZATION, "is missing");
    }
    if (message->token.len > PYWATT_TOKEN_MAX) {
        return pw_proto_wrong(scan, "token", PYWATT_LIMIT, "is too long");
    }
    return PYWATT_OK;
}

static enum pywatt_status read_heartbeat(const struct pw_proto_scan *scan,
                                         const struct pw_proto_fields *fields, struct pw_span body,
                                         struct pw_request *message)
{
    if (!pw_protobuf_to_health(pw_proto_number(fields, HEALTH), &message->health)) {
        return pw_proto_wrong(scan, "health", PYWATT_SERIALIZATION, "is missing");
    }
    message->generation = pw_proto_number(fields, GENERATION);
    if (!pw_proto_has(fields, DETAILS)) {
        return PYWATT_OK;
    }
    struct pywatt_string_map *details = pw_request_details(message);
    return details == NULL ? pw_error_no_memory(scan->error)
                           : read_map(scan, "details", body, DETAILS, details);
}

static enum pywatt_status read_request(const struct pw_proto_scan *scan,
                                       const struct pw_proto_fields *fields, struct pw_span body,
                                       struct pw_arena *arena, struct pw_request *message)
{
    if (message->operation == PW_OP_REGISTER) {
        return pw_protobuf_read_register(body, arena, message, scan->error);
    }
    const enum pywatt_status status = read_module_and_token(scan, fields, message);
    if (status != PYWATT_OK || message->operation == PW_OP_UNREGISTER) {
        return status;
    }
    return message->operation == PW_OP_HEARTBEAT
               ? read_heartbeat(scan, fields, body, message)
               : pw_protobuf_read_capabilities(body, arena, message, scan->error);
}

static enum pywatt_status decode_request(struct pw_span payload,
                                         const struct pw_codec_limits *limits,
                                         struct pw_arena *arena, struct pw_request *message,
                                         bool *recognised, struct pywatt_error *error)
{
    struct pw_proto_scan scan;
    struct pw_proto_fields outer;
    struct pw_proto_fields fields;
    pw_proto_scan_init(&scan, limits, error);
    enum pywatt_status status = pw_proto_scan_outer(&scan, &pw_proto_request, payload, &outer);
    if (status != PYWATT_OK) {
        return status;
    }
    const unsigned number = find_operation(&outer, REQUEST_FIRST_OPERATION, REQUEST_LAST_OPERATION);
    if (number == 0) {
        return pw_error_set(error, PYWATT_UNSUPPORTED,
                            "the message holds no operation that is known here");
    }
    if (number == PW_PROTO_NUMBERS) {
        return pw_error_set(error, PYWATT_SERIALIZATION, "the message holds several operations");
    }
    *recognised = true;
    message->operation = operations[number - REQUEST_FIRST_OPERATION];
    message->has_request_id = read_id(&outer, REQUEST_ID, &message->request_id);
    const struct pw_span body = outer.spans[number];
    status = pw_proto_scan_operation(&scan, &pw_proto_request, number, body, &fields);
    return status == PYWATT_OK ? read_request(&scan, &fields, body, arena, message) : status;
}

static enum pywatt_status read_reply(const struct pw_proto_scan *scan,
                                     const struct pw_proto_fields *fields, struct pw_span body,
                                     struct pw_arena *arena, struct pw_response *message)
{
    if (message->operation == PW_OP_REGISTER && message->success) {
        return pw_protobuf_read_registered(body, arena, message, scan->error);
    }
    if (message->operation != PW_OP_HEARTBEAT) {
        return PYWATT_OK;
    }
    if (!pw_protobuf_to_health(pw_proto_number(fields, REPLY_HEALTH), &message->health)) {
        return pw_proto_wrong(scan, "health", PYWATT_SERIALIZATION, "is missing");
    }
    if (!pw_proto_has(fields, REPLY_CONTEXT)) {
        return PYWATT_OK;
    }
    struct pywatt_string_map *context = pw_response_context(message);
    return context == NULL ? pw_error_no_memory(scan->error)
                           : read_map(scan, "context", body, REPLY_CONTEXT, context);
}

static enum pywatt_status status_from_wire(uint64_t number)
{
    return number <= PYWATT_UNAVAILABLE ? (enum pywatt_status)number : PYWATT_REJECTED;
}

static enum pywatt_status decode_response(struct pw_span payload,
                                          const struct pw_codec_limits *limits,
                                          struct pw_arena *arena, struct pw_response *message,
                                          struct pywatt_error *error)
{
    struct pw_proto_scan scan;
    struct pw_proto_fields outer;
    struct pw_proto_fields fields;
    pw_proto_scan_init(&scan, limits, error);
    enum pywatt_status status = pw_proto_scan_outer(&scan, &pw_proto_response, payload, &outer);
    if (status != PYWATT_OK) {
        return status;
    }
    const unsigned number = find_operation(&outer, RESPONSE_FIRST_REPLY, RESPONSE_LAST_REPLY);
    if (number == 0 || number == PW_PROTO_NUMBERS) {
        return pw_error_set(error, PYWATT_SERIALIZATION,
                            "the message does not hold one reply that is known here");
    }
    message->operation = operations[number - RESPONSE_FIRST_REPLY];
    message->has_request_id = read_id(&outer, REQUEST_ID, &message->request_id);
    message->status = status_from_wire(pw_proto_number(&outer, RESPONSE_STATUS));
    message->success = message->status == PYWATT_OK;
    if (!message->success) {
        message->error = pw_proto_text(&outer, RESPONSE_ERROR);
    }
    const struct pw_span body = outer.spans[number];
    status = pw_proto_scan_operation(&scan, &pw_proto_response, number, body, &fields);
    return status == PYWATT_OK ? read_reply(&scan, &fields, body, arena, message) : status;
}

static enum pywatt_status peek_response_id(struct pw_span payload, bool *has_id,
                                           struct pywatt_uuid *id)
{
    struct pw_wire wire = pw_wire_of(payload);
    struct pw_wire_field field = {.number = 0};
    *has_id = false;
    /* Ours stands first; those of others may stand anywhere. */
    while (wire.at < wire.end) {
        if (!pw_wire_next(&wire, &field)) {
            return PYWATT_SERIALIZATION;
        }
        if (field.number == REQUEST_ID && field.type == PW_WIRE_BYTES &&
            field.bytes.len == ID_BYTES) {
            memcpy(id->bytes, field.bytes.data, ID_BYTES);
            *has_id = true;
            return PYWATT_OK;
        }
    }
    return PYWATT_OK;
}

/* ---- Writing ------------------------------------------------------------------------------ */

enum pywatt_status pw_protobuf_buffer_error(enum pywatt_status status, const struct pw_buffer *out,
                                            struct pywatt_error *error)
{
    if (status == PYWATT_NO_MEMORY) {
        return pw_error_no_memory(error);
    }
    return pw_error_set(error, status, "the message does not fit into the %zu bytes allowed",
                        out->limit);
}

/* Of a text that is left out when it is empty. */
static size_t text_len(size_t len)
{
    return len == 0 ? 0 : pw_wire_bytes_len(len);
}

static uint8_t *put_text(uint8_t *at, unsigned number, const char *text, size_t len)
{
    return len == 0 ? at : pw_wire_put_bytes(at, number, text, len);
}

static size_t map_len(const struct pywatt_string_map *map)
{
    const char *key = NULL;
    const char *value = NULL;
    size_t total = 0;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        total += pw_wire_bytes_len(text_len(strlen(key)) + text_len(strlen(value)));
    }
    return total;
}

static uint8_t *put_map(uint8_t *at, unsigned number, const struct pywatt_string_map *map)
{
    const char *key = NULL;
    const char *value = NULL;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        const size_t key_len = strlen(key);
        const size_t value_len = strlen(value);
        at = pw_wire_put_length(at, number, text_len(key_len) + text_len(value_len));
        at = put_text(at, PAIR_KEY, key, key_len);
        at = put_text(at, PAIR_VALUE, value, value_len);
    }
    return at;
}

/* An unregister request is one without what a heartbeat has behind the token. */
static size_t body_len(const struct pw_request *request)
{
    size_t len = pw_wire_bytes_len(ID_BYTES) + text_len(request->token.len);
    if (request->operation == PW_OP_HEARTBEAT) {
        len += 2 + map_len(request->details);
        len += request->generation == 0 ? 0 : 1 + pw_wire_varint_len(request->generation);
    }
    return len;
}

static uint8_t *put_body(uint8_t *at, const struct pw_request *request)
{
    at = pw_wire_put_bytes(at, MODULE_ID, request->module_id.bytes, ID_BYTES);
    at = put_text(at, TOKEN, request->token.data, request->token.len);
    if (request->operation == PW_OP_HEARTBEAT) {
        at = pw_wire_put_number(at, HEALTH, pw_protobuf_from_health(request->health));
        if (request->generation != 0) {
            at = pw_wire_put_number(at, GENERATION, request->generation);
        }
        at = put_map(at, DETAILS, request->details);
    }
    return at;
}

static enum pywatt_status encode_request(const struct pw_request *request, struct pw_buffer *out,
                                         struct pywatt_error *error)
{
    if (request->operation == PW_OP_REGISTER || request->operation == PW_OP_CAPABILITIES) {
        return pw_protobuf_write_request(request, out, error);
    }
    uint8_t *at = NULL;
    const size_t body = body_len(request);
    const size_t total = pw_wire_bytes_len(ID_BYTES) + pw_wire_bytes_len(body);
    const enum pywatt_status status = pw_buffer_reserve(out, total, &at);
    if (status != PYWATT_OK) {
        return pw_protobuf_buffer_error(status, out, error);
    }
    at = pw_wire_put_bytes(at, REQUEST_ID, request->request_id.bytes, ID_BYTES);
    at = pw_wire_put_length(at, number_of(request->operation, REQUEST_FIRST_OPERATION), body);
    put_body(at, request);
    pw_buffer_commit(out, total);
    return PYWATT_OK;
}

/* All but what a heartbeat reply says of the module, and what a register reply says on success. */
static uint8_t *put_reply_head(uint8_t *at, const struct pw_response *response)
{
    if (response->has_request_id) {
        at = pw_wire_put_bytes(at, REQUEST_ID, response->request_id.bytes, ID_BYTES);
    }
    if (!response->success) {
        at = pw_wire_put_number(at, RESPONSE_STATUS, response->status);
        at = put_text(at, RESPONSE_ERROR, response->error.data, response->error.len);
    }
    return at;
}

static size_t reply_head_len(const struct pw_response *response)
{
    size_t len = response->has_request_id ? pw_wire_bytes_len(ID_BYTES) : 0;
    if (!response->success) {
        len += 1 + pw_wire_varint_len(response->status) + text_len(response->error.len);
    }
    return len;
}

static enum pywatt_status encode_response(const struct pw_response *response, struct pw_buffer *out,
                                          struct pywatt_error *error)
{
    if (response->operation == PW_OP_REGISTER && response->success) {
        return pw_protobuf_write_registered(response, out, error);
    }
    uint8_t *at = NULL;
    const bool beat = response->operation == PW_OP_HEARTBEAT;
    const size_t body = beat ? 2 + map_len(response->context) : 0;
    const size_t total = reply_head_len(response) + pw_wire_bytes_len(body);
    const enum pywatt_status status = pw_buffer_reserve(out, total, &at);
    if (status != PYWATT_OK) {
        return pw_protobuf_buffer_error(status, out, error);
    }
    at = put_reply_head(at, response);
    at = pw_wire_put_length(at, number_of(response->operation, RESPONSE_FIRST_REPLY), body);
    if (beat) {
        at = pw_wire_put_number(at, REPLY_HEALTH, pw_protobuf_from_health(response->health));
        put_map(at, REPLY_CONTEXT, response->context);
    }
    pw_buffer_commit(out, total);
    return PYWATT_OK;
}

const struct pw_codec_ops pw_codec_protobuf = {
    .name = "protobuf",
    .format_code = 16,
    .replies_in_order = false,
    .encode_request = encode_request,
    .encode_response = encode_response,
    .decode_request = decode_request,
    .decode_response = decode_response,
    .peek_response_id = peek_response_id,
};

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_encode.c - beats, unregister requests and plain replies as protobuf, written by hand,
 * without memory; what nests goes on to protobuf_write.c. No state; any thread.
 */
#include "base/error.h"
#include "codec/proto_numbers.h"
#include "codec/proto_wire.h"
#include "codec/protobuf_codec.h"
#include "model/string_map.h"

#define ID_BYTES sizeof(struct pywatt_uuid)

static unsigned number_of(enum pw_operation operation, unsigned first)
{
    unsigned i = 0;
    while (pw_pb_operations[i] != operation) {
        i++;
    }
    return first + i;
}

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

static size_t entries_len(const struct pywatt_string_map *map)
{
    const char *key = NULL;
    const char *value = NULL;
    size_t total = 0;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        total += pw_wire_bytes_len(text_len(strlen(key)) + text_len(strlen(value)));
    }
    return total;
}

static uint8_t *put_entries(uint8_t *at, unsigned number, const struct pywatt_string_map *map)
{
    const char *key = NULL;
    const char *value = NULL;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        const size_t key_len = strlen(key);
        const size_t value_len = strlen(value);
        at = pw_wire_put_length(at, number, text_len(key_len) + text_len(value_len));
        at = put_text(at, PW_PB_PAIR_KEY, key, key_len);
        at = put_text(at, PW_PB_PAIR_VALUE, value, value_len);
    }
    return at;
}

/* Most beats have no map, and pay for none. */
static inline size_t map_len(const struct pywatt_string_map *map)
{
    return map == NULL ? 0 : entries_len(map);
}

static inline uint8_t *put_map(uint8_t *at, unsigned number, const struct pywatt_string_map *map)
{
    return map == NULL ? at : put_entries(at, number, map);
}

/* An unregister request is one without what a heartbeat has behind the token. */
static size_t body_len(const struct pw_request *request)
{
    if (request->operation == PW_OP_HEARTBEAT_BATCH) {
        return pw_protobuf_batch_len(request);
    }
    size_t len = pw_wire_bytes_len(ID_BYTES) + text_len(request->token.len);
    if (request->operation == PW_OP_HEARTBEAT) {
        len += 2 + map_len(request->details);
        len += request->generation == 0 ? 0 : 1 + pw_wire_varint_len(request->generation);
    }
    return len;
}

static uint8_t *put_body(uint8_t *at, const struct pw_request *request)
{
    if (request->operation == PW_OP_HEARTBEAT_BATCH) {
        return pw_protobuf_put_batch(at, request);
    }
    at = pw_wire_put_bytes(at, PW_PB_MODULE_ID, request->module_id.bytes, ID_BYTES);
    at = put_text(at, PW_PB_TOKEN, request->token.data, request->token.len);
    if (request->operation == PW_OP_HEARTBEAT) {
        at = pw_wire_put_number(at, PW_PB_HEALTH, pw_protobuf_from_health(request->health));
        if (request->generation != 0) {
            at = pw_wire_put_number(at, PW_PB_GENERATION, request->generation);
        }
        at = put_map(at, PW_PB_DETAILS, request->details);
    }
    return at;
}

enum pywatt_status pw_protobuf_encode_request(const struct pw_request *request,
                                              struct pw_buffer *out, struct pywatt_error *error)
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
    at = pw_wire_put_bytes(at, PW_PB_REQUEST_ID, request->request_id.bytes, ID_BYTES);
    at = pw_wire_put_length(at, number_of(request->operation, PW_PB_FIRST_OPERATION), body);
    put_body(at, request);
    pw_buffer_commit(out, total);
    return PYWATT_OK;
}

/* What stands behind the reply itself; most have none of it. */
static size_t reply_tail_len(const struct pw_response *response)
{
    size_t len = 0;
    if (response->retry_after_ms != 0) {
        len += 1 + pw_wire_varint_len(response->retry_after_ms);
    }
    if ((response->features & PW_FEATURE_HEARTBEAT_BATCH) != 0) {
        len += pw_wire_bytes_len(strlen(pw_feature_name(PW_FEATURE_HEARTBEAT_BATCH)));
    }
    return len;
}

static void put_reply_tail(uint8_t *at, const struct pw_response *response)
{
    if (response->retry_after_ms != 0) {
        at = pw_wire_put_number(at, PW_PB_RETRY_AFTER_MS, response->retry_after_ms);
    }
    if ((response->features & PW_FEATURE_HEARTBEAT_BATCH) != 0) {
        const char *name = pw_feature_name(PW_FEATURE_HEARTBEAT_BATCH);
        pw_wire_put_bytes(at, PW_PB_FEATURES, name, strlen(name));
    }
}

static size_t reply_body_len(const struct pw_response *response)
{
    switch (response->operation) {
    case PW_OP_HEARTBEAT: return 2 + map_len(response->context);
    case PW_OP_HEARTBEAT_BATCH: return pw_protobuf_batch_reply_len(response);
    case PW_OP_REGISTER:
    case PW_OP_UNREGISTER:
    case PW_OP_CAPABILITIES:
    default: return 0;
    }
}

static uint8_t *put_reply_body(uint8_t *at, const struct pw_response *response)
{
    if (response->operation == PW_OP_HEARTBEAT) {
        at = pw_wire_put_number(at, PW_PB_REPLY_HEALTH, pw_protobuf_from_health(response->health));
        at = put_map(at, PW_PB_REPLY_CONTEXT, response->context);
    } else if (response->operation == PW_OP_HEARTBEAT_BATCH) {
        at = pw_protobuf_put_batch_reply(at, response);
    }
    return at;
}

/* All but what a heartbeat reply says of the module, and what a register reply says on success. */
static uint8_t *put_reply_head(uint8_t *at, const struct pw_response *response)
{
    if (response->has_request_id) {
        at = pw_wire_put_bytes(at, PW_PB_REQUEST_ID, response->request_id.bytes, ID_BYTES);
    }
    if (!response->success) {
        at = pw_wire_put_number(at, PW_PB_STATUS, response->status);
        at = put_text(at, PW_PB_ERROR, response->error.data, response->error.len);
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

enum pywatt_status pw_protobuf_encode_response(const struct pw_response *response,
                                               struct pw_buffer *out, struct pywatt_error *error)
{
    if (response->operation == PW_OP_REGISTER && response->success) {
        return pw_protobuf_write_registered(response, out, error);
    }
    uint8_t *at = NULL;
    const size_t body = reply_body_len(response);
    const size_t total =
        reply_head_len(response) + pw_wire_bytes_len(body) + reply_tail_len(response);
    const enum pywatt_status status = pw_buffer_reserve(out, total, &at);
    if (status != PYWATT_OK) {
        return pw_protobuf_buffer_error(status, out, error);
    }
    at = put_reply_head(at, response);
    at = pw_wire_put_length(at, number_of(response->operation, PW_PB_FIRST_REPLY), body);
    at = put_reply_body(at, response);
    put_reply_tail(at, response);
    pw_buffer_commit(out, total);
    return PYWATT_OK;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf.c - the protobuf codec: scans, then reads beats, unregister requests and plain replies
 * from what the scan found, without memory. Registrations and capabilities go on to
 * protobuf_read.c, batches to protobuf_batch.c. No state; any thread.
 */
#include "base/error.h"
#include "codec/proto_numbers.h"
#include "codec/proto_scan.h"
#include "codec/proto_wire.h"
#include "codec/protobuf_codec.h"
#include "codec/protobuf_usual.h"
#include "model/registration.h"
#include "model/string_map.h"

#define ID_BYTES sizeof(struct pywatt_uuid)

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
    if (!read_id(fields, PW_PB_MODULE_ID, &message->module_id)) {
        return pw_proto_wrong(scan, "module_id", PYWATT_SERIALIZATION, "is missing");
    }
    message->token = pw_proto_text(fields, PW_PB_TOKEN);
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
    if (!pw_protobuf_to_health(pw_proto_number(fields, PW_PB_HEALTH), &message->health)) {
        return pw_proto_wrong(scan, "health", PYWATT_SERIALIZATION, "is missing");
    }
    message->generation = pw_proto_number(fields, PW_PB_GENERATION);
    if (!pw_proto_has(fields, PW_PB_DETAILS)) {
        return PYWATT_OK;
    }
    struct pywatt_string_map *details = pw_request_details(message);
    return details == NULL ? pw_error_no_memory(scan->error)
                           : read_map(scan, "details", body, PW_PB_DETAILS, details);
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

enum pywatt_status pw_protobuf_scan_request(struct pw_span payload,
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
    const unsigned number = find_operation(&outer, PW_PB_FIRST_OPERATION, PW_PB_LAST_OPERATION);
    if (number == 0) {
        return pw_error_set(error, PYWATT_UNSUPPORTED,
                            "the message holds no operation that is known here");
    }
    if (number == PW_PROTO_NUMBERS) {
        return pw_error_set(error, PYWATT_SERIALIZATION, "the message holds several operations");
    }
    *recognised = true;
    message->operation = pw_pb_operations[number - PW_PB_FIRST_OPERATION];
    message->has_request_id = read_id(&outer, PW_PB_REQUEST_ID, &message->request_id);
    const struct pw_span body = outer.spans[number];
    if (message->operation == PW_OP_HEARTBEAT_BATCH) {
        return pw_protobuf_read_batch(&scan, body, arena, message); /* scans as it reads */
    }
    status = pw_proto_scan_operation(&scan, &pw_proto_request, number, body, &fields);
    return status == PYWATT_OK ? read_request(&scan, &fields, body, arena, message) : status;
}

static enum pywatt_status decode_request(struct pw_span payload,
                                         const struct pw_codec_limits *limits,
                                         struct pw_arena *arena, struct pw_request *message,
                                         bool *recognised, struct pywatt_error *error)
{
    *recognised = pw_protobuf_usual_request(payload, limits, message);
    return *recognised
               ? PYWATT_OK
               : pw_protobuf_scan_request(payload, limits, arena, message, recognised, error);
}

static enum pywatt_status read_reply(struct pw_proto_scan *scan,
                                     const struct pw_proto_fields *fields, struct pw_span body,
                                     struct pw_arena *arena, struct pw_response *message)
{
    if (message->operation == PW_OP_REGISTER && message->success) {
        return pw_protobuf_read_registered(body, arena, message, scan->error);
    }
    if (message->operation == PW_OP_HEARTBEAT_BATCH) {
        return pw_protobuf_read_batch_reply(scan, fields, body, arena, message);
    }
    if (message->operation != PW_OP_HEARTBEAT) {
        return PYWATT_OK;
    }
    if (!pw_protobuf_to_health(pw_proto_number(fields, PW_PB_REPLY_HEALTH), &message->health)) {
        return pw_proto_wrong(scan, "health", PYWATT_SERIALIZATION, "is missing");
    }
    if (!pw_proto_has(fields, PW_PB_REPLY_CONTEXT)) {
        return PYWATT_OK;
    }
    struct pywatt_string_map *context = pw_response_context(message);
    return context == NULL ? pw_error_no_memory(scan->error)
                           : read_map(scan, "context", body, PW_PB_REPLY_CONTEXT, context);
}

static unsigned read_features(struct pw_span payload)
{
    struct pw_wire wire = pw_wire_of(payload);
    struct pw_wire_field field = {.number = 0};
    unsigned features = 0;
    while (wire.at < wire.end && pw_wire_next(&wire, &field)) {
        if (field.number == PW_PB_FEATURES) {
            features |= pw_feature_by_name(
                (struct pw_str){(const char *)field.bytes.data, field.bytes.len});
        }
    }
    return features;
}

enum pywatt_status pw_protobuf_scan_response(struct pw_span payload,
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
    const unsigned number = find_operation(&outer, PW_PB_FIRST_REPLY, PW_PB_LAST_REPLY);
    if (number == 0 || number == PW_PROTO_NUMBERS) {
        return pw_error_set(error, PYWATT_SERIALIZATION,
                            "the message does not hold one reply that is known here");
    }
    message->operation = pw_pb_operations[number - PW_PB_FIRST_REPLY];
    message->has_request_id = read_id(&outer, PW_PB_REQUEST_ID, &message->request_id);
    message->status = pw_protobuf_to_status(pw_proto_number(&outer, PW_PB_STATUS));
    message->success = message->status == PYWATT_OK;
    if (!message->success) {
        message->error = pw_proto_text(&outer, PW_PB_ERROR);
        message->retry_after_ms = (uint32_t)pw_proto_number(&outer, PW_PB_RETRY_AFTER_MS);
    }
    if (pw_proto_has(&outer, PW_PB_FEATURES)) {
        message->features = read_features(payload);
    }
    const struct pw_span body = outer.spans[number];
    status = pw_proto_scan_operation(&scan, &pw_proto_response, number, body, &fields);
    return status == PYWATT_OK ? read_reply(&scan, &fields, body, arena, message) : status;
}

static enum pywatt_status decode_response(struct pw_span payload,
                                          const struct pw_codec_limits *limits,
                                          struct pw_arena *arena, struct pw_response *message,
                                          struct pywatt_error *error)
{
    return pw_protobuf_usual_response(payload, limits, message)
               ? PYWATT_OK
               : pw_protobuf_scan_response(payload, limits, arena, message, error);
}

static enum pywatt_status peek_response_id(struct pw_span payload, bool *has_id,
                                           struct pywatt_uuid *id)
{
    struct pw_wire wire = pw_wire_of(payload);
    struct pw_wire_field field = {.number = 0};
    /* Ours stands first; those of others may stand anywhere. */
    *has_id = pw_protobuf_usual_id(payload, id);
    if (*has_id) {
        return PYWATT_OK;
    }
    while (wire.at < wire.end) {
        if (!pw_wire_next(&wire, &field)) {
            return PYWATT_SERIALIZATION;
        }
        if (field.number == PW_PB_REQUEST_ID && field.type == PW_WIRE_BYTES &&
            field.bytes.len == ID_BYTES) {
            memcpy(id->bytes, field.bytes.data, ID_BYTES);
            *has_id = true;
            return PYWATT_OK;
        }
    }
    return PYWATT_OK;
}

static enum pywatt_status encode_request(const struct pw_request *request, struct pw_buffer *out,
                                         struct pywatt_error *error)
{
    return pw_protobuf_write_usual_request(request, out)
               ? PYWATT_OK
               : pw_protobuf_encode_request(request, out, error);
}

static enum pywatt_status encode_response(const struct pw_response *response, struct pw_buffer *out,
                                          struct pywatt_error *error)
{
    return pw_protobuf_write_usual_response(response, out)
               ? PYWATT_OK
               : pw_protobuf_encode_response(response, out, error);
}

const struct pw_codec_ops pw_codec_protobuf = {
    .name = "protobuf",
    .format_code = 16,
    .replies_in_order = false,
    .batches = true,
    .encode_request = encode_request,
    .encode_response = encode_response,
    .decode_request = decode_request,
    .decode_response = decode_response,
    .peek_response_id = peek_response_id,
};

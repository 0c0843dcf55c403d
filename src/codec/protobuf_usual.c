/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_usual.c - reads and writes the beats of protobuf_usual.h. No state; any thread; no memory.
 */
#include "codec/protobuf_usual.h"

#include "codec/usual.h"

/* Fields of a usual beat and around it, and how deep they stand: lower limits are the scan's. */
#define USUAL_ELEMENTS 6
#define USUAL_DEPTH 2

/* Tag, length and request id, with which both messages begin. */
#define HEAD_BYTES (2 + PW_PB_ID_BYTES)

/* What a usual reply has between the request id and the health. */
static const uint8_t before_health[] = {PW_PB_TAG(PW_PB_HEARTBEAT_REPLY, PW_WIRE_BYTES), 2,
                                        PW_PB_TAG(PW_PB_REPLY_HEALTH, PW_WIRE_VARINT)};

/* ---- Reading ------------------------------------------------------------------------------ */

static bool has_usual_head(struct pw_span payload, const struct pw_codec_limits *limits)
{
    return payload.len > HEAD_BYTES + 2 &&
           payload.data[0] == PW_PB_TAG(PW_PB_REQUEST_ID, PW_WIRE_BYTES) &&
           payload.data[1] == PW_PB_ID_BYTES && limits->max_elements >= USUAL_ELEMENTS &&
           limits->max_depth >= USUAL_DEPTH;
}

bool pw_protobuf_usual_request(struct pw_span payload, const struct pw_codec_limits *limits,
                               struct pw_request *message)
{
    struct pw_batched_beat beat;
    uint64_t body_len = 0;
    if (!has_usual_head(payload, limits) ||
        payload.data[HEAD_BYTES] != PW_PB_TAG(PW_PB_HEARTBEAT, PW_WIRE_BYTES)) {
        return false;
    }
    struct pw_wire wire = {payload.data + HEAD_BYTES + 1, payload.data + payload.len};
    if (!pw_wire_varint(&wire, &body_len) || body_len != (size_t)(wire.end - wire.at) ||
        !pw_protobuf_usual_beat((struct pw_span){wire.at, (size_t)body_len}, limits, &beat)) {
        return false;
    }
    message->operation = PW_OP_HEARTBEAT;
    message->has_request_id = true;
    memcpy(message->request_id.bytes, payload.data + 2, PW_PB_ID_BYTES);
    message->module_id = beat.module_id;
    message->token = beat.token;
    message->generation = beat.generation;
    message->health = beat.health;
    return true;
}

/* A success without context, and nothing behind it. */
bool pw_protobuf_usual_response(struct pw_span payload, const struct pw_codec_limits *limits,
                                struct pw_response *message)
{
    const size_t health_at = HEAD_BYTES + sizeof(before_health);
    enum pywatt_health health;
    if (payload.len != health_at + 1 || !has_usual_head(payload, limits) ||
        memcmp(payload.data + HEAD_BYTES, before_health, sizeof(before_health)) != 0 ||
        !pw_protobuf_to_health(payload.data[health_at], &health)) {
        return false;
    }
    message->operation = PW_OP_HEARTBEAT;
    message->has_request_id = true;
    memcpy(message->request_id.bytes, payload.data + 2, PW_PB_ID_BYTES);
    message->success = true;
    message->status = PYWATT_OK;
    message->health = health;
    return true;
}

/* ---- Writing ------------------------------------------------------------------------------ */

/* The fields around the token, with the longest generation; the body's length takes one byte. */
#define AROUND_TOKEN (2 + PW_PB_ID_BYTES + 2 + 2 + 11)
#define LONGEST_TOKEN (0x7F - AROUND_TOKEN)

bool pw_protobuf_write_usual_request(const struct pw_request *request, struct pw_buffer *out)
{
    const size_t token_len = request->token.len;
    if (!pw_usual_request(request) || token_len > LONGEST_TOKEN) {
        return false;
    }
    uint8_t *const first = pw_usual_room(out, HEAD_BYTES + 2 + AROUND_TOKEN + token_len);
    if (first == NULL) {
        return false;
    }
    uint8_t *const body = first + HEAD_BYTES + 2;
    pw_wire_put_bytes(first, PW_PB_REQUEST_ID, request->request_id.bytes, PW_PB_ID_BYTES);
    uint8_t *at =
        pw_wire_put_bytes(body, PW_PB_MODULE_ID, request->module_id.bytes, PW_PB_ID_BYTES);
    at = pw_wire_put_bytes(at, PW_PB_TOKEN, request->token.data, token_len);
    at = pw_wire_put_number(at, PW_PB_HEALTH, pw_protobuf_from_health(request->health));
    if (request->generation != 0) {
        at = pw_wire_put_number(at, PW_PB_GENERATION, request->generation);
    }
    pw_wire_put_length(first + HEAD_BYTES, PW_PB_HEARTBEAT, (size_t)(at - body));
    pw_buffer_commit(out, (size_t)(at - first));
    return true;
}

bool pw_protobuf_write_usual_response(const struct pw_response *response, struct pw_buffer *out)
{
    const size_t health_at = HEAD_BYTES + sizeof(before_health);
    uint8_t *const first = pw_usual_response(response) ? pw_usual_room(out, health_at + 1) : NULL;
    if (first == NULL) {
        return false;
    }
    pw_wire_put_bytes(first, PW_PB_REQUEST_ID, response->request_id.bytes, PW_PB_ID_BYTES);
    memcpy(first + HEAD_BYTES, before_health, sizeof(before_health));
    first[health_at] = (uint8_t)pw_protobuf_from_health(response->health);
    pw_buffer_commit(out, health_at + 1);
    return true;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_usual.h - beats and their replies as this codec writes them are recognised by their bytes:
 * the same fields, once each, in the same order. The strict scan takes four times as long to find
 * that out. Whatever differs by a single byte is left to the scan, which also says what is wrong with
 * it, so that what is accepted and how it is read is the same either way. No state; any thread.
 */
#ifndef PW_CODEC_PROTOBUF_USUAL_H
#define PW_CODEC_PROTOBUF_USUAL_H

#include "base/utf8.h"
#include "codec/proto_numbers.h"
#include "codec/proto_wire.h"
#include "codec/protobuf_codec.h"

#define PW_PB_ID_BYTES sizeof(struct pywatt_uuid)

#define PW_PB_TAG(number, type) ((uint8_t)((number) << 3 | (type)))

/*
 * Both fill the message only if it is a usual one; false: it may still be a message. What stood in
 * it was reset.
 */
bool pw_protobuf_usual_request(struct pw_span payload, const struct pw_codec_limits *limits,
                               struct pw_request *message);
bool pw_protobuf_usual_response(struct pw_span payload, const struct pw_codec_limits *limits,
                                struct pw_response *message);

/*
 * Both append the message only if it is a usual one and `out` has room at hand; false: nothing was
 * done. It is checked that the message can be written.
 */
bool pw_protobuf_write_usual_request(const struct pw_request *request, struct pw_buffer *out);
bool pw_protobuf_write_usual_response(const struct pw_response *response, struct pw_buffer *out);

/* The request id, if the message begins with it. */
static inline bool pw_protobuf_usual_id(struct pw_span payload, struct pywatt_uuid *id)
{
    if (payload.len < 2 + PW_PB_ID_BYTES ||
        payload.data[0] != PW_PB_TAG(PW_PB_REQUEST_ID, PW_WIRE_BYTES) ||
        payload.data[1] != PW_PB_ID_BYTES) {
        return false;
    }
    memcpy(id->bytes, payload.data + 2, PW_PB_ID_BYTES);
    return true;
}

/*
 * As the first two for the fields of a beat, which may also stand in a batch: id, token, health, and where
 * there is one the generation. Inline, as a batch has a thousand of them.
 */
static inline bool pw_protobuf_usual_beat(struct pw_span body, const struct pw_codec_limits *limits,
                                          struct pw_batched_beat *beat)
{
    const uint8_t *at = body.data;
    if (body.len < 2 + PW_PB_ID_BYTES + 2 || at[0] != PW_PB_TAG(PW_PB_MODULE_ID, PW_WIRE_BYTES) ||
        at[1] != PW_PB_ID_BYTES ||
        at[2 + PW_PB_ID_BYTES] != PW_PB_TAG(PW_PB_TOKEN, PW_WIRE_BYTES)) {
        return false;
    }
    /* Up to 127 bytes, whose length takes one. */
    const size_t token_len = at[3 + PW_PB_ID_BYTES];
    const size_t token_end = 4 + PW_PB_ID_BYTES + token_len;
    if (token_len == 0 || token_len >= 0x80 || token_len > limits->max_string ||
        body.len < token_end + 2 || at[token_end] != PW_PB_TAG(PW_PB_HEALTH, PW_WIRE_VARINT)) {
        return false;
    }
    _Static_assert(PYWATT_TOKEN_MAX >= 0x80, "a usual token is not too long");
    memcpy(beat->module_id.bytes, at + 2, PW_PB_ID_BYTES);
    beat->token = (struct pw_str){(const char *)at + 4 + PW_PB_ID_BYTES, token_len};
    if (!pw_protobuf_to_health(at[token_end + 1], &beat->health)) {
        return false;
    }
    struct pw_wire rest = {at + token_end + 2, at + body.len};
    beat->generation = 0;
    beat->alias = 0; /* one that has an alias is not usual: it comes once on a connection */
    if (rest.at < rest.end && *rest.at == PW_PB_TAG(PW_PB_GENERATION, PW_WIRE_VARINT)) {
        rest.at++;
        if (!pw_wire_varint(&rest, &beat->generation)) {
            return false;
        }
    }
    return rest.at == rest.end && pw_utf8_valid(beat->token);
}

#endif

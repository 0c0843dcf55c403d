/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * usual.h - what the short ways of both codecs share. A beat that says no more than most, written as
 * our own encoders write it, is written and read by protobuf_usual.c and json_usual.c, in a fraction
 * of the time that it takes to consider all that a message could be. Anything else goes the long way,
 * and nobody can tell by the result which way it was. No state; any thread.
 */
#ifndef PW_CODEC_USUAL_H
#define PW_CODEC_USUAL_H

#include "base/buffer.h"
#include "model/message.h"

/* Whether a message says no more than most, so that it can be written the short way. */
static inline bool pw_usual_request(const struct pw_request *request)
{
    return request->operation == PW_OP_HEARTBEAT && request->details == NULL;
}

static inline bool pw_usual_response(const struct pw_response *response)
{
    return response->operation == PW_OP_HEARTBEAT && response->success &&
           response->has_request_id && response->context == NULL && response->features == 0 &&
           response->retry_after_ms == 0;
}

/* Where `len` more bytes go if there is room for them at hand; NULL: ask pw_buffer_reserve. */
static inline uint8_t *pw_usual_room(const struct pw_buffer *out, size_t len)
{
    return out->capacity - out->end >= len && out->limit - pw_buffer_len(out) >= len
               ? out->data + out->end
               : NULL;
}

#endif

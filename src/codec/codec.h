/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * codec.h - messages to bytes and back: the contract that a codec fulfils, and the table of them.
 *
 * To add a codec: write one file with a `const struct pw_codec_ops`, and add one line to the table
 * in codec.c. A codec is const and has no state; any thread may use it, several at once. The
 * behavioural suite in tests/codec runs over every entry of the table.
 */
#ifndef PW_CODEC_CODEC_H
#define PW_CODEC_CODEC_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "model/message.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a message may be like; checked before memory is taken for it. */
struct pw_codec_limits {
    size_t max_bytes;      /* a message, without its frame header */
    uint32_t max_depth;    /* nesting */
    uint32_t max_elements; /* values in a message, keys included; items of all maps and lists */
    uint32_t max_string;   /* bytes of one text */
};

/*
 * 1 MiB, depth 40 and 16384 elements (as deep and as many as the model allows, in the envelope), 64 KiB.
 */
extern const struct pw_codec_limits pw_codec_default_limits;

/*
 * Budget of an arena that decodes under the default limits: with what its blocks waste it stays under
 * a mebibyte of heap.
 */
#define PW_CODEC_ARENA_BUDGET ((size_t)960 << 10)

struct pw_codec_ops {
    /* What the application writes: "json", "protobuf". */
    const char *name;

    /* The format code of the frames that this codec writes. */
    uint8_t format_code;

    /*
     * True if replies to a request that came in this codec carry no request id that its peers
     * would look at, so that replies must keep the order of the requests.
     */
    bool replies_in_order;

    /* True if it has PW_OP_HEARTBEAT_BATCH; else that is PYWATT_UNSUPPORTED. */
    bool batches;

    /*
     * Appends the message to `out`. On failure `out` is as it was. PYWATT_OK; PYWATT_LIMIT (out's
     * limit); PYWATT_NO_MEMORY; PYWATT_INVALID_ARGUMENT (a message that lacks what its operation
     * needs). No malloc for heartbeats once `out` has room.
     */
    enum pywatt_status (*encode_request)(const struct pw_request *request, struct pw_buffer *out,
                                         struct pywatt_error *error);
    enum pywatt_status (*encode_response)(const struct pw_response *response, struct pw_buffer *out,
                                          struct pywatt_error *error);

    /*
     * Reads a whole message from `payload`, never a byte outside of it. `message` was initialised;
     * what it held before is reset. Views in the result point into `payload` or `arena`, which
     * the caller resets when it is done with the message. No malloc for heartbeats.
     *
     * PYWATT_OK; PYWATT_SERIALIZATION (not a message: the text names the field or the byte);
     * PYWATT_LIMIT (over `limits`, the arena's budget or a bound of the model); PYWATT_NO_MEMORY;
     * PYWATT_UNSUPPORTED (well-formed, but no request of ours: no request_type, or an unknown one).
     * When a request cannot be read, operation and request_id are set if they could be found, and
     * `recognised` says so: then an error reply can be sent; else there must be none.
     */
    enum pywatt_status (*decode_request)(struct pw_span payload,
                                         const struct pw_codec_limits *limits,
                                         struct pw_arena *arena, struct pw_request *message,
                                         bool *recognised, struct pywatt_error *error);
    enum pywatt_status (*decode_response)(struct pw_span payload,
                                          const struct pw_codec_limits *limits,
                                          struct pw_arena *arena, struct pw_response *message,
                                          struct pywatt_error *error);

    /*
     * Finds the request id of a reply without decoding it: *has_id tells whether there is one.
     * Cheap, allocates nothing. PYWATT_OK, or PYWATT_SERIALIZATION if the bytes cannot be a reply;
     * a reply that passes may still fail to decode.
     */
    enum pywatt_status (*peek_response_id)(struct pw_span payload, bool *has_id,
                                           struct pywatt_uuid *id);
};

/* A codec by its name, for an application that chooses one; NULL if there is none. */
const struct pw_codec_ops *pw_codec_by_name(const char *name);

/*
 * The codec for a frame that came in, by its format code and, where one code means several things,
 * by the payload's first byte. NULL if nothing of ours can be in it. The codec that is returned
 * also writes the reply in the form that this kind of peer expects.
 */
const struct pw_codec_ops *pw_codec_by_frame(uint8_t format_code, struct pw_span payload);

/* The names an application may choose, NULL-terminated; static. For messages and for help. */
const char *const *pw_codec_names(void);

/* Every codec of the table, including those that only the wire chooses; NULL-terminated. */
const struct pw_codec_ops *const *pw_codec_all(void);

/* Checked wrappers over the ops: a message that fails leaves nothing half done. */
enum pywatt_status pw_codec_encode_request(const struct pw_codec_ops *codec,
                                           const struct pw_request *request, struct pw_buffer *out,
                                           struct pywatt_error *error);
enum pywatt_status pw_codec_encode_response(const struct pw_codec_ops *codec,
                                            const struct pw_response *response,
                                            struct pw_buffer *out, struct pywatt_error *error);
enum pywatt_status pw_codec_decode_request(const struct pw_codec_ops *codec, struct pw_span payload,
                                           const struct pw_codec_limits *limits,
                                           struct pw_arena *arena, struct pw_request *message,
                                           bool *recognised, struct pywatt_error *error);
enum pywatt_status pw_codec_decode_response(const struct pw_codec_ops *codec,
                                            struct pw_span payload,
                                            const struct pw_codec_limits *limits,
                                            struct pw_arena *arena, struct pw_response *message,
                                            struct pywatt_error *error);
enum pywatt_status pw_codec_peek_response_id(const struct pw_codec_ops *codec,
                                             struct pw_span payload, bool *has_id,
                                             struct pywatt_uuid *id);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_codec.h - the parts of the protobuf codec. No state; any thread.
 *
 * Beats spelled as usual are read by protobuf_usual.h. Every other payload first passes the scan of
 * proto_scan.h. Beats, unregister requests and plain replies
 * are then read from what it found, and written by hand. Registrations and capabilities, where
 * lists nest, go through protobuf-c, with an arena as its allocator.
 */
#ifndef PW_CODEC_PROTOBUF_CODEC_H
#define PW_CODEC_PROTOBUF_CODEC_H

#include "codec/codec.h"
#include "codec/proto_scan.h"

extern const struct pw_codec_ops pw_codec_protobuf;

/*
 * The ops that read, for any message: with the scan. What they accept does not depend on whether
 * protobuf_usual.h could have read it.
 */
enum pywatt_status pw_protobuf_scan_request(struct pw_span payload,
                                            const struct pw_codec_limits *limits,
                                            struct pw_arena *arena, struct pw_request *message,
                                            bool *recognised, struct pywatt_error *error);
enum pywatt_status pw_protobuf_scan_response(struct pw_span payload,
                                             const struct pw_codec_limits *limits,
                                             struct pw_arena *arena, struct pw_response *message,
                                             struct pywatt_error *error);

/* The ops that write, for any message. */
enum pywatt_status pw_protobuf_encode_request(const struct pw_request *request,
                                              struct pw_buffer *out, struct pywatt_error *error);
enum pywatt_status pw_protobuf_encode_response(const struct pw_response *response,
                                               struct pw_buffer *out, struct pywatt_error *error);

/*
 * Parts that go through protobuf-c. `body` has passed the scan. Errors name the field.
 * PYWATT_OK, PYWATT_SERIALIZATION, PYWATT_LIMIT, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_protobuf_read_register(struct pw_span body, struct pw_arena *arena,
                                             struct pw_request *message,
                                             struct pywatt_error *error);
enum pywatt_status pw_protobuf_read_capabilities(struct pw_span body, struct pw_arena *arena,
                                                 struct pw_request *message,
                                                 struct pywatt_error *error);
enum pywatt_status pw_protobuf_read_registered(struct pw_span body, struct pw_arena *arena,
                                               struct pw_response *message,
                                               struct pywatt_error *error);

/* The same the other way: a register or capabilities request, a register reply that succeeded. */
enum pywatt_status pw_protobuf_write_request(const struct pw_request *request,
                                             struct pw_buffer *out, struct pywatt_error *error);
enum pywatt_status pw_protobuf_write_registered(const struct pw_response *response,
                                                struct pw_buffer *out, struct pywatt_error *error);

/*
 * A batch of beats: `body` and `fields` are what the scan found of it. Reading takes an array from
 * the arena; writing needs as much room as *_len says. Statuses as above.
 */
enum pywatt_status pw_protobuf_read_batch(struct pw_proto_scan *scan, struct pw_span body,
                                          struct pw_arena *arena, struct pw_request *message);
enum pywatt_status pw_protobuf_read_batch_reply(struct pw_proto_scan *scan,
                                                const struct pw_proto_fields *fields,
                                                struct pw_span body, struct pw_arena *arena,
                                                struct pw_response *message);
size_t pw_protobuf_batch_len(const struct pw_request *request);
uint8_t *pw_protobuf_put_batch(uint8_t *at, const struct pw_request *request);
size_t pw_protobuf_batch_reply_len(const struct pw_response *response);
uint8_t *pw_protobuf_put_batch_reply(uint8_t *at, const struct pw_response *response);

/* Why an arena gave nothing, in words: PYWATT_LIMIT or PYWATT_NO_MEMORY. */
enum pywatt_status pw_protobuf_arena_error(const struct pw_arena *arena,
                                           struct pywatt_error *error);

/* "the message does not fit", or the other statuses of a buffer, in words. Returns `status`. */
enum pywatt_status pw_protobuf_buffer_error(enum pywatt_status status, const struct pw_buffer *out,
                                            struct pywatt_error *error);

/*
 * The wire's number of a health; the other way, false for UNSPECIFIED, which a sender must not use,
 * and for unknown ones.
 */
static inline uint64_t pw_protobuf_from_health(enum pywatt_health health)
{
    return (uint64_t)health + 1;
}

static inline bool pw_protobuf_to_health(uint64_t number, enum pywatt_health *out)
{
    if (number < 1 || number > 3) {
        return false;
    }
    *out = (enum pywatt_health)(number - 1);
    return true;
}

/* The wire's numbers of statuses are those of the enum. */
static inline enum pywatt_status pw_protobuf_to_status(uint64_t number)
{
    return number <= PYWATT_UNAVAILABLE ? (enum pywatt_status)number : PYWATT_REJECTED;
}

#endif

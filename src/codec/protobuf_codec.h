/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_codec.h - the parts of the protobuf codec. No state; any thread.
 *
 * Every payload first passes the scan of proto_scan.h. Beats, unregister requests and plain replies
 * are then read from what it found, and written by hand. Registrations and capabilities, where
 * lists nest, go through protobuf-c, with an arena as its allocator.
 */
#ifndef PW_CODEC_PROTOBUF_CODEC_H
#define PW_CODEC_PROTOBUF_CODEC_H

#include "codec/codec.h"

extern const struct pw_codec_ops pw_codec_protobuf;

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

#endif

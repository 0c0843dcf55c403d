/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_codec.h - the parts of the two JSON codecs. No state; any thread.
 *
 * Both read the same: either spelling, bare or enveloped replies. They differ in what they write:
 * the Rust form is compact and leaves out what is absent, the Python form is spelled as Python's
 * json module does it, names every field, and wraps replies in the envelope.
 */
#ifndef PW_CODEC_JSON_CODEC_H
#define PW_CODEC_JSON_CODEC_H

#include "codec/codec.h"

enum pw_json_form {
    PW_JSON_RUST,
    PW_JSON_PYTHON
};

extern const struct pw_codec_ops pw_codec_json;
extern const struct pw_codec_ops pw_codec_json_python;

/* What request_type and response_type say in this form. Static. */
const char *pw_json_operation_name(enum pw_operation operation, enum pw_json_form form);

/* False if `text` names no operation, in either spelling. */
bool pw_json_find_operation(struct pw_str text, enum pw_operation *out);

/*
 * The Rust SDK sends two different ids, of which metadata.id is the key. Ours is the same but for one
 * bit, so that no random number is needed for a beat: a bit of the part that does not count up, as
 * else it would be the key of another request of this connection, and a peer that echoes the wrong
 * one of the two would have replies reach the wrong callers.
 */
static inline struct pywatt_uuid pw_json_envelope_id(const struct pywatt_uuid *request_id)
{
    struct pywatt_uuid id = *request_id;
    id.bytes[0] ^= 1;
    return id;
}

/*
 * As the slots of struct pw_codec_ops, for any message: with the scan. What they accept and write does
 * not depend on whether json_usual.h could have done it.
 */
enum pywatt_status pw_json_encode_request(const struct pw_request *request, enum pw_json_form form,
                                          struct pw_buffer *out, struct pywatt_error *error);
enum pywatt_status pw_json_encode_response(const struct pw_response *response,
                                           enum pw_json_form form, struct pw_buffer *out,
                                           struct pywatt_error *error);
enum pywatt_status pw_json_decode_request(struct pw_span payload,
                                          const struct pw_codec_limits *limits,
                                          struct pw_arena *arena, struct pw_request *message,
                                          bool *recognised, struct pywatt_error *error);
enum pywatt_status pw_json_decode_response(struct pw_span payload,
                                           const struct pw_codec_limits *limits,
                                           struct pw_arena *arena, struct pw_response *message,
                                           struct pywatt_error *error);
enum pywatt_status pw_json_peek_response_id(struct pw_span payload, bool *has_id,
                                            struct pywatt_uuid *id);

#endif

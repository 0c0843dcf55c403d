/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_usual.h - beats and their replies, spelled as our own encoders and the published SDKs spell
 * them, are written from a template and read by comparing with it. A scan of the text takes five
 * times as long to read one. Whatever differs by a single byte is left to the scan, which also says
 * what is wrong with it, so that what is accepted and how it is read is the same either way. No state;
 * any thread; no memory.
 */
#ifndef PW_CODEC_JSON_USUAL_H
#define PW_CODEC_JSON_USUAL_H

#include "codec/json_codec.h"

/*
 * Both fill the message only if it is a usual one, in either form; false: it may still be a message.
 * What stood in it was reset.
 */
bool pw_json_usual_request(struct pw_span payload, const struct pw_codec_limits *limits,
                           struct pw_request *message);
bool pw_json_usual_response(struct pw_span payload, const struct pw_codec_limits *limits,
                            struct pw_response *message);

/* The request id of a usual reply; false if it is none. */
bool pw_json_usual_id(struct pw_span payload, struct pywatt_uuid *id);

/*
 * Both append the message only if it is a usual one and `out` has room at hand; false: nothing was
 * done. It is checked that the message can be written.
 */
bool pw_json_write_usual_request(const struct pw_request *request, enum pw_json_form form,
                                 struct pw_buffer *out);
bool pw_json_write_usual_response(const struct pw_response *response, enum pw_json_form form,
                                  struct pw_buffer *out);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * samples.h - messages of all kinds that the codec tests write, read and compare. One thread.
 *
 * tests/corpus/golden/make-golden builds the same messages with other tools; the bytes that it made
 * stand in the files beside it, <codec>/request-<name> and <codec>/reply-<name>.
 */
#ifndef PW_CODEC_SAMPLES_H
#define PW_CODEC_SAMPLES_H

#include "codec/codec.h"
#include "same.h"

/* A message that was initialised is filled with objects of its own; the view `token` is static. */
struct pw_sample_request {
    const char *name;
    void (*fill)(struct pw_request *request);
};

struct pw_sample_response {
    const char *name;
    void (*fill)(struct pw_response *response);
};

/* Ended by one without a name; those that only some codecs have come last. */
extern const struct pw_sample_request pw_sample_requests[];
extern const struct pw_sample_response pw_sample_responses[];

/* Whether there is a sample left, and the codec has such a message. */
bool pw_sample_fits(const struct pw_codec_ops *codec, const char *name);

/* By name; the test fails if there is none. */
void pw_sample_request(const char *name, struct pw_request *request);
void pw_sample_response(const char *name, struct pw_response *response);

/* ---- Codecs in one line; the test fails if the message cannot be written. ------------------ */

/* What a decoder needs beside the bytes. */
struct pw_reader {
    struct pw_arena arena;
    struct pw_request request;
    struct pw_response response;
    bool recognised;
    struct pywatt_error error;
};

void pw_reader_init(struct pw_reader *reader);
void pw_reader_destroy(struct pw_reader *reader);

/* Read with the default limits, after a reset of the arena. */
enum pywatt_status pw_read_request(struct pw_reader *reader, const struct pw_codec_ops *codec,
                                   struct pw_span payload);
enum pywatt_status pw_read_response(struct pw_reader *reader, const struct pw_codec_ops *codec,
                                    struct pw_span payload);
enum pywatt_status pw_read_request_text(struct pw_reader *reader, const char *json);
enum pywatt_status pw_read_response_text(struct pw_reader *reader, const char *json);

/* The bytes of a sample, in a heap block of exactly their size, which the caller frees. */
struct pw_span pw_sample_request_bytes(const struct pw_codec_ops *codec, const char *name);
struct pw_span pw_sample_response_bytes(const struct pw_codec_ops *codec, const char *name);
void pw_free_bytes(struct pw_span bytes);

/* A copy in a heap block of exactly its size. */
struct pw_span pw_copy_bytes(const void *data, size_t len);

/* Whether an error text has a word that peers would take for something else. */
bool pw_has_forbidden_word(const char *text);

#endif

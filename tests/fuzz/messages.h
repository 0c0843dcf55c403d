/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * messages.h - what the targets of the codecs share: reading under the default limits, and whether a
 * message is still the same when a codec has written it and read it again. Main thread.
 */
#ifndef PW_TESTS_FUZZ_MESSAGES_H
#define PW_TESTS_FUZZ_MESSAGES_H

#include "codec/codec.h"

struct fuzz_reader {
    struct pw_arena arena;
    struct pw_request request;
    struct pw_response response;
    enum pywatt_status status;
    bool recognised;
    struct pywatt_error error;
};

void fuzz_reader_init(struct fuzz_reader *reader);
void fuzz_reader_destroy(struct fuzz_reader *reader);

/* True if it was read; else it was refused with a status of the contract, and words. */
bool fuzz_read_request(struct fuzz_reader *reader, const struct pw_codec_ops *codec,
                       struct pw_span payload);

/* The same, and that peeking at it finds the id that it has. */
bool fuzz_read_response(struct fuzz_reader *reader, const struct pw_codec_ops *codec,
                        struct pw_span payload);

/*
 * Another way to read the same message: both ended alike. `other` is destroyed.
 */
void fuzz_expect_same_request(const struct fuzz_reader *reader, struct fuzz_reader *other,
                              const char *what);
void fuzz_expect_same_response(const struct fuzz_reader *reader, struct fuzz_reader *other,
                               const char *what);

/* A message that was read, written by any codec that can have it, is read as the same. */
void fuzz_carry_request(const struct pw_request *request);
void fuzz_carry_response(const struct pw_response *response);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz.h - what the fuzz targets share: the entry that libFuzzer calls (and replay.c, which gives it
 * the files of the corpus), a check that holds in every build, and a reader of operations. A target
 * is one file with that entry. Main thread.
 */
#ifndef PW_TESTS_FUZZ_H
#define PW_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input, which is `size` bytes and not a byte more. Returns 0; a finding ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is claimed; if it does not hold, the words say what was found. */
#define FUZZ_CHECK(claim, ...)                                                  \
    do {                                                                        \
        if (!(claim)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #claim); \
            fprintf(stderr, __VA_ARGS__);                                       \
            fputc('\n', stderr);                                                \
            abort();                                                            \
        }                                                                       \
    } while (0)

/* An input that is read as a row of numbers; behind its end all are 0. */
struct fuzz_input {
    const uint8_t *at;
    const uint8_t *end;
};

static inline bool fuzz_left(const struct fuzz_input *input)
{
    return input->at < input->end;
}

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
    return fuzz_left(input) ? *input->at++ : 0;
}

static inline uint16_t fuzz_two_bytes(struct fuzz_input *input)
{
    const unsigned high = fuzz_byte(input);
    return (uint16_t)(high << 8 | fuzz_byte(input));
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_private.h - what the files of the JSON scanner share. No state; any thread. All of it works
 * on strings that the scanner has checked, except pw_json_hex4, with which it checks them.
 */
#ifndef PW_BASE_JSON_PRIVATE_H
#define PW_BASE_JSON_PRIVATE_H

#include "base/json_scan.h"

#define PW_JSON_NO_TOKEN UINT32_MAX

/* The value of the 4 hex digits at `at`, or -1 if they are not there before `end`. */
int pw_json_hex4(const uint8_t *at, const uint8_t *end);

static inline bool pw_json_is_high_surrogate(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static inline bool pw_json_is_low_surrogate(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Gives the bytes of a string's value one at a time, without memory for the whole of it. */
struct pw_json_unescaper {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t pending[4];
    unsigned from;
    unsigned to;
};

void pw_json_unescaper_init(struct pw_json_unescaper *u, const uint8_t *base,
                            const struct pw_json_token *token);

/* The next byte, or -1 at the end. */
int pw_json_unescaper_next(struct pw_json_unescaper *u);

/*
 * Looks for a key that stands twice in an object of `members` members (at least 2) that ends the
 * tape of `count` tokens and whose first key is at `first`. Returns the index of the later one, or
 * PW_JSON_NO_TOKEN. Takes no memory, and n log n comparisons at most; the tape is as it was unless
 * a key was found.
 */
uint32_t pw_json_duplicate_key(const uint8_t *base, struct pw_json_token *tokens, uint32_t count,
                               uint32_t first, uint32_t members);

#endif

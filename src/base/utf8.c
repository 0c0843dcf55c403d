/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * utf8.c - checks UTF-8 as RFC 3629 defines it. No state; any thread.
 */
#include "base/utf8.h"

#include "base/bytes16.h"

#include <stdint.h>

#define EIGHT_ONES UINT64_C(0x0101010101010101)
#define EIGHT_HIGH_BITS UINT64_C(0x8080808080808080)

static bool in_range(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t pw_utf8_sequence_len(const uint8_t *at, size_t left)
{
    const uint8_t lead = at[0];
    if (in_range(lead, 0xc2, 0xdf)) {
        return left >= 2 && is_continuation(at[1]) ? 2 : 0;
    }
    if (in_range(lead, 0xe0, 0xef)) {
        /* Below lies an overlong form, above it a surrogate. */
        const uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;
        const uint8_t high = lead == 0xed ? 0x9f : 0xbf;
        return left >= 3 && in_range(at[1], low, high) && is_continuation(at[2]) ? 3 : 0;
    }
    if (in_range(lead, 0xf0, 0xf4)) {
        /* Below lies an overlong form, above it what Unicode does not have. */
        const uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
        const uint8_t high = lead == 0xf4 ? 0x8f : 0xbf;
        return left >= 4 && in_range(at[1], low, high) && is_continuation(at[2]) &&
                       is_continuation(at[3])
                   ? 4
                   : 0;
    }
    return 0;
}

/* Eight bytes of 1 to 127: one that is 0 borrows, one of 128 and more has the bit. */
static bool is_plain(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return ((word | (word - EIGHT_ONES)) & EIGHT_HIGH_BITS) == 0;
}

/* Whether all of 16 bytes or more are of 1 to 127; the last sixteen may overlap those before. */
static bool are_plain(const uint8_t *p, size_t len)
{
    pw_signed16 plain = pw_signed16_load(p + len - 16) > 0;
    for (size_t at = 0; at + 16 < len; at += 16) {
        plain &= pw_signed16_load(p + at) > 0;
    }
    return pw_signed16_all(plain);
}

bool pw_utf8_valid(struct pw_str text)
{
    const uint8_t *p = (const uint8_t *)text.data;
    size_t left = text.len;
    if (left >= 16 && are_plain(p, left)) {
        return true;
    }
    while (left > 0) {
        if (left >= 8) {
            if (is_plain(p)) {
                p += 8;
                left -= 8;
                continue;
            }
        } else if (text.len >= 8 && is_plain(p + left - 8)) {
            return true; /* the last eight, of which some were looked at before */
        }
        size_t len = in_range(*p, 0x01, 0x7f) ? 1 : 0;
        if (*p >= 0x80) {
            len = pw_utf8_sequence_len(p, left);
        }
        if (len == 0) {
            return false;
        }
        p += len;
        left -= len;
    }
    return true;
}

size_t pw_utf8_cut(const char *text, size_t len)
{
    size_t at = len;
    while (at > 0 && len - at < 3 && is_continuation((uint8_t)text[at])) {
        at--;
    }
    return is_continuation((uint8_t)text[at]) ? len : at;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_plain.h - skips the characters of a string that need no look: printable ASCII but quotes and
 * backslashes, sixteen at a time, as strings are most of a JSON message. No state; any thread.
 */
#ifndef PW_BASE_JSON_PLAIN_H
#define PW_BASE_JSON_PLAIN_H

#include "base/bytes16.h"

static inline bool pw_json_is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

/* Of sixteen bytes, which are not plain. */
static inline pw_signed16 pw_json_special16(const void *at)
{
    const pw_signed16 bytes = pw_signed16_load(at);
    return (bytes < 0x20) | (bytes == '"') | (bytes == '\\') | (bytes == 0x7F);
}

/* The first byte from `at` on that is not plain, or `end`. */
static inline const uint8_t *pw_json_skip_plain(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 16) {
        const struct pw_marks marks = pw_signed16_marks(pw_json_special16(at));
        if (marks.first != 0) {
            return at + pw_first_mark(marks.first);
        }
        if (marks.last != 0) {
            return at + 8 + pw_first_mark(marks.last);
        }
        at += 16;
    }
    while (at < end && pw_json_is_plain(*at)) {
        at++;
    }
    return at;
}

/* Whether there is nothing but plain characters. */
static inline bool pw_json_all_plain(struct pw_str text)
{
    const uint8_t *const at = (const uint8_t *)text.data;
    if (text.len < 16) {
        return text.len == 0 || pw_json_skip_plain(at, at + text.len) == at + text.len;
    }
    /* The last sixteen may overlap those before. */
    pw_signed16 special = pw_json_special16(at + text.len - 16);
    for (size_t i = 0; i + 16 < text.len; i += 16) {
        special |= pw_json_special16(at + i);
    }
    const struct pw_marks marks = pw_signed16_marks(special);
    return (marks.first | marks.last) == 0;
}

#endif

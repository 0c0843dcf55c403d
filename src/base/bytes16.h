/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bytes16.h - sixteen bytes at once. gcc and clang know these types on every processor, use its
 * vector registers where it has them, and do without where not, so there is one spelling for all.
 * Every operation is one on each byte by itself, and the order of the bytes is that of memory. No
 * state; any thread.
 */
#ifndef PW_BASE_BYTES16_H
#define PW_BASE_BYTES16_H

#include "base/bytes.h"

typedef uint8_t pw_bytes16 __attribute__((vector_size(16)));

/* With signs, which processors compare faster; as a result, of each byte -1 for yes and 0 for no. */
typedef int8_t pw_signed16 __attribute__((vector_size(16)));

static inline pw_bytes16 pw_bytes16_load(const void *at)
{
    pw_bytes16 bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return bytes;
}

static inline pw_signed16 pw_signed16_load(const void *at)
{
    return (pw_signed16)pw_bytes16_load(at);
}

/* Bits for the first and the last eight bytes: of each byte none, or all of its own. */
struct pw_marks {
    uint64_t first;
    uint64_t last;
};

static inline struct pw_marks pw_signed16_marks(pw_signed16 yes)
{
    struct pw_marks marks;
    memcpy(&marks, &yes, sizeof(marks));
    return marks;
}

static inline bool pw_signed16_all(pw_signed16 yes)
{
    const struct pw_marks marks = pw_signed16_marks(yes);
    return (marks.first & marks.last) == UINT64_MAX;
}

/* Where the first marked byte of eight stands; not for 0. */
static inline size_t pw_first_mark(uint64_t marks)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (size_t)__builtin_clzll(marks) / 8;
#else
    return (size_t)__builtin_ctzll(marks) / 8;
#endif
}

#endif

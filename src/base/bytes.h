/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bytes.h - views on bytes that somebody else owns, and big-endian numbers. No threads, no state.
 */
#ifndef PW_BASE_BYTES_H
#define PW_BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes owned elsewhere; not NUL-terminated. `data` may be NULL only if `len` is 0. */
struct pw_span {
    const uint8_t *data;
    size_t len;
};

/* Text owned elsewhere; not NUL-terminated unless its maker says so. */
struct pw_str {
    const char *data;
    size_t len;
};

#define PW_STR_LITERAL(text) ((struct pw_str){(text), sizeof(text) - 1})

/* Of the lowest four bits. */
static inline char pw_hex_digit(uint32_t value)
{
    return "0123456789abcdef"[value & 15];
}

static inline struct pw_str pw_str_from(const char *text)
{
    return (struct pw_str){text, text == NULL ? 0 : strlen(text)};
}

static inline bool pw_str_equal(struct pw_str a, struct pw_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline uint32_t pw_load_be32(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | (uint32_t)p[3];
}

static inline void pw_store_be32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static inline uint64_t pw_load_be64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof(value));
    return be64toh(value);
}

static inline void pw_store_be64(uint8_t *p, uint64_t value)
{
    value = htobe64(value);
    memcpy(p, &value, sizeof(value));
}

/* Bytes that a processor moves at once; what is used together stands in few of these. */
#define PW_CACHE_LINE 64

/* The object of `type` whose `member` is at `ptr`. */
#define PW_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif

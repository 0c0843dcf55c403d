/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * proto_wire.h - varints, tags and lengths of the protobuf wire, both ways. No state; any thread.
 */
#ifndef PW_CODEC_PROTO_WIRE_H
#define PW_CODEC_PROTO_WIRE_H

#include "base/bytes.h"

enum pw_wire_type {
    PW_WIRE_VARINT = 0,
    PW_WIRE_FIXED64 = 1,
    PW_WIRE_BYTES = 2,
    PW_WIRE_FIXED32 = 5
};

struct pw_wire {
    const uint8_t *at;
    const uint8_t *end;
};

/* One field as it stands on the wire. */
struct pw_wire_field {
    uint32_t number;
    enum pw_wire_type type;
    uint64_t value;       /* VARINT */
    struct pw_span bytes; /* BYTES, FIXED64, FIXED32 */
};

static inline struct pw_wire pw_wire_of(struct pw_span bytes)
{
    return (struct pw_wire){bytes.data, bytes.data + bytes.len};
}

/* False for more than 10 bytes, more than 64 bits, or no end. */
bool pw_wire_long_varint(struct pw_wire *wire, uint64_t *out);

static inline bool pw_wire_varint(struct pw_wire *wire, uint64_t *out)
{
    if (wire->at < wire->end && *wire->at < 0x80) {
        *out = *wire->at++;
        return true;
    }
    return pw_wire_long_varint(wire, out);
}

/* Takes a field with its value; false if the bytes are none. Not for wire->at == wire->end. */
bool pw_wire_next(struct pw_wire *wire, struct pw_wire_field *field);

static inline uint32_t pw_wire_fixed32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* ---- Writing: the caller has made room ---------------------------------------------------- */

static inline size_t pw_wire_varint_len(uint64_t value)
{
    /* 7 bits a byte: (bits + 6) / 7 without a division; 0 has one bit, too. */
    const unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (bits * 9 + 64) / 64;
}

/* Of a field with a number below 16 and `len` bytes. */
static inline size_t pw_wire_bytes_len(size_t len)
{
    return 1 + pw_wire_varint_len(len) + len;
}

static inline uint8_t *pw_wire_put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint8_t *pw_wire_put_number(uint8_t *at, unsigned number, uint64_t value)
{
    *at++ = (uint8_t)(number << 3 | PW_WIRE_VARINT);
    return pw_wire_put_varint(at, value);
}

static inline uint8_t *pw_wire_put_fixed32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
    return at + 4;
}

/* Tag and length; the bytes themselves follow. */
static inline uint8_t *pw_wire_put_length(uint8_t *at, unsigned number, size_t len)
{
    *at++ = (uint8_t)(number << 3 | PW_WIRE_BYTES);
    return pw_wire_put_varint(at, len);
}

static inline uint8_t *pw_wire_put_bytes(uint8_t *at, unsigned number, const void *data, size_t len)
{
    at = pw_wire_put_length(at, number, len);
    memcpy(at, data, len);
    return at + len;
}

#endif

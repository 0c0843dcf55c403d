/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * proto_wire.c - varints, tags and lengths of the protobuf wire. No state; any thread.
 */
#include "codec/proto_wire.h"

/* The highest tag that a field number of 29 bits and a wire type make. */
#define TAG_MAX UINT32_MAX

bool pw_wire_long_varint(struct pw_wire *wire, uint64_t *out)
{
    uint64_t value = 0;
    const uint8_t *at = wire->at;
    for (unsigned shift = 0; shift < 70 && at < wire->end; shift += 7) {
        const uint8_t byte = *at++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            wire->at = at;
            *out = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct pw_wire *wire, uint64_t len, struct pw_span *out)
{
    if (len > (size_t)(wire->end - wire->at)) {
        return false;
    }
    *out = (struct pw_span){wire->at, (size_t)len};
    wire->at += len;
    return true;
}

bool pw_wire_next(struct pw_wire *wire, struct pw_wire_field *field)
{
    uint64_t tag = 0;
    uint64_t len = 0;
    if (!pw_wire_varint(wire, &tag) || tag > TAG_MAX || tag < 8) {
        return false;
    }
    field->number = (uint32_t)(tag >> 3);
    field->type = (enum pw_wire_type)(tag & 7);
    switch (field->type) {
    case PW_WIRE_VARINT: return pw_wire_varint(wire, &field->value);
    case PW_WIRE_BYTES: return pw_wire_varint(wire, &len) && take_bytes(wire, len, &field->bytes);
    case PW_WIRE_FIXED64: return take_bytes(wire, 8, &field->bytes);
    case PW_WIRE_FIXED32: return take_bytes(wire, 4, &field->bytes);
    default: return false; /* groups, and types that there are none of */
    }
}

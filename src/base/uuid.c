/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uuid.c - makes, reads and writes UUIDs. Each message has one to three of them as text, so both
 * directions go through tables. No state of ours; any thread.
 */
#include "base/uuid.h"

#include <string.h>
#include <uuid/uuid.h>

#define NOT_HEX 0x10

/* The value of each character as a hexadecimal digit. */
static const uint8_t digit_values[256] = {
#define NONE_4 NOT_HEX, NOT_HEX, NOT_HEX, NOT_HEX
#define NONE_16 NONE_4, NONE_4, NONE_4, NONE_4
    /* 0x00 */ NONE_16,
    NONE_16,
    NONE_16,
    /* '0' */ 0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    NOT_HEX,
    NOT_HEX,
    NONE_4,
    /* '@' */ NOT_HEX,
    10,
    11,
    12,
    13,
    14,
    15,
    NOT_HEX,
    NONE_4,
    NONE_4,
    /* 'P' */ NONE_16,
    /* '`' */ NOT_HEX,
    10,
    11,
    12,
    13,
    14,
    15,
    NOT_HEX,
    NONE_4,
    NONE_4,
    /* 'p' */ NONE_16,
    /* 0x80 */ NONE_16,
    NONE_16,
    NONE_16,
    NONE_16,
    NONE_16,
    NONE_16,
    NONE_16,
    NONE_16,
#undef NONE_16
#undef NONE_4
};

/* "00" to "ff", two characters for each byte. */
#define ROW(high)                                                                                  \
    high "0" high "1" high "2" high "3" high "4" high "5" high "6" high "7" high "8" high "9" high \
         "a" high "b" high "c" high "d" high "e" high "f"
static const char byte_texts[513] = ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6")
    ROW("7") ROW("8") ROW("9") ROW("a") ROW("b") ROW("c") ROW("d") ROW("e") ROW("f");
#undef ROW

/* Where the two characters of each byte stand in the text. */
static const uint8_t positions[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
static const uint8_t dashes[4] = {8, 13, 18, 23};

bool pw_uuid_parse_str(struct pw_str text, struct pywatt_uuid *out)
{
    if (text.len != PW_UUID_TEXT_LEN) {
        return false;
    }
    for (size_t i = 0; i < sizeof(dashes); i++) {
        if (text.data[dashes[i]] != '-') {
            return false;
        }
    }
    struct pywatt_uuid uuid;
    uint8_t seen = 0;
    for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
        const uint8_t high = digit_values[(uint8_t)text.data[positions[i]]];
        const uint8_t low = digit_values[(uint8_t)text.data[positions[i] + 1]];
        seen |= high | low;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (seen & NOT_HEX) {
        return false;
    }
    *out = uuid;
    return true;
}

void pw_uuid_write(const struct pywatt_uuid *uuid, char *out)
{
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        memcpy(out + positions[i], byte_texts + 2 * (size_t)uuid->bytes[i], 2);
    }
    for (size_t i = 0; i < sizeof(dashes); i++) {
        out[dashes[i]] = '-';
    }
}

void pywatt_uuid_generate(struct pywatt_uuid *out)
{
    _Static_assert(sizeof(uuid_t) == sizeof(out->bytes), "both are 16 bytes");
    uuid_generate_random(out->bytes);
}

enum pywatt_status pywatt_uuid_parse(const char *text, struct pywatt_uuid *out)
{
    if (text == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    /* One more than a UUID has, so that the rest of a long text is not read. */
    const struct pw_str view = {text, strnlen(text, PW_UUID_TEXT_LEN + 1)};
    return pw_uuid_parse_str(view, out) ? PYWATT_OK : PYWATT_INVALID_ARGUMENT;
}

void pywatt_uuid_format(const struct pywatt_uuid *uuid, char out[PYWATT_UUID_TEXT_SIZE])
{
    pw_uuid_write(uuid, out);
    out[PW_UUID_TEXT_LEN] = '\0';
}

bool pywatt_uuid_equal(const struct pywatt_uuid *a, const struct pywatt_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool pywatt_uuid_is_nil(const struct pywatt_uuid *uuid)
{
    static const struct pywatt_uuid nil;
    return pywatt_uuid_equal(uuid, &nil);
}

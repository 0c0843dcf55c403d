/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uuid.c - makes, reads and writes UUIDs. Each JSON message has one to three of them as text, so
 * all digits are worked on at once, which takes a third of the time of tables. No state of ours; any
 * thread.
 */
#include "base/uuid.h"

#include "base/bytes16.h"

#include <string.h>
#include <uuid/uuid.h>

/* The text's 32 digits stand in four pieces of four or more, each of which is a number of these. */
typedef uint32_t digits4x4 __attribute__((vector_size(16)));

static inline uint32_t load_digits(const char *at)
{
    uint32_t digits;
    memcpy(&digits, at, sizeof(digits));
    return digits;
}

static inline void store_digits(char *at, uint32_t digits)
{
    memcpy(at, &digits, sizeof(digits));
}

/* The value of each digit; *are_digits says which are digits at all. */
static inline pw_bytes16 digit_values(pw_bytes16 text, pw_signed16 *are_digits)
{
    const pw_bytes16 decimal = text - '0';
    const pw_bytes16 letter = (text | 0x20) - 'a';
    const pw_bytes16 is_decimal = (pw_bytes16)(decimal < 10);
    const pw_bytes16 is_letter = (pw_bytes16)(letter < 6);
    *are_digits = (pw_signed16)(is_decimal | is_letter);
    return (decimal & is_decimal) | ((letter + 10) & is_letter);
}

bool pw_uuid_parse_str(struct pw_str text, struct pywatt_uuid *out)
{
    const char *at = text.data;
    if (text.len != PW_UUID_TEXT_LEN || at[8] != '-' || at[13] != '-' || at[18] != '-' ||
        at[23] != '-') {
        return false;
    }
    const digits4x4 front = {load_digits(at), load_digits(at + 4), load_digits(at + 9),
                             load_digits(at + 14)};
    const digits4x4 back = {load_digits(at + 19), load_digits(at + 24), load_digits(at + 28),
                            load_digits(at + 32)};
    pw_signed16 first_are;
    pw_signed16 last_are;
    const pw_bytes16 first = digit_values((pw_bytes16)front, &first_are);
    const pw_bytes16 last = digit_values((pw_bytes16)back, &last_are);
    if (!pw_signed16_all(first_are & last_are)) {
        return false;
    }
    const pw_bytes16 high = __builtin_shufflevector(first, last, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
                                                    20, 22, 24, 26, 28, 30);
    const pw_bytes16 low = __builtin_shufflevector(first, last, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19,
                                                   21, 23, 25, 27, 29, 31);
    const pw_bytes16 bytes = high << 4 | low;
    memcpy(out->bytes, &bytes, sizeof(bytes));
    return true;
}

static inline digits4x4 digits_of(pw_signed16 values)
{
    return (digits4x4)(values + '0' + ((values > 9) & ('a' - '0' - 10)));
}

void pw_uuid_write(const struct pywatt_uuid *uuid, char *out)
{
    const pw_bytes16 bytes = pw_bytes16_load(uuid->bytes);
    const pw_bytes16 high = bytes >> 4;
    const pw_bytes16 low = bytes & 0x0F;
    const digits4x4 front = digits_of((pw_signed16)__builtin_shufflevector(
        high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    const digits4x4 back = digits_of((pw_signed16)__builtin_shufflevector(
        high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    store_digits(out, front[0]);
    store_digits(out + 4, front[1]);
    store_digits(out + 9, front[2]);
    store_digits(out + 14, front[3]);
    store_digits(out + 19, back[0]);
    store_digits(out + 24, back[1]);
    store_digits(out + 28, back[2]);
    store_digits(out + 32, back[3]);
    out[8] = out[13] = out[18] = out[23] = '-';
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

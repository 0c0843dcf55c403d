/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See printable.h. */
#include "orchestrator/printable.h"

#include <stdint.h>
#include <string.h>

size_t printable_character(const char *text, size_t len)
{
    static const struct {
        unsigned char mask, lead, size;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xe0, 0xc0, 2, 0x80},
                 {0xf0, 0xe0, 3, 0x800},
                 {0xf8, 0xf0, 4, 0x10000}};
    const unsigned char *at = (const unsigned char *)text;

    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        if ((at[0] & forms[f].mask) != forms[f].lead) {
            continue;
        }
        uint32_t code = at[0] & (unsigned char)~forms[f].mask;
        for (size_t i = 1; i < forms[f].size; i++) {
            if (i >= len || (at[i] & 0xc0) != 0x80) {
                return 0;
            }
            code = code << 6 | (at[i] & 0x3fu);
        }
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        return code < forms[f].least || code > 0x10ffff || surrogate ? 0 : forms[f].size;
    }
    return 0;
}

bool printable_is_control(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    return (at[0] < ' ' && at[0] != '\t') || at[0] == 127 || (at[0] == 0xc2 && at[1] < 0xa0);
}

void printable_make(char *text)
{
    const size_t len = strlen(text);
    size_t size;

    for (size_t i = 0; i < len; i += size) {
        size = printable_character(text + i, len - i);
        if (size == 0 || printable_is_control(text + i)) {
            size = size == 0 ? 1 : size;
            memset(text + i, '?', size);
        }
    }
}

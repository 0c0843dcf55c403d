/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * text.c - checks and copies of the model's texts. No state; any thread.
 */
#include "model/text.h"

#include "base/utf8.h"

#include <stdlib.h>

enum pywatt_status pw_text_check(struct pw_str text, size_t max, bool may_be_empty)
{
    if (text.len > max) {
        return PYWATT_LIMIT;
    }
    if ((text.len == 0 && !may_be_empty) || !pw_utf8_valid(text)) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return PYWATT_OK;
}

char *pw_text_copy(struct pw_str text)
{
    char *copy = malloc(text.len + 1);
    if (copy != NULL) {
        if (text.len > 0) {
            memcpy(copy, text.data, text.len);
        }
        copy[text.len] = '\0';
    }
    return copy;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool pw_text_equal_nocase(struct pw_str a, struct pw_str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

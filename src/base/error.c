/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * error.c - writes error texts. No state; any thread, each with its own struct pywatt_error.
 *
 * Texts are formatted aside and then copied, as an argument may be the text that is replaced.
 */
#include "base/error.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX (PYWATT_ERROR_TEXT_MAX - 1)

/* One byte more than fits, as the cut has to see what it cuts off. */
#define FORMAT_SIZE (TEXT_MAX + 2)

static size_t format_text(char text[FORMAT_SIZE], const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Formats, cuts at a character's boundary, and returns the length. */
static size_t format_text(char text[FORMAT_SIZE], const char *format, va_list args)
{
    const int wanted = vsnprintf(text, FORMAT_SIZE, format, args);
    size_t len = wanted < 0 ? 0 : (size_t)wanted;
    if (len > TEXT_MAX) {
        len = pw_utf8_cut(text, TEXT_MAX);
    }
    text[len] = '\0';
    return len;
}

enum pywatt_status pw_error_set(struct pywatt_error *error, enum pywatt_status status,
                                const char *format, ...)
{
    if (error != NULL) {
        char text[FORMAT_SIZE];
        va_list args;
        va_start(args, format);
        const size_t len = format_text(text, format, args);
        va_end(args);
        memcpy(error->text, text, len + 1);
        error->status = status;
    }
    return status;
}

void pw_error_prefix(struct pywatt_error *error, const char *format, ...)
{
    if (error == NULL) {
        return;
    }
    char text[FORMAT_SIZE];
    va_list args;
    va_start(args, format);
    const size_t prefix_len = format_text(text, format, args);
    va_end(args);

    char joined[2 * PYWATT_ERROR_TEXT_MAX];
    memcpy(joined, text, prefix_len);
    memcpy(joined + prefix_len, ": ", 2);
    const size_t old_len = strnlen(error->text, TEXT_MAX);
    memcpy(joined + prefix_len + 2, error->text, old_len);
    size_t len = prefix_len + 2 + old_len;
    if (len > TEXT_MAX) {
        len = pw_utf8_cut(joined, TEXT_MAX);
    }
    memcpy(error->text, joined, len);
    error->text[len] = '\0';
}

enum pywatt_status pw_error_no_memory(struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_NO_MEMORY, "%s", pywatt_status_text(PYWATT_NO_MEMORY));
}

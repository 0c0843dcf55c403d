/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * words.c - errno, URLs and lists of reasons as text. No state; any thread.
 */
#include "transport/words.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a URL that a message shows; then come "..." and the quotation mark. */
#define URL_SHOWN 90

const char *pw_words_errno(int number, char buffer[PW_WORDS_ERRNO_MAX])
{
    return strerror_r(number, buffer, PW_WORDS_ERRNO_MAX);
}

const char *pw_words_url(const char *url, char buffer[PW_WORDS_URL_MAX])
{
    const size_t whole = strlen(url);
    const bool is_text = pw_utf8_valid((struct pw_str){url, whole});
    size_t shown = whole;
    if (whole > URL_SHOWN) {
        shown = is_text ? pw_utf8_cut(url, URL_SHOWN) : URL_SHOWN;
    }
    size_t at = 0;
    buffer[at++] = '"';
    for (size_t i = 0; i < shown; i++) {
        const unsigned char byte = (unsigned char)url[i];
        const bool bad = byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_text);
        buffer[at++] = bad ? '?' : url[i];
    }
    strcpy(buffer + at, shown < whole ? "...\"" : "\"");
    return buffer;
}

void pw_reasons_add(struct pw_reasons *reasons, const char *where, const char *why)
{
    const size_t room = sizeof(reasons->text) - reasons->len;
    const int wanted = snprintf(reasons->text + reasons->len, room, "%s%s: %s",
                                reasons->len == 0 ? "" : "; ", where, why);
    if (wanted > 0) {
        reasons->len += (size_t)wanted < room ? (size_t)wanted : room - 1;
    }
}

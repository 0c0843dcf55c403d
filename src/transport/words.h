/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * words.h - the pieces that error texts of the transports are made of. No state; any thread.
 */
#ifndef PW_TRANSPORT_WORDS_H
#define PW_TRANSPORT_WORDS_H

#include <stddef.h>

/* The system's words for an errno, in the caller's `buffer` or static. */
#define PW_WORDS_ERRNO_MAX 64
const char *pw_words_errno(int number, char buffer[PW_WORDS_ERRNO_MAX]);

/*
 * `url` between quotation marks, fit for a message: cut at about 90 bytes so that it never pushes
 * out what is wrong with it, unprintable bytes replaced by '?'.
 */
#define PW_WORDS_URL_MAX 100
const char *pw_words_url(const char *url, char buffer[PW_WORDS_URL_MAX]);

/* Why each of several attempts failed: "1.2.3.4:5: Connection refused; [::1]:5: no answer". */
#define PW_REASONS_MAX 256
struct pw_reasons {
    char text[PW_REASONS_MAX];
    size_t len;
};

/* Appends one; what no longer fits is cut. */
void pw_reasons_add(struct pw_reasons *reasons, const char *where, const char *why);

#endif

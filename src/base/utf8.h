/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * utf8.h - whether bytes are text. No state; any thread.
 */
#ifndef PW_BASE_UTF8_H
#define PW_BASE_UTF8_H

#include "base/bytes.h"

#include <stdbool.h>

/* True for well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF) without U+0000. */
bool pw_utf8_valid(struct pw_str text);

/*
 * Length of the character at `at`, which is of more than one byte and has `left` bytes up to the
 * text's end: 2 to 4, or 0 if it is not well-formed.
 */
size_t pw_utf8_sequence_len(const uint8_t *at, size_t left);

/*
 * Where to cut `text`, which goes on behind its first `len` bytes, so that no character is cut in
 * two: `len`, or up to 3 less. Text that is no UTF-8 is cut somewhere there.
 */
size_t pw_utf8_cut(const char *text, size_t len);

#endif

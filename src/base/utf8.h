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

#endif

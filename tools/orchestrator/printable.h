/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* printable.h - which bytes are text that a terminal and a log take. No state; any thread. */
#ifndef ORCHESTRATOR_PRINTABLE_H
#define ORCHESTRATOR_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the character at `at`, of `len` that there are, or 0 if it is none of UTF-8. */
size_t printable_character(const char *at, size_t len);

/* The character at `at` is a control character other than a tab. */
bool printable_is_control(const char *at);

/* A '?' for each byte of what is no character, or a control character. */
void printable_make(char *text);

#endif

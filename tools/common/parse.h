/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * parse.h - the values of options: numbers, times, names out of a list, KEY=VALUE.
 *
 * Each returns 0 and sets *out, or says what is wrong with which option, leaves *out alone, and
 * returns TOOL_EXIT_USAGE. No state; any thread.
 */
#ifndef TOOL_PARSE_H
#define TOOL_PARSE_H

#include <stddef.h>
#include <stdint.h>

/* A whole decimal number from `min` to `max`. */
int tool_parse_u64(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out);
int tool_parse_u32(const char *option, const char *text, uint32_t min, uint32_t max, uint32_t *out);

/* A time in milliseconds: "250", "250ms", "2s", "5m", "1h". The limits are in milliseconds. */
int tool_parse_time_ms(const char *option, const char *text, uint64_t min, uint64_t max,
                       uint64_t *out);
int tool_parse_time_ms_u32(const char *option, const char *text, uint32_t min, uint32_t max,
                           uint32_t *out);

/* One of the `count` words; *out is its index. */
int tool_parse_word(const char *option, const char *text, const char *const *words, size_t count,
                    int *out);

/*
 * KEY=VALUE; the key is not empty, the value may be. *key is a copy on the heap that the caller
 * frees, *value points into `text`. Also returns TOOL_EXIT_OTHER when memory is out.
 */
int tool_parse_pair(const char *option, const char *text, char **key, const char **value);

#endif

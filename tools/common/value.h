/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * value.h - texts that stand for values, wherever they come from: options, files, the environment.
 *
 * Each returns true and sets *out; or returns false, leaves *out alone, and writes into `why` what is
 * wrong and what would be right, beginning with the text in quotes. No state; any thread.
 */
#ifndef TOOL_VALUE_H
#define TOOL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_WHY_SIZE 512

/* A whole decimal number from `min` to `max`. */
bool tool_value_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                    char why[TOOL_WHY_SIZE]);

/* A time in milliseconds: "250", "250ms", "2s", "5m", "1h". The limits are in milliseconds. */
bool tool_value_time_ms(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                        char why[TOOL_WHY_SIZE]);

/* A size in bytes: "4096", "4096B", "256KiB", "1MiB", "2GiB". */
bool tool_value_size(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                     char why[TOOL_WHY_SIZE]);

/* One of the `count` words; *out is its index. */
bool tool_value_word(const char *text, const char *const *words, size_t count, int *out,
                     char why[TOOL_WHY_SIZE]);

/* "yes" or "no". */
bool tool_value_yes(const char *text, bool *out, char why[TOOL_WHY_SIZE]);

/*
 * HOST:PORT or [HOST]:PORT, with a port from 1 to 65535. *host and *host_len are the part of `text`
 * without brackets.
 */
bool tool_value_host_port(const char *text, const char **host, size_t *host_len, uint16_t *port,
                          char why[TOOL_WHY_SIZE]);

#endif

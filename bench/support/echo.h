/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * echo.h - the floor that a round trip is compared with: a thread that reads so many bytes from a
 * socket and writes so many back, and nothing else. One caller at a time.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <stddef.h>

struct bench_echo;

/* Starts the thread over a connection of the scheme: tcp, unix, or memory (a socket pair). */
struct bench_echo *bench_echo_start(const char *scheme, size_t request_bytes, size_t reply_bytes);

/* One round trip; what comes back is checked. */
void bench_echo_call(struct bench_echo *echo);

/* Ends the thread and frees everything. */
void bench_echo_stop(struct bench_echo *echo);

#endif

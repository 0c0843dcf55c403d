/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * asynchronous.h - beats of many modules through pywatt_heartbeat_async, many under way, the answer
 * to each looked at. One thread at a time; answers come on the client's dispatcher thread.
 */
#ifndef BENCH_ASYNCHRONOUS_H
#define BENCH_ASYNCHRONOUS_H

#include "support/crowd.h"

struct bench_asynchronous;

/* `crowd` is borrowed. At most `window` beats are under way. */
struct bench_asynchronous *bench_asynchronous_new(const struct bench_crowd *crowd, size_t window);

/* Once the crowd is closed: its last answer may still be on its way out. */
void bench_asynchronous_free(struct bench_asynchronous *self);

/* Beats a second. */
double bench_asynchronous_rate(struct bench_asynchronous *self, uint64_t time_ns);

#endif

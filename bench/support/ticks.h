/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ticks.h - when something happened that should happen every so often at absolute times: how late
 * each was, and whether the whole drifts. Where the first one should have been is not known, so the
 * most punctual hundredth of all counts as punctual. One thread at a time.
 */
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H

#include "support/histogram.h"

#include <stddef.h>
#include <stdint.h>

struct bench_ticks {
    uint64_t interval_ns;
    uint64_t *times_ns;
    size_t count;
    size_t capacity;
};

void bench_ticks_init(struct bench_ticks *ticks, uint64_t interval_ns, size_t capacity);
void bench_ticks_destroy(struct bench_ticks *ticks);

/* One tick; what comes after the capacity is left out. */
void bench_ticks_add(struct bench_ticks *ticks, uint64_t now_ns);

/* How late each was, into `lateness`. */
void bench_ticks_lateness(const struct bench_ticks *ticks, struct bench_histogram *lateness);

/* Nanoseconds by which the last quarter has moved against the first, by their medians. */
int64_t bench_ticks_drift_ns(const struct bench_ticks *ticks);

/* The number of the last tick, counted from 0 for the first: how many there should have been. */
uint64_t bench_ticks_last(const struct bench_ticks *ticks);

#endif

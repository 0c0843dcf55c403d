/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * histogram.h - records durations for a struct pywatt_histogram, without a lock. Any thread adds,
 * any thread reads: each number is exact, they are not of one instant.
 */
#ifndef PW_BASE_HISTOGRAM_H
#define PW_BASE_HISTOGRAM_H

#include <pywatt/histogram.h>

#include <stdatomic.h>
#include <stdint.h>

struct pw_recorder {
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t max_ns;
    _Atomic uint64_t buckets[PYWATT_HISTOGRAM_BUCKETS];
};

/* Empties it. Before anybody else knows it. */
void pw_recorder_init(struct pw_recorder *recorder);

/* Adds `times` durations of the same length. */
void pw_recorder_add(struct pw_recorder *recorder, uint64_t duration_ns, uint64_t times);

void pw_recorder_read(const struct pw_recorder *recorder, struct pywatt_histogram *out);

#endif

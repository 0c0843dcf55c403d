/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * histogram.h - how often which duration came. Plain values: any thread may read one that it has;
 * nothing blocks, nothing is allocated.
 *
 * Each power of two of nanoseconds, from 2^10 (about a microsecond) to 2^36 (about 69 s), is cut
 * into eight equal buckets, so that a duration is known to 12.5 % whatever its size. What is shorter
 * falls into the first bucket, what is longer into the last.
 */
#ifndef PYWATT_HISTOGRAM_H
#define PYWATT_HISTOGRAM_H

#include <pywatt/export.h>

#include <stdint.h>

PYWATT_BEGIN_DECLS

#define PYWATT_HISTOGRAM_BUCKETS 210

struct pywatt_histogram {
    uint64_t count;  /* all of them: the sum of the buckets */
    uint64_t sum_ns; /* of all durations, for the mean */
    uint64_t max_ns; /* the longest, as it was */
    uint64_t buckets[PYWATT_HISTOGRAM_BUCKETS];
};

/*
 * The longest duration that falls into bucket `index`, in nanoseconds; UINT64_MAX for the last
 * bucket, and for an index beyond it.
 */
PYWATT_API uint64_t pywatt_histogram_bound_ns(unsigned index);

/*
 * A duration, in nanoseconds, that `per_million` millionths of those in *histogram do not exceed:
 * 500000 asks for the median, 999000 for the 99.9th percentile, 1000000 (and more) for the
 * longest. Never less than the exact value, and too long by 12.5 % at most. 0 if there are none, or
 * for NULL. `histogram` is borrowed.
 */
PYWATT_API uint64_t pywatt_histogram_at(const struct pywatt_histogram *histogram,
                                        uint32_t per_million);

PYWATT_END_DECLS

#endif

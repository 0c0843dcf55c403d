/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * histogram.h - how often which value came, in log-linear buckets: each power of two is cut into
 * 128 equal parts, so a value is known to better than 1 % whatever its size, and adding one is a few
 * instructions. One thread at a time; threads keep one each, and merge.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define BENCH_HISTOGRAM_BITS 7
#define BENCH_HISTOGRAM_PARTS (1u << BENCH_HISTOGRAM_BITS)
#define BENCH_HISTOGRAM_BUCKETS ((64u - BENCH_HISTOGRAM_BITS + 1u) * BENCH_HISTOGRAM_PARTS)

struct bench_histogram {
    uint64_t buckets[BENCH_HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

/* An empty one, which the caller frees with free(); ends the program when memory is out. */
struct bench_histogram *bench_histogram_new(void);
void bench_histogram_add(struct bench_histogram *histogram, uint64_t value);
void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from);

/*
 * The smallest value that is not less than `per_million` millionths of all: 500000 is the median,
 * 999900 the 99.99th percentile, 1000000 the largest value. Too large by at most one part of its
 * power of two; 0 if there are none.
 */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, unsigned per_million);

/*
 * A new histogram in which no value hides those that it kept from being taken (coordinated
 * omission): somebody who does one thing after the other, every `expected` apart, does nothing
 * while one takes `value` long; so to each value come value - expected, value - 2 * expected, ...
 * down to `expected`, as in the published HdrHistogram method. The caller frees it.
 */
struct bench_histogram *bench_histogram_corrected(const struct bench_histogram *histogram,
                                                  uint64_t expected);

#define BENCH_P50 500000u
#define BENCH_P99 990000u
#define BENCH_P9999 999900u

#endif

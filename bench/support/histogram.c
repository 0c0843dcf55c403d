/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See histogram.h. */
#include "support/histogram.h"

#include <stdio.h>
#include <stdlib.h>

/* Values below 2 * PARTS are their own bucket; above, the leading bits say which. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * BENCH_HISTOGRAM_PARTS) {
        return (unsigned)value;
    }
    unsigned octave = 63u - (unsigned)__builtin_clzll(value) - BENCH_HISTOGRAM_BITS;
    unsigned part = (unsigned)(value >> octave) - BENCH_HISTOGRAM_PARTS;
    return (octave + 1) * BENCH_HISTOGRAM_PARTS + part;
}

/* The largest value that falls into a bucket. */
static uint64_t top_of(unsigned bucket)
{
    if (bucket < 2 * BENCH_HISTOGRAM_PARTS) {
        return bucket;
    }
    unsigned octave = bucket / BENCH_HISTOGRAM_PARTS - 1;
    uint64_t part = bucket % BENCH_HISTOGRAM_PARTS + BENCH_HISTOGRAM_PARTS;
    return (part << octave) + ((UINT64_C(1) << octave) - 1);
}

struct bench_histogram *bench_histogram_new(void)
{
    struct bench_histogram *histogram = calloc(1, sizeof(*histogram));

    if (histogram == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return histogram;
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from)
{
    for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
    into->count += from->count;
    if (from->max > into->max) {
        into->max = from->max;
    }
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, unsigned per_million)
{
    /* Split, so that the product stays in range whatever the count. */
    uint64_t whole = histogram->count / 1000000 * per_million;
    uint64_t wanted = whole + (histogram->count % 1000000 * per_million + 999999) / 1000000;
    uint64_t seen = 0;

    for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0) {
            return top_of(i) < histogram->max ? top_of(i) : histogram->max;
        }
    }
    return 0;
}

struct bench_histogram *bench_histogram_corrected(const struct bench_histogram *histogram,
                                                  uint64_t expected)
{
    struct bench_histogram *corrected = bench_histogram_new();

    bench_histogram_merge(corrected, histogram);
    if (expected == 0) {
        return corrected;
    }
    for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = histogram->buckets[i];
        if (count == 0) {
            continue;
        }
        uint64_t value = top_of(i) < histogram->max ? top_of(i) : histogram->max;
        while (value >= 2 * expected) {
            value -= expected;
            corrected->buckets[bucket_of(value)] += count;
            corrected->count += count;
        }
    }
    return corrected;
}

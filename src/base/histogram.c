/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * histogram.c - durations in log-linear buckets. Any thread; all of a recorder is atomic.
 */
#include "base/histogram.h"

#include "base/tool_hints.h"

#include <stddef.h>

enum {
    FIRST_BITS = 10, /* 2^10 ns: below it is the first bucket */
    PART_BITS = 3,
    PARTS = 1 << PART_BITS,
    LAST = PYWATT_HISTOGRAM_BUCKETS - 1
};

_Static_assert((36 - FIRST_BITS) * PARTS + 2 == PYWATT_HISTOGRAM_BUCKETS, "as the header says");

static unsigned bucket_of(uint64_t duration_ns)
{
    if (duration_ns < UINT64_C(1) << FIRST_BITS) {
        return 0;
    }
    const unsigned bits = 63u - (unsigned)__builtin_clzll(duration_ns);
    const unsigned part = (unsigned)(duration_ns >> (bits - PART_BITS)) & (PARTS - 1);
    const unsigned bucket = (bits - FIRST_BITS) * PARTS + part + 1;
    return bucket < LAST ? bucket : LAST;
}

uint64_t pywatt_histogram_bound_ns(unsigned index)
{
    if (index >= LAST) {
        return UINT64_MAX;
    }
    /* The next bucket begins where this one ends. */
    const unsigned bits = index / PARTS + FIRST_BITS;
    const uint64_t part = index % PARTS + PARTS;
    return (part << (bits - PART_BITS)) - 1;
}

uint64_t pywatt_histogram_at(const struct pywatt_histogram *histogram, uint32_t per_million)
{
    if (histogram == NULL || histogram->count == 0) {
        return 0;
    }
    const uint64_t share = per_million < 1000000 ? per_million : 1000000;
    /* In two parts, so that the product stays in range whatever the count. */
    const uint64_t wanted = histogram->count / 1000000 * share +
                            (histogram->count % 1000000 * share + 999999) / 1000000;
    uint64_t seen = 0;
    for (unsigned i = 0; i < LAST; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0) {
            const uint64_t bound_ns = pywatt_histogram_bound_ns(i);
            return bound_ns < histogram->max_ns ? bound_ns : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}

void pw_recorder_init(struct pw_recorder *recorder)
{
    atomic_init(&recorder->sum_ns, 0);
    atomic_init(&recorder->max_ns, 0);
    for (unsigned i = 0; i < PYWATT_HISTOGRAM_BUCKETS; i++) {
        atomic_init(&recorder->buckets[i], 0);
    }
    PW_HINT_ATOMIC(*recorder);
}

static void add(_Atomic uint64_t *number, uint64_t n)
{
    atomic_fetch_add_explicit(number, n, memory_order_relaxed);
}

void pw_recorder_add(struct pw_recorder *recorder, uint64_t duration_ns, uint64_t times)
{
    add(&recorder->buckets[bucket_of(duration_ns)], times);
    add(&recorder->sum_ns, duration_ns * times);
    uint64_t max_ns = atomic_load_explicit(&recorder->max_ns, memory_order_relaxed);
    while (duration_ns > max_ns &&
           !atomic_compare_exchange_weak_explicit(&recorder->max_ns, &max_ns, duration_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void pw_recorder_read(const struct pw_recorder *recorder, struct pywatt_histogram *out)
{
    out->count = 0;
    out->sum_ns = atomic_load_explicit(&recorder->sum_ns, memory_order_relaxed);
    out->max_ns = atomic_load_explicit(&recorder->max_ns, memory_order_relaxed);
    for (unsigned i = 0; i < PYWATT_HISTOGRAM_BUCKETS; i++) {
        out->buckets[i] = atomic_load_explicit(&recorder->buckets[i], memory_order_relaxed);
        out->count += out->buckets[i];
    }
}

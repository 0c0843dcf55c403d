/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * counters.h - what a client counts. Atomics, relaxed: each is exact, they are not read at one
 * instant. Any thread.
 */
#ifndef PW_REGISTRY_COUNTERS_H
#define PW_REGISTRY_COUNTERS_H

#include "base/histogram.h"

#include <stdatomic.h>
#include <stdint.h>

struct pw_counters {
    _Atomic uint64_t reregistrations;
    _Atomic uint64_t deferred;
    _Atomic uint64_t beats_sent;
    _Atomic uint64_t beats_answered;
    _Atomic uint64_t beats_failed;
    _Atomic uint64_t beats_skipped;
    _Atomic uint64_t beats_max_lateness_ns;
    _Atomic uint64_t beats_late;
    struct pw_recorder round_trips;
    struct pw_recorder lateness;
};

static inline void pw_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Raises *counter to `value` if it is less. One thread at a time for each counter. */
static inline void pw_count_max(_Atomic uint64_t *counter, uint64_t value)
{
    if (value > atomic_load_explicit(counter, memory_order_relaxed)) {
        atomic_store_explicit(counter, value, memory_order_relaxed);
    }
}

#endif

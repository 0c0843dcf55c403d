/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stats.h - counters. Each worker has its own, on cache lines of its own, which it alone writes and
 * anybody reads: counting costs no more than a plain addition.
 */
#ifndef PW_ORCHESTRATOR_STATS_H
#define PW_ORCHESTRATOR_STATS_H

#include <pywatt/orchestrator.h>

#include <stdatomic.h>
#include <stdint.h>

typedef atomic_uint_fast64_t pw_counter;

struct pw_counters {
    pw_counter requests;
    pw_counter heartbeats;
    pw_counter registrations;
    pw_counter requests_refused;
    pw_counter bad_frames;
    pw_counter bytes_received;
    pw_counter bytes_sent;
    pw_counter registrations_deferred;
    pw_counter join_tokens_refused;
    pw_counter names_refused;
    pw_counter registrations_throttled;
    pw_counter users_refused;
} __attribute__((aligned(64)));

void pw_counters_init(struct pw_counters *counters);

/* Only the thread that the counter belongs to. */
static inline void pw_count(pw_counter *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* Adds what one worker counted. */
void pw_counters_add_to(const struct pw_counters *counters, struct pywatt_orchestrator_stats *sum);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stats.c - sums of the workers' counters. Any thread.
 */
#include "orchestrator/stats.h"

#include "base/tool_hints.h"

static void init(pw_counter *counter)
{
    atomic_init(counter, 0);
    PW_HINT_ATOMIC(*counter);
}

void pw_counters_init(struct pw_counters *counters)
{
    init(&counters->requests);
    init(&counters->heartbeats);
    init(&counters->registrations);
    init(&counters->requests_refused);
    init(&counters->bad_frames);
    init(&counters->bytes_received);
    init(&counters->bytes_sent);
    init(&counters->registrations_deferred);
    init(&counters->join_tokens_refused);
    init(&counters->names_refused);
    init(&counters->registrations_throttled);
    init(&counters->users_refused);
}

static uint64_t get(const pw_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void pw_counters_add_to(const struct pw_counters *counters, struct pywatt_orchestrator_stats *sum)
{
    sum->requests += get(&counters->requests);
    sum->heartbeats += get(&counters->heartbeats);
    sum->registrations += get(&counters->registrations);
    sum->requests_refused += get(&counters->requests_refused);
    sum->bad_frames += get(&counters->bad_frames);
    sum->bytes_received += get(&counters->bytes_received);
    sum->bytes_sent += get(&counters->bytes_sent);
    sum->registrations_deferred += get(&counters->registrations_deferred);
    sum->join_tokens_refused += get(&counters->join_tokens_refused);
    sum->names_refused += get(&counters->names_refused);
    sum->registrations_throttled += get(&counters->registrations_throttled);
    sum->users_refused += get(&counters->users_refused);
}

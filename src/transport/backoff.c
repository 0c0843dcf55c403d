/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * backoff.c - pauses between attempts to connect, with full jitter: many clients that lost the same
 * orchestrator at the same moment come back spread over time. No lock: its owner's.
 */
#include "transport/backoff.h"

#include "base/random.h"

void pw_backoff_init(struct pw_backoff *backoff, enum pw_backoff_policy policy, uint32_t delay_ms,
                     uint32_t max_delay_ms, uint32_t max_attempts, uint64_t seed)
{
    *backoff = (struct pw_backoff){
        .policy = policy,
        .delay_ms = delay_ms,
        .max_delay_ms = max_delay_ms,
        .max_attempts = max_attempts,
        .random = seed != 0 ? seed : pw_random_seed(),
    };
}

/* min(max_delay_ms, delay_ms * 2^doublings) */
static uint32_t longest_pause_ms(const struct pw_backoff *backoff, uint32_t doublings)
{
    uint64_t pause_ms = backoff->delay_ms;
    for (uint32_t i = 0; i < doublings && pause_ms != 0 && pause_ms < backoff->max_delay_ms; i++) {
        pause_ms *= 2;
    }
    return pause_ms < backoff->max_delay_ms ? (uint32_t)pause_ms : backoff->max_delay_ms;
}

bool pw_backoff_failed(struct pw_backoff *backoff, uint32_t *pause_ms)
{
    const uint32_t before = backoff->attempts;
    if (before < UINT32_MAX) {
        backoff->attempts++;
    }
    if (backoff->policy == PW_BACKOFF_NONE ||
        (backoff->max_attempts != 0 && backoff->attempts >= backoff->max_attempts)) {
        return false;
    }
    if (backoff->policy == PW_BACKOFF_FIXED) {
        *pause_ms = backoff->delay_ms;
        return true;
    }
    const uint64_t choices = (uint64_t)longest_pause_ms(backoff, before) + 1;
    *pause_ms = (uint32_t)pw_random_below(pw_random_next(&backoff->random), choices);
    return true;
}

void pw_backoff_reset(struct pw_backoff *backoff)
{
    backoff->attempts = 0;
}

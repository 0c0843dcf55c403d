/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * backoff.c - pauses between attempts to connect, with full jitter: many clients that lost the same
 * orchestrator at the same moment come back spread over time. No lock: its owner's.
 */
#include "transport/backoff.h"

#include "base/clock.h"

#include <sys/random.h>

static uint64_t seed_of_system(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed)) {
        return seed;
    }
    /* Too early after boot. The clock and where the stack lies tell two processes apart. */
    return pw_clock_now_ns(&pw_clock_monotonic) ^ ((uint64_t)(uintptr_t)&seed << 20);
}

/* SplitMix64: an odd step over all 64-bit states, and a mixer that spreads it over all bits. */
static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

void pw_backoff_init(struct pw_backoff *backoff, enum pw_backoff_policy policy, uint32_t delay_ms,
                     uint32_t max_delay_ms, uint32_t max_attempts, uint64_t seed)
{
    *backoff = (struct pw_backoff){
        .policy = policy,
        .delay_ms = delay_ms,
        .max_delay_ms = max_delay_ms,
        .max_attempts = max_attempts,
        .random = seed != 0 ? seed : seed_of_system(),
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
    /* The upper half of the product of a random 32-bit fraction and the number of choices. */
    const uint64_t choices = (uint64_t)longest_pause_ms(backoff, before) + 1;
    const uint64_t fraction = next_random(&backoff->random) >> 32;
    *pause_ms = (uint32_t)((fraction * choices) >> 32);
    return true;
}

void pw_backoff_reset(struct pw_backoff *backoff)
{
    backoff->attempts = 0;
}

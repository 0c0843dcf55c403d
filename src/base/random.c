/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * random.c - SplitMix64: an odd step over all 64-bit states, and a mixer that spreads it over all
 * bits. No state of its own; any thread.
 */
#include "base/random.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <sys/random.h>

#define STEP UINT64_C(0x9e3779b97f4a7c15)

uint64_t pw_random_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed)) {
        return seed;
    }
    /* Too early after boot. The clock and where the stack lies tell two processes apart. */
    return pw_clock_now_ns(&pw_clock_monotonic) ^ ((uint64_t)(uintptr_t)&seed << 20);
}

static uint64_t mix(uint64_t mixed)
{
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

uint64_t pw_random_next(uint64_t *state)
{
    *state += STEP;
    return mix(*state);
}

uint64_t pw_random_next_shared(_Atomic uint64_t *state)
{
    return mix(atomic_fetch_add_explicit(state, STEP, memory_order_relaxed) + STEP);
}

uint64_t pw_random_below(uint64_t number, uint64_t count)
{
    /* The upper half of the product of a random 32-bit fraction and the number of choices. */
    return ((number >> 32) * count) >> 32;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * random.h - numbers that spread clients over time and over endpoints; not for secrets. SplitMix64: a
 * state of 64 bits, of which any is as good as any other. The state is its owner's.
 */
#ifndef PW_BASE_RANDOM_H
#define PW_BASE_RANDOM_H

#include <stdint.h>

/* A state from the system. */
uint64_t pw_random_seed(void);

/* The next number. One thread at a time. */
uint64_t pw_random_next(uint64_t *state);

/* The same, for many threads. */
uint64_t pw_random_next_shared(_Atomic uint64_t *state);

/* Of such a number: one from 0 to `count` - 1, or 0 if `count` is. `count` is less than 2^32. */
uint64_t pw_random_below(uint64_t number, uint64_t count);

#endif

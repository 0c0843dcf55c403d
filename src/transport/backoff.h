/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * backoff.h - how long to pause before the next attempt to connect. No lock: its owner's.
 */
#ifndef PW_TRANSPORT_BACKOFF_H
#define PW_TRANSPORT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum pw_backoff_policy {
    PW_BACKOFF_NONE,
    PW_BACKOFF_FIXED,
    PW_BACKOFF_EXPONENTIAL
};

struct pw_backoff {
    enum pw_backoff_policy policy;
    uint32_t delay_ms;
    uint32_t max_delay_ms;
    uint32_t max_attempts; /* in a row, the first included; 0: no limit */
    uint32_t attempts;     /* failed in a row */
    uint64_t random;       /* state of the jitter */
};

/* `seed` makes the jitter repeatable in a test; 0 takes one from the system. */
void pw_backoff_init(struct pw_backoff *backoff, enum pw_backoff_policy policy, uint32_t delay_ms,
                     uint32_t max_delay_ms, uint32_t max_attempts, uint64_t seed);

/*
 * An attempt failed. True, and the pause before the next one in *pause_ms; false if there is to be
 * none. Fixed: delay_ms. Exponential: uniform in [0, min(max_delay_ms, delay_ms * 2^n)] after the
 * n-th failure in a row, counted from 0, without overflow.
 */
bool pw_backoff_failed(struct pw_backoff *backoff, uint32_t *pause_ms);

/* An attempt succeeded. */
void pw_backoff_reset(struct pw_backoff *backoff);

#endif

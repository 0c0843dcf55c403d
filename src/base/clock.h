/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * clock.h - monotonic time in nanoseconds, and absolute deadlines. No state; any thread.
 *
 * A clock is handed to what keeps deadlines, so that a test can hold it in its hand.
 */
#ifndef PW_BASE_CLOCK_H
#define PW_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define PW_NS_PER_MS UINT64_C(1000000)
#define PW_NS_PER_S UINT64_C(1000000000)
#define PW_DEADLINE_NEVER UINT64_MAX

struct pw_clock {
    uint64_t (*now_ns)(const struct pw_clock *clock);
};

/* CLOCK_MONOTONIC. */
extern const struct pw_clock pw_clock_monotonic;

static inline uint64_t pw_clock_now_ns(const struct pw_clock *clock)
{
    return clock->now_ns(clock);
}

/* now + ms, without overflow. */
uint64_t pw_deadline_after_ms(uint64_t now_ns, uint64_t ms);

/*
 * The milliseconds that are left for a poll(2): rounded up, 0 when the deadline has passed, -1 for
 * PW_DEADLINE_NEVER, at most INT_MAX.
 */
int pw_deadline_poll_ms(uint64_t now_ns, uint64_t deadline_ns);

/* What is left as a timespec, for ppoll(2); zero when it has passed. Not for NEVER. */
struct timespec pw_deadline_left(uint64_t now_ns, uint64_t deadline_ns);

/* The deadline itself as a timespec, for a condition variable on CLOCK_MONOTONIC. */
struct timespec pw_deadline_timespec(uint64_t deadline_ns);

#endif

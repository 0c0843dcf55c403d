/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * clock.c - monotonic time and arithmetic on deadlines that does not overflow. No state; any thread.
 */
#include "base/clock.h"

#include <limits.h>

static uint64_t monotonic_now_ns(const struct pw_clock *clock)
{
    (void)clock;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * PW_NS_PER_S + (uint64_t)now.tv_nsec;
}

const struct pw_clock pw_clock_monotonic = {.now_ns = monotonic_now_ns};

uint64_t pw_deadline_after_ms(uint64_t now_ns, uint64_t ms)
{
    return ms > (PW_DEADLINE_NEVER - now_ns) / PW_NS_PER_MS ? PW_DEADLINE_NEVER
                                                            : now_ns + ms * PW_NS_PER_MS;
}

static uint64_t left_ns(uint64_t now_ns, uint64_t deadline_ns)
{
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

int pw_deadline_poll_ms(uint64_t now_ns, uint64_t deadline_ns)
{
    if (deadline_ns == PW_DEADLINE_NEVER) {
        return -1;
    }
    const uint64_t left = left_ns(now_ns, deadline_ns);
    const uint64_t ms = left / PW_NS_PER_MS + (left % PW_NS_PER_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

struct timespec pw_deadline_left(uint64_t now_ns, uint64_t deadline_ns)
{
    return pw_deadline_timespec(left_ns(now_ns, deadline_ns));
}

struct timespec pw_deadline_timespec(uint64_t deadline_ns)
{
    return (struct timespec){.tv_sec = (time_t)(deadline_ns / PW_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % PW_NS_PER_S)};
}

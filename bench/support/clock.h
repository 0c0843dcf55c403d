/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.h - monotonic nanoseconds, and sleeping until such a moment. Any thread. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define BENCH_NS_PER_MS UINT64_C(1000000)
#define BENCH_NS_PER_S UINT64_C(1000000000)

static inline uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * BENCH_NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline void bench_sleep_until(uint64_t when_ns)
{
    struct timespec when = {.tv_sec = (time_t)(when_ns / BENCH_NS_PER_S),
                            .tv_nsec = (long)(when_ns % BENCH_NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) != 0) {
    }
}

#endif

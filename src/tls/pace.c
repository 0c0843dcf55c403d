/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pace.c - a token bucket, kept as the moment at which it would be full again. The owner's lock.
 */
#include "tls/pace.h"

#include "base/clock.h"

void pw_tls_pace_init(struct pw_tls_pace *pace, uint32_t per_s)
{
    *pace = (struct pw_tls_pace){.interval_ns = per_s == 0 ? 0 : PW_NS_PER_S / per_s};
    pace->ahead_ns =
        pace->interval_ns > PW_NS_PER_S / 10 ? 0 : PW_NS_PER_S / 10 - pace->interval_ns;
}

uint64_t pw_tls_pace_take(struct pw_tls_pace *pace, uint64_t now_ns)
{
    if (pace->interval_ns == 0) {
        return 0;
    }
    if (pace->next_ns < now_ns) {
        pace->next_ns = now_ns;
    }
    if (pace->next_ns - now_ns > pace->ahead_ns) {
        return pace->next_ns - now_ns - pace->ahead_ns;
    }
    pace->next_ns += pace->interval_ns;
    return 0;
}

void pw_tls_pace_give_back(struct pw_tls_pace *pace)
{
    pace->next_ns -= pace->interval_ns < pace->next_ns ? pace->interval_ns : pace->next_ns;
}

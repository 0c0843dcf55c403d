/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pace.h - so many beginnings a second, a tenth of a second's worth at once. The owner's lock.
 */
#ifndef PW_TLS_PACE_H
#define PW_TLS_PACE_H

#include <stdint.h>

struct pw_tls_pace {
    uint64_t interval_ns; /* between two of them; 0: no limit */
    uint64_t ahead_ns;    /* so far the next one may be ahead of its time */
    uint64_t next_ns;     /* when the next one is due */
};

/* `per_s` 0: no limit. */
void pw_tls_pace_init(struct pw_tls_pace *pace, uint32_t per_s);

/* 0: one begins now. Else none does, and so many nanoseconds are to be waited. */
uint64_t pw_tls_pace_take(struct pw_tls_pace *pace, uint64_t now_ns);

/* The one that was taken last did not begin after all. */
void pw_tls_pace_give_back(struct pw_tls_pace *pace);

#endif

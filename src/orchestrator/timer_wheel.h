/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * timer_wheel.h - very many timers, each set and taken out in constant time. Time is a plain number
 * that the caller moves forward: milliseconds here. No lock of its own.
 *
 * The wheel is a number clock: level 0 has a slot for each value of the lowest six bits of the time,
 * level 1 for the next six, and so on up to 64 bits. A timer stands at the highest digit in which
 * its time differs from now, in the slot of that digit. When the clock reaches a slot of a higher
 * level, its timers move down; so a timer moves at most once for each level.
 */
#ifndef PW_ORCHESTRATOR_TIMER_WHEEL_H
#define PW_ORCHESTRATOR_TIMER_WHEEL_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define PW_WHEEL_BITS 6
#define PW_WHEEL_SLOTS 64
#define PW_WHEEL_LEVELS 11

/* Stands in what is timed. Once it has fired its link is free for the owner's use. */
struct pw_timer {
    struct pw_list link;
    uint64_t expiry;
};

struct pw_wheel {
    uint64_t now;
    uint64_t occupied[PW_WHEEL_LEVELS]; /* bit n: slot n has a timer */
    struct pw_list slots[PW_WHEEL_LEVELS][PW_WHEEL_SLOTS];
};

void pw_wheel_init(struct pw_wheel *wheel, uint64_t now);

static inline void pw_timer_init(struct pw_timer *timer)
{
    pw_list_init(&timer->link);
    timer->expiry = 0;
}

/* Sets a timer, or sets it anew. A time that has passed becomes the very next one. */
void pw_wheel_set(struct pw_wheel *wheel, struct pw_timer *timer, uint64_t expiry);

/*
 * Takes a timer out, of the wheel or of whatever list it was put into after it fired. Nothing
 * happens if it is in none.
 */
void pw_wheel_cancel(struct pw_wheel *wheel, struct pw_timer *timer);

/*
 * Moves the clock to `now` (which is not before the wheel's) and appends the timers that are due
 * to `fired`, in the order of their times.
 */
void pw_wheel_advance(struct pw_wheel *wheel, uint64_t now, struct pw_list *fired);

/*
 * True if any timer is set, and then *when is a time at which pw_wheel_advance has work: that of
 * the earliest timer or before it.
 */
bool pw_wheel_next(const struct pw_wheel *wheel, uint64_t *when);

#endif

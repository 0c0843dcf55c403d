/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * timer_wheel.c - the hierarchical timer wheel. No threads, no clock, no memory of its own.
 *
 * What makes it simple: in each level the slots in use lie behind the clock's own digit there, and
 * their higher digits are the clock's. So the next thing to happen is always the lowest occupied
 * slot of the lowest occupied level, found with two bit scans.
 */
#include "orchestrator/timer_wheel.h"

static unsigned shift_of(unsigned level)
{
    return level * PW_WHEEL_BITS;
}

static unsigned digit_of(uint64_t time, unsigned level)
{
    return (unsigned)(time >> shift_of(level)) & (PW_WHEEL_SLOTS - 1);
}

void pw_wheel_init(struct pw_wheel *wheel, uint64_t now)
{
    wheel->now = now;
    for (unsigned level = 0; level < PW_WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < PW_WHEEL_SLOTS; slot++) {
            pw_list_init(&wheel->slots[level][slot]);
        }
    }
}

/* `expiry` lies after the clock. */
static void put(struct pw_wheel *wheel, struct pw_timer *timer, uint64_t expiry)
{
    const uint64_t different = expiry ^ wheel->now;
    const unsigned level = (63 - (unsigned)__builtin_clzll(different)) / PW_WHEEL_BITS;
    const unsigned slot = digit_of(expiry, level);
    timer->expiry = expiry;
    pw_list_append(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

void pw_wheel_set(struct pw_wheel *wheel, struct pw_timer *timer, uint64_t expiry)
{
    pw_wheel_cancel(wheel, timer);
    put(wheel, timer, expiry > wheel->now ? expiry : wheel->now + 1);
}

void pw_wheel_cancel(struct pw_wheel *wheel, struct pw_timer *timer)
{
    struct pw_list *before = timer->link.prev;
    if (!pw_list_linked(&timer->link)) {
        return;
    }
    pw_list_remove(&timer->link);
    /* Only a list's head can stand alone: then it may be a slot of ours, which is empty now. */
    const struct pw_list *first = &wheel->slots[0][0];
    const struct pw_list *end = first + PW_WHEEL_LEVELS * PW_WHEEL_SLOTS;
    if (pw_list_empty(before) && (uintptr_t)before >= (uintptr_t)first &&
        (uintptr_t)before < (uintptr_t)end) {
        const size_t index = (size_t)(before - first);
        wheel->occupied[index / PW_WHEEL_SLOTS] &= ~(UINT64_C(1) << (index % PW_WHEEL_SLOTS));
    }
}

/* The lowest occupied slot of the lowest occupied level, and the time at which it begins. */
static bool next_slot(const struct pw_wheel *wheel, unsigned *level, unsigned *slot, uint64_t *when)
{
    for (unsigned i = 0; i < PW_WHEEL_LEVELS; i++) {
        if (wheel->occupied[i] != 0) {
            *level = i;
            *slot = (unsigned)__builtin_ctzll(wheel->occupied[i]);
            /* The digits above this level are the clock's; the top level has none above it. */
            const uint64_t above =
                i + 1 == PW_WHEEL_LEVELS ? 0 : wheel->now >> shift_of(i + 1) << shift_of(i + 1);
            *when = above | (uint64_t)*slot << shift_of(i);
            return true;
        }
    }
    return false;
}

bool pw_wheel_next(const struct pw_wheel *wheel, uint64_t *when)
{
    unsigned level;
    unsigned slot;
    return next_slot(wheel, &level, &slot, when);
}

void pw_wheel_advance(struct pw_wheel *wheel, uint64_t now, struct pw_list *fired)
{
    unsigned level;
    unsigned slot;
    uint64_t when;
    while (next_slot(wheel, &level, &slot, &when) && when <= now) {
        wheel->now = when;
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        struct pw_list due;
        pw_list_init(&due);
        pw_list_splice(&due, &wheel->slots[level][slot]);
        struct pw_list *link;
        while ((link = pw_list_pop(&due)) != NULL) {
            struct pw_timer *timer = PW_CONTAINER_OF(link, struct pw_timer, link);
            if (timer->expiry == when) {
                pw_list_append(fired, link);
            } else {
                put(wheel, timer, timer->expiry);
            }
        }
    }
    if (now > wheel->now) {
        wheel->now = now;
    }
}

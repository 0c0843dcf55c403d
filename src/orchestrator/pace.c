/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pace.c - the bucket and the line of pace.h.
 *
 * The bucket holds what is missing until `full_ns`, one drop for each step: it is empty when that is
 * a second away. Each drop that is drawn, or promised, moves `full_ns` on by a step. So the place of
 * one that draws when the bucket is empty is a second before the new `full_ns`.
 *
 * Any thread; `mutex` guards the places.
 */
#include "orchestrator/pace.h"

#include "base/clock.h"
#include "base/tool_hints.h"

#include <stdbool.h>
#include <stdlib.h>

#define BURST_NS PW_NS_PER_S
#define LINE_NS (PW_PACE_WAIT_MAX_MS * PW_NS_PER_MS)
#define KEPT_NS (PW_PACE_KEPT_MS * PW_NS_PER_MS)

/* `now_ns` was looked up before the message was read. */
#define EARLY_NS PW_NS_PER_MS

enum {
    /* Each who comes takes so many out of those that are kept for too long: more than come in. */
    EXPIRED_AT_ONCE = 4
};

struct place {
    struct pw_map_node node;
    struct pw_list link;
    uint64_t due_ns;
};

enum pywatt_status pw_pace_init(struct pw_pace *pace, uint32_t per_s, size_t places_max)
{
    pace->step_ns = per_s == 0 ? 0 : PW_NS_PER_S / per_s;
    pace->places_max = places_max;
    atomic_init(&pace->full_ns, 0);
    atomic_init(&pace->waiting, 0);
    PW_HINT_ATOMIC(pace->full_ns);
    PW_HINT_ATOMIC(pace->waiting);
    pw_map_init(&pace->places);
    pw_list_init(&pace->by_due);
    return pw_mutex_init(&pace->mutex);
}

void pw_pace_destroy(struct pw_pace *pace)
{
    struct pw_list *link;
    while ((link = pw_list_pop(&pace->by_due)) != NULL) {
        free(PW_CONTAINER_OF(link, struct place, link));
    }
    pw_map_destroy(&pace->places);
    pw_mutex_destroy(&pace->mutex);
}

/*
 * Draws a drop, if the bucket is then full within `within_ns`: true, and *full_ns says when. Else
 * *full_ns says when it would be.
 */
static bool draw(struct pw_pace *pace, uint64_t now_ns, uint64_t within_ns, uint64_t *full_ns)
{
    uint64_t old_ns = atomic_load_explicit(&pace->full_ns, memory_order_relaxed);
    do {
        *full_ns = (old_ns > now_ns ? old_ns : now_ns) + pace->step_ns;
        if (*full_ns - now_ns > within_ns) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&pace->full_ns, &old_ns, *full_ns,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void pw_pace_pass(struct pw_pace *pace, uint64_t now_ns)
{
    uint64_t full_ns;
    if (pace->step_ns != 0) {
        /* However many of them come, nobody waits for them for longer than it may. */
        (void)draw(pace, now_ns, BURST_NS + LINE_NS, &full_ns);
    }
}

/* ---- The line ---- */

static void set_waiting_locked(struct pw_pace *pace)
{
    atomic_store_explicit(&pace->waiting, pace->places.count, memory_order_relaxed);
}

static struct place *find_locked(const struct pw_pace *pace, uint64_t who)
{
    struct pw_map_node *node = pw_map_first(&pace->places, who);
    return node == NULL ? NULL : PW_CONTAINER_OF(node, struct place, node);
}

static void remove_locked(struct pw_pace *pace, struct place *place)
{
    pw_map_remove(&pace->places, &place->node);
    pw_list_remove(&place->link);
    free(place);
    set_waiting_locked(pace);
}

static void expire_locked(struct pw_pace *pace, uint64_t now_ns)
{
    for (int i = 0; i < EXPIRED_AT_ONCE && !pw_list_empty(&pace->by_due); i++) {
        struct place *first = PW_CONTAINER_OF(pace->by_due.next, struct place, link);
        if (now_ns < first->due_ns + KEPT_NS) {
            return;
        }
        remove_locked(pace, first);
    }
}

/* NULL if there is no room, or memory is out. */
static struct place *new_place_locked(struct pw_pace *pace, uint64_t who)
{
    struct place *place = pace->places.count < pace->places_max ? calloc(1, sizeof(*place)) : NULL;
    if (place != NULL && pw_map_insert(&pace->places, &place->node, who) != PYWATT_OK) {
        free(place);
        place = NULL;
    }
    return place;
}

/* The bucket is empty: takes a place at the end of the line, if there can be one; when that is. */
static uint64_t join_locked(struct pw_pace *pace, uint64_t who, uint64_t now_ns)
{
    uint64_t full_ns = 0;
    struct place *place = new_place_locked(pace, who);
    const bool drawn = draw(pace, now_ns, place == NULL ? 0 : BURST_NS + LINE_NS, &full_ns);
    const uint64_t due_ns = full_ns - BURST_NS; /* the bucket only gets emptier: it is to come */
    if (drawn) {
        place->due_ns = due_ns;
        pw_list_append(&pace->by_due, &place->link);
        set_waiting_locked(pace);
    } else if (place != NULL) {
        pw_map_remove(&pace->places, &place->node);
        free(place);
    }
    return due_ns;
}

static uint64_t due_locked(struct pw_pace *pace, uint64_t who, uint64_t now_ns)
{
    uint64_t full_ns;
    expire_locked(pace, now_ns);
    struct place *place = find_locked(pace, who);
    if (place == NULL) {
        return draw(pace, now_ns, BURST_NS, &full_ns) ? now_ns : join_locked(pace, who, now_ns);
    }
    if (place->due_ns > now_ns + EARLY_NS) {
        return place->due_ns;
    }
    remove_locked(pace, place);
    return now_ns;
}

uint32_t pw_pace_enter(struct pw_pace *pace, uint64_t who, uint64_t now_ns)
{
    uint64_t full_ns;
    if (pace->step_ns == 0 || (atomic_load_explicit(&pace->waiting, memory_order_relaxed) == 0 &&
                               draw(pace, now_ns, BURST_NS, &full_ns))) {
        return 0;
    }
    pw_mutex_lock(&pace->mutex);
    const uint64_t due_ns = due_locked(pace, who, now_ns);
    pw_mutex_unlock(&pace->mutex);
    if (due_ns <= now_ns) {
        return 0;
    }
    const uint64_t wait_ms = (due_ns - now_ns + PW_NS_PER_MS - 1) / PW_NS_PER_MS;
    return wait_ms < PW_PACE_WAIT_MAX_MS ? (uint32_t)wait_ms : PW_PACE_WAIT_MAX_MS;
}

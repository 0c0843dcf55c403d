/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pace.c - the bucket and the line of pace.h.
 *
 * The bucket holds what is missing until `full_ns`, one drop for each step: it is empty when that is
 * a second away. Each drop that is drawn, or promised, moves `full_ns` on by a step. So the place of
 * one that draws when the bucket is empty is a second before the new `full_ns`.
 *
 * The line of the proven needs no bucket: its moments follow each other by a step from now on.
 *
 * Memory: places of anybody are bounded by places_max, those of the proven by how many modules there
 * are; and none is there for longer than PW_PACE_WAIT_MAX_MS + PW_PACE_KEPT_MS, as long as somebody
 * calls pw_pace_tick.
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
    EXPIRED_AT_ONCE = 4,
    /* And a tick so many before others get the mutex. */
    EXPIRED_IN_A_TICK = 256
};

/* An address of which there are places. */
struct peer {
    struct pw_map_node node;
    size_t places;
};

struct place {
    struct pw_map_node node;
    struct pw_list link;
    struct peer *peer; /* NULL: not bounded */
    uint64_t due_ns;
    enum pw_pace_line line;
};

static uint64_t step_of(uint32_t per_s)
{
    return per_s == 0 ? 0 : PW_NS_PER_S / per_s;
}

static uint64_t step_now(const struct pw_pace *pace)
{
    return atomic_load_explicit(&pace->step_ns, memory_order_relaxed);
}

static void set_places_locked(struct pw_pace *pace, uint64_t step_ns, size_t places_max)
{
    const uint64_t in_line = step_ns == 0 ? 0 : LINE_NS / step_ns;
    const size_t places = in_line < places_max ? (size_t)in_line : places_max;
    pace->places_max = places_max;
    pace->per_peer_max = places / PW_PACE_PEER_PART > 0 ? places / PW_PACE_PEER_PART : 1;
}

enum pywatt_status pw_pace_init(struct pw_pace *pace, uint32_t per_s, size_t places_max)
{
    const uint64_t step_ns = step_of(per_s);
    atomic_init(&pace->step_ns, step_ns);
    PW_HINT_ATOMIC(pace->step_ns);
    set_places_locked(pace, step_ns, places_max);
    pace->proven_ns = 0;
    pace->places_of_anybody = 0;
    atomic_init(&pace->full_ns, 0);
    atomic_init(&pace->waiting, 0);
    PW_HINT_ATOMIC(pace->full_ns);
    PW_HINT_ATOMIC(pace->waiting);
    pw_map_init(&pace->places);
    pw_map_init(&pace->peers);
    for (int line = 0; line < PW_PACE_LINES; line++) {
        pw_list_init(&pace->by_due[line]);
    }
    return pw_mutex_init(&pace->mutex);
}

/*
 * Draws a drop, if the bucket is then full within `within_ns`: true, and *full_ns says when. Else
 * *full_ns says when it would be.
 */
static bool draw(struct pw_pace *pace, uint64_t now_ns, uint64_t within_ns, uint64_t *full_ns)
{
    const uint64_t step_ns = step_now(pace);
    uint64_t old_ns = atomic_load_explicit(&pace->full_ns, memory_order_relaxed);
    do {
        *full_ns = (old_ns > now_ns ? old_ns : now_ns) + step_ns;
        if (*full_ns - now_ns > within_ns) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&pace->full_ns, &old_ns, *full_ns,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* How far ahead the bucket is full, if it takes `step_ns` for each of the drops that are missing. */
static uint64_t ahead(uint64_t full_ns, uint64_t now_ns, uint64_t old_step_ns, uint64_t step_ns)
{
    if (full_ns <= now_ns || old_step_ns == 0) {
        return 0;
    }
    const uint64_t ns = (full_ns - now_ns) / old_step_ns * step_ns;
    return ns < BURST_NS + LINE_NS ? ns : BURST_NS + LINE_NS;
}

void pw_pace_change(struct pw_pace *pace, uint32_t per_s, size_t places_max, uint64_t now_ns)
{
    const uint64_t step_ns = step_of(per_s);
    pw_mutex_lock(&pace->mutex);
    const uint64_t old_step_ns = step_now(pace);
    set_places_locked(pace, step_ns, places_max);
    if (step_ns != old_step_ns) {
        uint64_t full_ns = atomic_load_explicit(&pace->full_ns, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(
            &pace->full_ns, &full_ns, now_ns + ahead(full_ns, now_ns, old_step_ns, step_ns),
            memory_order_relaxed, memory_order_relaxed)) {
        }
        atomic_store_explicit(&pace->step_ns, step_ns, memory_order_relaxed);
    }
    pw_mutex_unlock(&pace->mutex);
}

void pw_pace_pass(struct pw_pace *pace, uint64_t now_ns)
{
    uint64_t full_ns;
    if (step_now(pace) != 0) {
        /* However many of them come, nobody waits for them for longer than it may. */
        (void)draw(pace, now_ns, BURST_NS + LINE_NS, &full_ns);
    }
}

/* ---- Places ---- */

static void set_waiting_locked(struct pw_pace *pace)
{
    atomic_store_explicit(&pace->waiting, pace->places.count, memory_order_relaxed);
}

static struct place *find_locked(const struct pw_pace *pace, uint64_t who)
{
    struct pw_map_node *node = pw_map_first(&pace->places, who);
    return node == NULL ? NULL : PW_CONTAINER_OF(node, struct place, node);
}

static void leave_peer_locked(struct pw_pace *pace, struct peer *peer)
{
    if (peer != NULL && --peer->places == 0) {
        pw_map_remove(&pace->peers, &peer->node);
        free(peer);
    }
}

static void remove_locked(struct pw_pace *pace, struct place *place)
{
    pw_map_remove(&pace->places, &place->node);
    pw_list_remove(&place->link);
    leave_peer_locked(pace, place->peer);
    pace->places_of_anybody -= place->line == PW_PACE_ANYBODY ? 1 : 0;
    free(place);
    set_waiting_locked(pace);
}

/* The place whose time is over first, or NULL; *over_ns is when. */
static struct place *first_locked(const struct pw_pace *pace, uint64_t *over_ns)
{
    struct place *first = NULL;
    for (int line = 0; line < PW_PACE_LINES; line++) {
        const struct pw_list *list = &pace->by_due[line];
        struct place *place =
            pw_list_empty(list) ? NULL : PW_CONTAINER_OF(list->next, struct place, link);
        if (place != NULL && (first == NULL || place->due_ns < first->due_ns)) {
            first = place;
        }
    }
    *over_ns = first == NULL ? 0 : first->due_ns + KEPT_NS;
    return first;
}

/* Up to `most`; when the next one is over, 0 if there is none. */
static uint64_t expire_locked(struct pw_pace *pace, uint64_t now_ns, int most)
{
    uint64_t over_ns;
    struct place *first;
    while ((first = first_locked(pace, &over_ns)) != NULL && over_ns <= now_ns && most-- > 0) {
        remove_locked(pace, first);
    }
    return over_ns;
}

uint64_t pw_pace_tick(struct pw_pace *pace, uint64_t now_ns)
{
    uint64_t over_ns;
    do {
        pw_mutex_lock(&pace->mutex);
        over_ns = expire_locked(pace, now_ns, EXPIRED_IN_A_TICK);
        pw_mutex_unlock(&pace->mutex);
    } while (over_ns != 0 && over_ns <= now_ns);
    return over_ns;
}

void pw_pace_destroy(struct pw_pace *pace)
{
    uint64_t over_ns;
    struct place *first;
    while ((first = first_locked(pace, &over_ns)) != NULL) {
        remove_locked(pace, first);
    }
    pw_map_destroy(&pace->places);
    pw_map_destroy(&pace->peers);
    pw_mutex_destroy(&pace->mutex);
}

/* NULL if it has as many places as it may, or memory is out. */
static struct peer *enter_peer_locked(struct pw_pace *pace, uint64_t hash)
{
    struct pw_map_node *node = pw_map_first(&pace->peers, hash);
    struct peer *peer = node == NULL ? NULL : PW_CONTAINER_OF(node, struct peer, node);
    if (peer == NULL && (peer = calloc(1, sizeof(*peer))) != NULL &&
        pw_map_insert(&pace->peers, &peer->node, hash) != PYWATT_OK) {
        free(peer);
        peer = NULL;
    }
    if (peer == NULL || peer->places >= pace->per_peer_max) {
        return NULL;
    }
    peer->places++;
    return peer;
}

/* NULL if there is no room, or memory is out. */
static struct place *new_place_locked(struct pw_pace *pace, const struct pw_pace_comer *comer)
{
    const bool bounded = !comer->proven && comer->peer != 0;
    struct peer *peer = NULL;
    if ((!comer->proven && pace->places_of_anybody >= pace->places_max) ||
        (bounded && (peer = enter_peer_locked(pace, comer->peer)) == NULL)) {
        return NULL;
    }
    struct place *place = calloc(1, sizeof(*place));
    if (place != NULL && pw_map_insert(&pace->places, &place->node, comer->who) != PYWATT_OK) {
        free(place);
        place = NULL;
    }
    if (place == NULL) {
        leave_peer_locked(pace, peer);
        return NULL;
    }
    place->peer = peer;
    place->line = comer->proven ? PW_PACE_PROVEN : PW_PACE_ANYBODY;
    pace->places_of_anybody += comer->proven ? 0 : 1;
    pw_list_init(&place->link);
    return place;
}

/* ---- The lines ---- */

static void take_place_locked(struct pw_pace *pace, struct place *place, uint64_t due_ns)
{
    place->due_ns = due_ns;
    pw_list_append(&pace->by_due[place->line], &place->link);
    set_waiting_locked(pace);
}

/* The bucket is empty: takes a place at the end of the line, if there can be one; when that is. */
static uint64_t join_locked(struct pw_pace *pace, const struct pw_pace_comer *comer,
                            uint64_t now_ns)
{
    uint64_t full_ns = 0;
    struct place *place = new_place_locked(pace, comer);
    const bool drawn = draw(pace, now_ns, place == NULL ? 0 : BURST_NS + LINE_NS, &full_ns);
    const uint64_t due_ns = full_ns - BURST_NS; /* the bucket only gets emptier: it is to come */
    if (drawn) {
        take_place_locked(pace, place, due_ns);
    } else if (place != NULL) {
        remove_locked(pace, place);
    }
    return due_ns;
}

/* The same for one of the proven; there always is a place, as long as there is memory. */
static uint64_t join_proven_locked(struct pw_pace *pace, const struct pw_pace_comer *comer,
                                   uint64_t now_ns)
{
    const uint64_t last_ns = pace->proven_ns > now_ns ? pace->proven_ns : now_ns;
    const uint64_t due_ns = last_ns + step_now(pace);
    struct place *place = due_ns - now_ns > LINE_NS ? NULL : new_place_locked(pace, comer);
    if (place != NULL) {
        pace->proven_ns = due_ns;
        take_place_locked(pace, place, due_ns);
        pw_pace_pass(pace, now_ns);
    }
    return due_ns;
}

static uint64_t due_locked(struct pw_pace *pace, const struct pw_pace_comer *comer, uint64_t now_ns)
{
    uint64_t full_ns;
    (void)expire_locked(pace, now_ns, EXPIRED_AT_ONCE);
    struct place *place = find_locked(pace, comer->who);
    if (place == NULL) {
        return draw(pace, now_ns, BURST_NS, &full_ns) ? now_ns
               : comer->proven                        ? join_proven_locked(pace, comer, now_ns)
                                                      : join_locked(pace, comer, now_ns);
    }
    if (place->due_ns > now_ns + EARLY_NS) {
        return place->due_ns;
    }
    remove_locked(pace, place);
    return now_ns;
}

bool pw_pace_is_open(struct pw_pace *pace, uint64_t now_ns)
{
    uint64_t full_ns;
    return step_now(pace) == 0 ||
           (atomic_load_explicit(&pace->waiting, memory_order_relaxed) == 0 &&
            draw(pace, now_ns, BURST_NS, &full_ns));
}

uint32_t pw_pace_enter(struct pw_pace *pace, const struct pw_pace_comer *comer, uint64_t now_ns)
{
    pw_mutex_lock(&pace->mutex);
    const uint64_t due_ns = due_locked(pace, comer, now_ns);
    pw_mutex_unlock(&pace->mutex);
    if (due_ns <= now_ns) {
        return 0;
    }
    const uint64_t wait_ms = (due_ns - now_ns + PW_NS_PER_MS - 1) / PW_NS_PER_MS;
    return wait_ms < PW_PACE_WAIT_MAX_MS ? (uint32_t)wait_ms : PW_PACE_WAIT_MAX_MS;
}

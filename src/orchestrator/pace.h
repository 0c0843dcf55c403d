/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pace.h - how many registrations an orchestrator takes in: a token bucket of one second's worth, and
 * a line of those who found it empty. Any thread.
 *
 * Who finds the bucket empty gets a place in the line: the moment at which the next drop of the refill
 * falls that nobody has yet. That drop is taken out of the bucket at once, so nobody who comes
 * meanwhile finds it there, and whoever comes again at its moment gets in without another one. It is
 * known again by a hash. A place is kept for some seconds after its moment, and then its drop is
 * lost.
 *
 * Anybody can make up names. So an address has at most a part of the places, and who has proven to be
 * a module that is known has a line of its own, which begins now and has room for all of them, however
 * long the other one is. What they draw is taken out of the bucket as well.
 *
 * The bucket is one atomic number. The lines have a mutex of their own, the last of all locks, taken
 * only while there is a line or one begins.
 */
#ifndef PW_ORCHESTRATOR_PACE_H
#define PW_ORCHESTRATOR_PACE_H

#include "base/list.h"
#include "base/map.h"
#include "base/sync.h"

#include <pywatt/status.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nobody is told to wait for longer. Who would have to gets no place, and is asked to try then. */
#define PW_PACE_WAIT_MAX_MS 60000

/* How long a place is kept for one that is late. */
#define PW_PACE_KEPT_MS 10000

/* One address has at most one in so many of the places that there can be. */
#define PW_PACE_PEER_PART 4

/* Who comes. */
struct pw_pace_comer {
    uint64_t who;  /* by what its place is known again */
    uint64_t peer; /* its address; 0: it is on this machine, and not bounded by it */
    bool proven;   /* a module that is known: has shown its id and its token */
};

enum pw_pace_line {
    PW_PACE_ANYBODY,
    PW_PACE_PROVEN,
    PW_PACE_LINES
};

struct pw_pace {
    /* Atomic. */
    _Atomic uint64_t step_ns; /* between two drops; 0: no limit */
    _Atomic uint64_t full_ns; /* when the bucket is full again if nobody comes */
    _Atomic size_t waiting;   /* places in both lines */

    struct pw_mutex mutex;
    /* mutex */
    size_t places_max;   /* of anybody's */
    size_t per_peer_max; /* of those */
    uint64_t proven_ns;  /* the last moment that was promised in the line of the proven */
    struct pw_map places;
    struct pw_map peers;
    size_t places_of_anybody;
    struct pw_list by_due[PW_PACE_LINES]; /* the same places, earliest first */
};

/* `per_s` registrations a second, 0: no limit. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_pace_init(struct pw_pace *pace, uint32_t per_s, size_t places_max);
void pw_pace_destroy(struct pw_pace *pace);

/* From now on. As many drops are missing as before; moments that were promised stay. Any thread. */
void pw_pace_change(struct pw_pace *pace, uint32_t per_s, size_t places_max, uint64_t now_ns);

/* True if whoever comes gets in as there is no line: then pw_pace_enter is not needed. */
bool pw_pace_is_open(struct pw_pace *pace, uint64_t now_ns);

/* One comes that can wait. 0 if it gets in; else in how many milliseconds it is to come again. */
uint32_t pw_pace_enter(struct pw_pace *pace, const struct pw_pace_comer *comer, uint64_t now_ns);

/* One comes that cannot wait, and gets in: those who come later wait for it. */
void pw_pace_pass(struct pw_pace *pace, uint64_t now_ns);

/*
 * Gives up the places that are kept for too long, though nobody comes. When to be called again; 0 if
 * there are no places.
 */
uint64_t pw_pace_tick(struct pw_pace *pace, uint64_t now_ns);

#endif

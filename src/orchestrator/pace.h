/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pace.h - how many registrations an orchestrator takes in: a token bucket of one second's worth, and
 * a line of those who found it empty. Any thread.
 *
 * Who finds the bucket empty gets a place in the line: the moment at which the next drop of the refill
 * falls that nobody has yet. That drop is taken out of the bucket at once, so nobody who comes
 * meanwhile finds it there, and whoever comes again at its moment gets in without another one. It is
 * known again by a hash, of the name of its module. A place is kept for some seconds after its
 * moment, and then its drop is lost.
 *
 * The bucket is one atomic number. The line has a mutex of its own, the last of all locks, taken only
 * while there is a line or one begins.
 */
#ifndef PW_ORCHESTRATOR_PACE_H
#define PW_ORCHESTRATOR_PACE_H

#include "base/list.h"
#include "base/map.h"
#include "base/sync.h"

#include <pywatt/status.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Nobody is told to wait for longer. Who would have to gets no place, and is asked to try then. */
#define PW_PACE_WAIT_MAX_MS 60000

/* How long a place is kept for one that is late. */
#define PW_PACE_KEPT_MS 10000

struct pw_pace {
    /* Fixed. */
    uint64_t step_ns; /* between two drops; 0: no limit */
    size_t places_max;

    /* Atomic. */
    _Atomic uint64_t full_ns; /* when the bucket is full again if nobody comes */
    _Atomic size_t waiting;   /* places in the line */

    struct pw_mutex mutex;
    /* mutex */
    struct pw_map places;
    struct pw_list by_due; /* the same, earliest first */
};

/* `per_s` registrations a second, 0: no limit. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_pace_init(struct pw_pace *pace, uint32_t per_s, size_t places_max);
void pw_pace_destroy(struct pw_pace *pace);

/* One comes that can wait. 0 if it gets in; else in how many milliseconds it is to come again. */
uint32_t pw_pace_enter(struct pw_pace *pace, uint64_t who, uint64_t now_ns);

/* One comes that cannot wait, and gets in: those who come later wait for it. */
void pw_pace_pass(struct pw_pace *pace, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * events.h - tells the application what happens to modules, on a thread of its own, so that a slow
 * application delays nobody. Events are pushed from any thread, also with the lock of a shard held:
 * that is what keeps them in order for each module.
 */
#ifndef PW_ORCHESTRATOR_EVENTS_H
#define PW_ORCHESTRATOR_EVENTS_H

#include "base/list.h"
#include "base/map.h"
#include "base/sync.h"

#include <pywatt/orchestrator.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * While more than this wait, a change of a module's health or liveness takes the place of the one
 * before of the same kind and module; what the application sees last stays true.
 */
#define PW_EVENTS_COALESCE_OVER 1024
/* While this many wait, further ones are dropped; the thread then says so in the log. */
#define PW_EVENTS_MAX 262144

struct pw_events {
    pywatt_event_fn on_event; /* NULL: nobody listens, nothing is kept */
    void *user;
    pthread_t thread;
    bool running; /* the owner's: the thread was started */
    struct pw_mutex mutex;
    struct pw_cond cond;
    /* mutex */
    struct pw_list queue;
    size_t count;
    unsigned holds;            /* pw_events_hold */
    uint64_t dropped;          /* not yet told in the log */
    struct pw_map replaceable; /* waiting events of health and liveness, by module and kind */
    bool stopping;
    void (*abandoned)(void *user); /* once set nobody is told any more */
    void *abandoned_user;
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_events_init(struct pw_events *events, pywatt_event_fn on_event, void *user);
void pw_events_destroy(struct pw_events *events);

/* Starts the thread, if anybody listens. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_events_start(struct pw_events *events);

/* Tells what waits still, and ends the thread. Not on that thread. */
void pw_events_stop(struct pw_events *events);

/* True inside of on_event. */
bool pw_events_on_own_thread(const struct pw_events *events);

/* The thread tells what waits still, and ends. Nobody waits for that: pw_events_stop does, later. */
void pw_events_end(struct pw_events *events);

/*
 * Inside of on_event: it is not called again, and once it has returned the thread calls `abandoned`,
 * which may destroy `events`, and ends. Instead of pw_events_stop.
 */
void pw_events_abandon(struct pw_events *events, void (*abandoned)(void *user), void *user);

/* Whether anybody listens. */
static inline bool pw_events_are_told(const struct pw_events *events)
{
    return events->on_event != NULL;
}

/* Copies *event, its name included. Never blocks for the application. Any thread. */
void pw_events_push(struct pw_events *events, const struct pywatt_event *event);

/*
 * Between the two, events wait: for somebody who pushes many at once and would else wake the thread
 * for each. For moments only. Any thread.
 */
void pw_events_hold(struct pw_events *events);
void pw_events_release(struct pw_events *events);

#endif

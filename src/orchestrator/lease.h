/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * lease.h - who has been silent for too long. One thread turns a timer wheel that visits a module
 * once a lease: it looks at when the module beat last, and comes again when that lease is over. So
 * a beat costs a store of a number, and nothing here.
 *
 * The clock of the leases is CLOCK_MONOTONIC without the time in which the orchestrator itself
 * stood still: the lease thread measures how late it wakes, and takes that out; of stalls below
 * 150 ms no more than a fiftieth of the time in the long run, as a busy machine has them without end.
 * After a pause, which is a stall of a second at least, nobody's lease ends before a whole one has passed. And before a
 * module is declared lost, every worker makes one whole pass over its sockets that began after the
 * module's deadline, so that a beat that has arrived counts even if nobody had read it yet.
 */
#ifndef PW_ORCHESTRATOR_LEASE_H
#define PW_ORCHESTRATOR_LEASE_H

#include "base/clock.h"
#include "base/sync.h"
#include "orchestrator/timer_wheel.h"

#include <pywatt/status.h>
#include <pywatt/uuid.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pw_module;
struct pw_module_table;

struct pw_lease_hooks {
    /*
     * Asks every worker for a pass; each then calls pw_lease_pass_done once. Returns how many were
     * asked; 0 means that there is nobody to wait for. Runs on the lease thread, no lock held.
     */
    unsigned (*begin_pass)(void *user);

    /* A lost module's time is over: it is to be forgotten. On the lease thread, no lock held. */
    void (*forget)(void *user, const struct pywatt_uuid *id);
    void *user;
};

struct pw_lease {
    const struct pw_clock *clock;
    struct pw_module_table *table;
    struct pw_lease_hooks hooks;
    pthread_t thread;
    bool running; /* the owner's: the thread was started */

    /* Time that did not count. Written by the lease thread, read by anybody. */
    atomic_uint_fast64_t stall_ns;
    atomic_uint_fast64_t lost_count;
    atomic_uint_fast64_t retain_ms; /* any thread; for modules that are lost from now on */

    /* The lease thread's, or whoever calls pw_lease_step. */
    uint64_t planned_ns; /* when it meant to wake; 0 before the first step */
    uint64_t pass_began_ns;
    uint64_t resumed_ns; /* on the leases' clock: when the last pause ended, if there was one */
    bool paused;
    uint64_t stutter_left_ns; /* so much of short stalls would be taken out as well */
    uint64_t stutter_at_ns;   /* then */

    int wake_fd; /* an eventfd: readable while `kicked` */
    struct pw_mutex mutex;
    /* mutex */
    struct pw_wheel wheel;
    struct pw_list fired;  /* to be visited */
    struct pw_list doomed; /* silent for too long; wait for the next pass to begin */
    struct pw_list judged; /* the same, and the pass has begun */
    unsigned pass_left;    /* workers that have not made it yet */
    bool pass_running;
    bool kicked;        /* there is work sooner than the thread knew when it went to sleep */
    uint64_t kicked_ns; /* since then; on the clock */
    bool stopping;
};

/* `table` is borrowed. PYWATT_OK, PYWATT_NO_MEMORY, PYWATT_IO (no descriptor). */
enum pywatt_status pw_lease_init(struct pw_lease *lease, const struct pw_clock *clock,
                                 struct pw_module_table *table, uint64_t retain_ms);
void pw_lease_destroy(struct pw_lease *lease);

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_lease_start(struct pw_lease *lease, const struct pw_lease_hooks *hooks);
void pw_lease_stop(struct pw_lease *lease);

/* One moment, on the clock itself and on that of the leases. */
struct pw_moment {
    uint64_t clock_ns;
    uint64_t lease_ns;
};

/*
 * Now. The time that did not count is looked up before the clock: a stall that is noticed between
 * the two makes the moment later, which costs nobody a lease, never earlier.
 */
struct pw_moment pw_lease_look(struct pw_lease *lease);

/* The same, if only the clock of the leases matters. */
static inline uint64_t pw_lease_now_ns(struct pw_lease *lease)
{
    return pw_lease_look(lease).lease_ns;
}

/* Visit the module when its lease is over, as its last beat stands. Shard's mutex held. */
void pw_lease_watch(struct pw_lease *lease, struct pw_module *module);

/* Visit it at this time. Shard's mutex held. */
void pw_lease_visit_at(struct pw_lease *lease, struct pw_module *module, uint64_t when_ns);

/* Nobody visits it any more. Before it is freed. */
void pw_lease_unwatch(struct pw_lease *lease, struct pw_module *module);

/* A worker has made the pass that it was asked for. Any thread. */
void pw_lease_pass_done(struct pw_lease *lease);

/*
 * Does what is due now, and returns when to do so again (on the clock itself, not the leases'), or
 * PW_DEADLINE_NEVER. What the thread calls; tests call it with a clock of their own.
 */
uint64_t pw_lease_step(struct pw_lease *lease);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fleet.h - many modules of one client, each advertised, beating in a loop, and watched. Functions
 * assert: main thread.
 */
#ifndef PW_TESTS_FLEET_H
#define PW_TESTS_FLEET_H

#include "client.h"
#include "host.h"

#include <stdatomic.h>

enum {
    FLEET_MAX = 128
};

struct ship {
    struct pywatt_module *module;
    struct pywatt_uuid id;
    char name[32];
    /* What its watcher was told. */
    atomic_uint reregistered;
    atomic_uint healthy; /* beats succeed (again) */
    atomic_uint failing;
    _Atomic(enum pywatt_status) last_failure;
};

struct fleet {
    struct pywatt_client *client;
    unsigned count;
    struct ship ships[FLEET_MAX];
};

/* Registers them all and starts their loops, at `interval_ms` times the slow factor. */
void fleet_launch(struct fleet *fleet, struct pywatt_client *client, unsigned count,
                  unsigned interval_ms);

/* Stops the loops and frees the modules; the client stays. */
void fleet_end(struct fleet *fleet);

/*
 * Waits until the orchestrator of this host knows them all, under their ids, with their capabilities,
 * and beating; then asserts that each was registered there once, and advertised once.
 */
void fleet_await_in(struct fleet *fleet, struct host *host);

/* Waits until every watcher was told of a registration by itself for this many times. */
void fleet_await_reregistered(struct fleet *fleet, unsigned times);

/* Waits until beats of all of them are answered again: one more from each. */
void fleet_await_beats(struct fleet *fleet);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * world.h - an orchestrator under test, with a record of the events that it told. Main thread,
 * except for the events, which come on their own.
 */
#ifndef PW_TESTS_WORLD_H
#define PW_TESTS_WORLD_H

#include "orchestrator/orchestrator.h"
#include "peer.h"
#include "pw_test.h"

#include <pthread.h>

#define WORLD_EVENTS_MAX 65536

struct seen_event {
    enum pywatt_event_kind kind;
    struct pywatt_uuid id;
    char name[64];
    enum pywatt_health health;
    enum pywatt_liveness liveness;
    uint64_t generation;
};

struct world {
    struct pywatt_orchestrator *orchestrator;
    struct pywatt_orchestrator_options options; /* changed between prepare and start */
    struct pw_config_hooks hooks;               /* the same */
    struct pw_store *store;                     /* the same; NULL for the usual one */
    char url[128];                              /* of its TCP listener, then of the other one */
    char memory_url[128];
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct seen_event *events;
    size_t event_count;
};

/* Defaults: two workers, leases of at least 1 ms allowed, events recorded. */
void world_prepare(struct world *world);

/* Makes the orchestrator, listens on tcp://127.0.0.1:0 and on memory:, starts. Asserts. */
void world_start(struct world *world);
void world_stop(struct world *world);

/* prepare and start. */
void world_begin(struct world *world);

/* Connects; asserts that it worked. */
void world_peer(struct world *world, struct peer *peer, const char *codec);

/*
 * Waits for an event of this kind about this module (NULL: any) at or after index `from`. Its index;
 * fails the test when none comes.
 */
size_t world_await(struct world *world, size_t from, enum pywatt_event_kind kind,
                   const struct pywatt_uuid *id);

/* The same for a liveness event that tells this liveness. */
size_t world_await_liveness(struct world *world, size_t from, const struct pywatt_uuid *id,
                            enum pywatt_liveness liveness);

size_t world_event_count(struct world *world);
struct seen_event world_event(struct world *world, size_t index);

/* How many events of this kind there are about this module so far. */
size_t world_count_events(struct world *world, enum pywatt_event_kind kind,
                          const struct pywatt_uuid *id);

/* Looks a module up; the view is the caller's. Asserts that it is there. */
struct pywatt_module_view *world_view(struct world *world, const struct pywatt_uuid *id);
enum pywatt_liveness world_liveness(struct world *world, const struct pywatt_uuid *id);
struct pywatt_orchestrator_stats world_stats(struct world *world);

/* Waits until the number of connections is this. */
void world_await_connections(struct world *world, uint64_t count);

#endif

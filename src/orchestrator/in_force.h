/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * in_force.h - the options that are in force, and how each worker comes to have them.
 *
 * A worker reads its own pointer, which only its thread writes: between two events, when the mail comes
 * that says that there are others. So reading an option costs no lock and no atomic, and all that one
 * event does is done with the same options. Others have theirs under a lock of their own.
 */
#ifndef PW_ORCHESTRATOR_IN_FORCE_H
#define PW_ORCHESTRATOR_IN_FORCE_H

#include "base/sync.h"

#include <pywatt/status.h>

#include <stdint.h>

struct pw_config;
struct pw_server;
struct pw_worker;

struct pw_in_force {
    struct pw_mutex mutex;
    struct pw_cond taken; /* a worker has taken them, or has ended */
    /* mutex */
    struct pw_config *config; /* one reference */
    uint64_t version;         /* how often it was changed */
};

/* Takes a reference to `config`. What is doubtful about them is logged. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_in_force_init(struct pw_in_force *in_force, struct pw_config *config);
void pw_in_force_destroy(struct pw_in_force *in_force);

/* What is in force, with a reference for the caller. Any thread. */
struct pw_config *pw_in_force_config(struct pw_in_force *in_force);

/*
 * Puts others in force, with a reference of its own, and waits until every worker has them that runs.
 * What is doubtful about them is logged. One thread at a time; not a worker's; no lock held that a worker
 * may want.
 */
void pw_in_force_change(struct pw_server *server, struct pw_config *config);

/* The workers run: tells those who have others than there are by now. */
void pw_in_force_tell(struct pw_server *server);

/* ---- For a worker ---- */

/* Before its thread is started: gives it what is in force. */
void pw_in_force_begin(struct pw_worker *worker);

/* The last thing that its thread does. */
void pw_in_force_left(struct pw_worker *worker);

#endif

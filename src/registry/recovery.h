/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * recovery.h - the recovery thread: connects in the background while beats or asynchronous
 * operations need it, and registers modules again that an orchestrator has forgotten. Both block,
 * which the heartbeat thread must not.
 */
#ifndef PW_REGISTRY_RECOVERY_H
#define PW_REGISTRY_RECOVERY_H

#include "base/sync.h"
#include "registry/deferral.h"
#include "registry/due_heap.h"
#include "transport/backoff.h"

#include <pywatt/module.h>

#include <stdbool.h>
#include <stdint.h>

struct pw_recovery {
    struct pw_mutex lock;
    struct pw_cond wake;
    /* Guarded by lock. */
    struct pw_due_heap modules;
    bool connect_wanted;
    uint64_t connect_at_ns;         /* who wants it does so from then on */
    uint64_t connect_after;         /* and had seen so many connections, and the last one lost */
    uint64_t connect_not_before_ns; /* the policy's pause */
    uint64_t link;                  /* the connection by which `modules` stand where they do */
    bool closed;
};

/* A module's place in it; guarded by the recovery's lock. */
struct pw_recovery_place {
    struct pw_due due; /* while it is queued, the queue has a reference on the module */
    bool urgent;
    uint64_t recovered_ns;       /* when it came back last; 0: never */
    struct pw_deferral deferral; /* not before that: the orchestrator has said so */
    struct pw_backoff backoff;
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_recovery_init(struct pw_recovery *recovery);
void pw_recovery_destroy(struct pw_recovery *recovery);
void pw_recovery_place_init(struct pw_recovery_place *place);

/* Nothing new is begun; the thread ends. Any thread. */
void pw_recovery_close(struct pw_recovery *recovery);

/* A connection is gone: what was said on it counts no more. Any thread. */
void pw_recovery_wake(struct pw_recovery *recovery);

/*
 * Wants a connection at this moment, as the last one of `connects` is lost; the earliest moment
 * counts. Any thread; costs a lock.
 */
void pw_recovery_connect(struct pywatt_client *client, uint64_t connects, uint64_t at_ns);

/*
 * Wants `module` registered again, as soon as may be: after a pause, if it came back only just now.
 * `urgent`: somebody waits for it, so at once, even if the module itself does not need it. In either
 * case not before the orchestrator lets it come again. Any thread.
 */
void pw_recovery_request(struct pywatt_client *client, struct pywatt_module *module, bool urgent);

/*
 * An attempt has ended, in whatever thread: after a failure the next one is put off, until then if
 * the orchestrator has said when.
 */
void pw_recovery_attempted(struct pywatt_client *client, struct pywatt_module *module,
                           bool succeeded, const struct pw_deferral *deferral);

/* The thread: returns once it is closed. */
void pw_recovery_run(struct pywatt_client *client);

#endif

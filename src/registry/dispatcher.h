/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatcher.h - runs the application's callbacks, one after the other, on one thread, with no lock
 * held. Jobs stand in their owners: posting one takes no memory.
 */
#ifndef PW_REGISTRY_DISPATCHER_H
#define PW_REGISTRY_DISPATCHER_H

#include "base/list.h"
#include "base/sync.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

struct pw_job {
    struct pw_list link;
    void (*run)(struct pw_job *job); /* may free the job */
};

struct pw_dispatcher {
    struct pw_mutex lock;
    struct pw_cond wake;
    /* Guarded by lock. */
    struct pw_list jobs;
    uint64_t promised; /* jobs that are still to be posted, come what may */
    bool closed;
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_dispatcher_init(struct pw_dispatcher *dispatcher);
void pw_dispatcher_destroy(struct pw_dispatcher *dispatcher);

/*
 * Promises one job: the dispatcher does not end before it was posted and has run. False once it is
 * closed. Any thread.
 */
bool pw_dispatcher_promise(struct pw_dispatcher *dispatcher);

/* Posts a promised job, or takes the promise back. Any thread. */
void pw_dispatcher_redeem(struct pw_dispatcher *dispatcher, struct pw_job *job);
void pw_dispatcher_release(struct pw_dispatcher *dispatcher);

/* Posts a job that was not promised; false, and the job is not taken, once it is closed. */
bool pw_dispatcher_post(struct pw_dispatcher *dispatcher, struct pw_job *job);

/* Nothing new may be promised or posted; what was still runs. Any thread. */
void pw_dispatcher_close(struct pw_dispatcher *dispatcher);

/* The dispatcher thread: returns when it is closed and everything posted or promised has run. */
void pw_dispatcher_run(struct pw_dispatcher *dispatcher);

#endif

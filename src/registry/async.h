/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * async.h - an asynchronous operation on its way: submitted by any thread, posted by the heartbeat
 * thread, completed by whoever reads the reply, and told to the application by the dispatcher. One
 * of them has it at a time.
 */
#ifndef PW_REGISTRY_ASYNC_H
#define PW_REGISTRY_ASYNC_H

#include "registry/dispatcher.h"
#include "registry/due_heap.h"
#include "registry/operation.h"
#include "rpc/channel.h"

#include <stdbool.h>
#include <stdint.h>

struct pw_async {
    struct pw_errand errand;           /* with a reference on the module */
    struct pywatt_string_map *details; /* the operation's own copy; NULL if there are none */
    struct pw_told *told;              /* a reference, or NULL */
    bool parked;    /* it waits for its module to be registered again, or to be left alone */
    bool recovered; /* it has been through a recovery once */
    uint64_t round; /* of the module's recovery, when it was parked */
    struct pw_deferral deferral; /* it waits until then to be sent again */

    struct pw_list link; /* the heartbeat thread's mail, ready or parked */
    struct pw_due due;   /* the heartbeat thread's, until it is posted: its deadline, or deferral */
    uint64_t sent_ns;
    struct pw_post post; /* the channel's */
    struct pw_job job;   /* the dispatcher's */

    enum pywatt_status status;
    struct pywatt_error error;
    union {
        pywatt_registered_fn registered;
        pywatt_heartbeat_fn heartbeat;
        pywatt_done_fn plain;
    } done;
    void *user;
};

/* It is over: hands it to the dispatcher. The words are in operation->error. Any thread. */
void pw_async_finish(struct pw_async *operation, enum pywatt_status status);

/* How the channel ended it; see pw_post_done. */
void pw_async_posted(struct pw_post *post, enum pywatt_status status,
                     const struct pw_response *response, const struct pywatt_error *error);

#endif

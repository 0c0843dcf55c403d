/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * client.h - a client's inside: what its parts share, who is inside it, how its threads begin and
 * end.
 *
 * Life. The struct lives as long as somebody has a reference: the application's handle, each module,
 * each thread of the client, each call that is inside. What costs descriptors (the channel) is given
 * back once the handle is, no call is inside and no thread runs. Module handles that outlive it find
 * it closed.
 */
#ifndef PW_REGISTRY_CLIENT_H
#define PW_REGISTRY_CLIENT_H

#include "base/clock.h"
#include "base/fork.h"
#include "base/log.h"
#include "base/sync.h"
#include "registry/alias.h"
#include "registry/batch.h"
#include "registry/counters.h"
#include "registry/dispatcher.h"
#include "registry/heartbeat.h"
#include "registry/options.h"
#include "registry/recovery.h"
#include "registry/registry.h"
#include "rpc/channel.h"

#include <pywatt/client.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum pw_thread_role {
    PW_THREAD_OTHER, /* not one of this client's */
    PW_THREAD_HEARTBEAT,
    PW_THREAD_RECOVERY,
    PW_THREAD_DISPATCHER
};
#define PW_THREAD_ROLES 4

struct pw_client_thread {
    struct pywatt_client *client;
    enum pw_thread_role role;
    /* Guarded by the client's lock. */
    bool started;
    bool given_up; /* joined or detached, or somebody is about to */
    pthread_t id;
};

struct pywatt_client {
    /* Set once by open. */
    struct pw_settings settings;
    uint32_t process; /* of fork.h */
    const struct pw_clock *clock;
    struct pw_channel *channel; /* until `released` */

    struct pw_registry registry;
    struct pw_dispatcher dispatcher;
    struct pw_recovery recovery;
    struct pw_heartbeat heartbeat;
    struct pw_counters counters;
    struct pw_alias_source aliases;
    atomic_uint references;
    atomic_uint operations;    /* asynchronous ones whose callback has not begun */
    atomic_bool threads_ready; /* all of them are started */
    _Atomic uint64_t random;   /* state of what is left to chance */
    struct pw_log_limit deferral_log_limit;

    struct pw_mutex lock;
    struct pw_cond quiet; /* users or live_threads fell to zero */
    struct pw_cond moved; /* for those who wait for a moment: it is closed, or a connection gone */
    /* Guarded by lock. */
    unsigned users;        /* calls inside */
    unsigned live_threads; /* threads that have not done their work yet */
    bool closed;
    bool consumed;                  /* the application has given its handle back */
    struct pw_batch *spare_batches; /* memory of batch calls that have ended */
    bool released;                  /* the channel is gone, or somebody is about to end it */
    struct pw_client_thread threads[PW_THREAD_ROLES];
};

/*
 * A call that may use the channel comes in: false if the client is closed, or of another process,
 * and then nothing is to be left. The client lives at least until pw_client_leave.
 */
bool pw_client_enter(struct pywatt_client *client);
void pw_client_leave(struct pywatt_client *client);

/* Why pw_client_enter did not let a call in: PYWATT_CLOSED or PYWATT_FORKED, with its words. */
enum pywatt_status pw_client_refuses(const struct pywatt_client *client,
                                     struct pywatt_error *error);

/* This is a child of the process that opened it: nothing of it may be touched. */
static inline bool pw_client_is_in_child(const struct pywatt_client *client)
{
    return pw_fork_is_child(client->process);
}

/* PYWATT_CLOSED, with its words. */
enum pywatt_status pw_client_is_closed(struct pywatt_error *error);

struct pywatt_client *pw_client_acquire(struct pywatt_client *client);
void pw_client_release(struct pywatt_client *client);

/*
 * Makes sure that the client's threads run. All three start together: what needs one may need the
 * others at any moment, when nobody is there any more to be told that they cannot be had.
 * PYWATT_OK, PYWATT_NO_MEMORY, PYWATT_CLOSED.
 */
enum pywatt_status pw_client_start_threads(struct pywatt_client *client,
                                           struct pywatt_error *error);

/* Which of this client's threads the caller runs on: in a callback it is one of them. */
enum pw_thread_role pw_client_role(const struct pywatt_client *client);

/* True in a callback on the heartbeat thread of this client or another one. */
bool pw_client_on_heartbeat_thread(void);

/* The deadline of an operation that begins now. */
uint64_t pw_client_deadline_ns(const struct pywatt_client *client);

#endif

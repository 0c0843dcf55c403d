/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop.h - a heartbeat loop's inside.
 *
 * Life: references, by the application's handle, its module while it runs, the heartbeat thread,
 * and the channel while a beat is under way.
 */
#ifndef PW_REGISTRY_LOOP_H
#define PW_REGISTRY_LOOP_H

#include "base/list.h"
#include "model/message.h"
#include "registry/due_heap.h"
#include "registry/module.h"
#include "rpc/channel.h"

#include <pywatt/heartbeat.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Beats of all loops leave on this grid, so that those of many loops share a write. */
#define PW_BEAT_GRID_NS UINT64_C(250000)

/*
 * The answers of so much time may be under way: with short intervals those of several beats, so that
 * neither a long way nor an orchestrator that stands still for a moment takes beats away.
 */
#define PW_LOOP_COVERED_NS UINT64_C(16000000)
#define PW_LOOP_UNDER_WAY_MAX 16

enum {
    PW_LOOP_STOPPED = 1,
    PW_LOOP_IN_PROVIDER = 2,
    PW_LOOP_QUIET = 4 /* `quiet` says something */
};

/* A beat in a message of its own. The heartbeat thread takes one that is not busy; the reader ends it. */
struct pw_loop_post {
    atomic_bool busy;
    struct pywatt_heartbeat_loop *loop;
    uint64_t sent_ns;
    struct pw_post post; /* the channel's while busy */
};

struct pywatt_heartbeat_loop {
    /* Fixed. */
    struct pywatt_module *module; /* one reference */
    uint64_t interval_ns;
    pywatt_health_provider provider;
    void *user;

    atomic_uint references;
    atomic_uint flags;     /* PW_LOOP_* */
    atomic_uint under_way; /* beats that were sent and are not answered, at most `post_count` */
    unsigned post_count;   /* fixed */

    /* Guarded by the module's lock. */
    struct pw_deferral quiet; /* no beats before that */

    /* Guarded by the heartbeat's lock. */
    struct pw_list mail;
    bool held;  /* the heartbeat thread has it, or will, and a reference */
    bool again; /* it is in the mail since its beat is to be sent again */

    /* The heartbeat thread's. */
    struct pw_list all;     /* among all loops */
    struct pw_due next;     /* the next beat */
    struct pw_list waiting; /* a beat is due and not sent */
    uint64_t due_ns;        /* since when */
    bool prepared;          /* the provider was asked for it */
    unsigned version;       /* of `registration` */
    /* A reference. Read by whoever takes an answer in; so it changes only when none is under way. */
    struct pywatt_registration *registration;
    struct pywatt_string_map *details; /* NULL without a provider */
    struct pw_request request;

    struct pw_loop_post posts[];
};

struct pywatt_heartbeat_loop *pw_loop_acquire(struct pywatt_heartbeat_loop *loop);
void pw_loop_release(struct pywatt_heartbeat_loop *loop);

/* Ends the beats, and waits as pywatt_heartbeat_loop_stop does. Consumes nothing. */
void pw_loop_stop(struct pywatt_heartbeat_loop *loop);

bool pw_loop_stopped(const struct pywatt_heartbeat_loop *loop);

/* ---- For the heartbeat thread ---------------------------------------------------------------- */

/* When the first beat is due. */
uint64_t pw_loop_first_ns(const struct pywatt_heartbeat_loop *loop, uint64_t now_ns);

/*
 * Fills loop->request for the beat that is due now; asks the provider, if there is one. False if the
 * module was registered again and beats of the time before are under way: this one is not to be sent.
 */
bool pw_loop_prepare(struct pywatt_heartbeat_loop *loop);

/* Whether as many beats are under way as may be, or any. */
bool pw_loop_full(const struct pywatt_heartbeat_loop *loop);
bool pw_loop_idle(struct pywatt_heartbeat_loop *loop);

/* The orchestrator wants no beat before that; 0 if it has not said so. */
uint64_t pw_loop_quiet_until_ns(struct pywatt_heartbeat_loop *loop);

/* A beat is about to be handed to the channel: it is under way, with a reference. Or was not taken. */
void pw_loop_sent(struct pywatt_heartbeat_loop *loop);
void pw_loop_unsent(struct pywatt_heartbeat_loop *loop);

/* For a beat in a message of its own, of a loop that is not full. It is not busy yet. */
struct pw_loop_post *pw_loop_free_post(struct pywatt_heartbeat_loop *loop);

/*
 * How a beat that was sent ended: `words` say why unless PYWATT_OK, and may be changed. It is not
 * under way any more; its reference is given back. Any thread, several at once.
 */
struct pw_answer;
void pw_loop_ended(struct pywatt_heartbeat_loop *loop, enum pywatt_status status,
                   const struct pw_answer *answer, struct pywatt_error *words);

/* It was not taken as it was sent, and is to be sent again at once, in full. The same. */
void pw_loop_again(struct pywatt_heartbeat_loop *loop);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * heartbeat.h - beats in the background, from the client's one heartbeat thread.
 *
 * Beats leave at absolute monotonic times: start + phase + n * interval, with a phase that differs
 * from module to module, so there is no drift and no burst. All beats that are due go out together;
 * their answers are collected as they come. Skipped, and counted, are: a beat for which there is no
 * room (too much is under way) until the next one of its loop is due; one whose predecessor, or with
 * intervals below 16 ms whose predecessors of the last 16, are not answered yet; one for which there
 * is no connection; those of a module that is just being
 * registered again; and those before the moment at which the orchestrator wants the next one, if it
 * has refused one for now. Beats never pile up.
 *
 * While the orchestrator is away the client connects again in the background: first at a random
 * moment (reconnect_spread_ms), then by its reconnect policy; with PYWATT_RECONNECT_NONE, or after
 * reconnect_max_attempts, it goes on trying, but pauses for a second or for the policy's longest delay.
 * Once it has, one beat leaves at once, so that somebody is heard on the new connection.
 */
#ifndef PYWATT_HEARTBEAT_H
#define PYWATT_HEARTBEAT_H

#include <pywatt/module.h>

PYWATT_BEGIN_DECLS

struct pywatt_heartbeat_loop;

/*
 * Asked before each beat for the health to report. `details` is an empty map of the loop's, which
 * the provider may fill for this beat. Runs on the heartbeat thread with no lock held: while it
 * runs, no beat of this client leaves, so it must be quick. It may call anything of this library.
 */
typedef enum pywatt_health (*pywatt_health_provider)(void *user, struct pywatt_string_map *details);

/* What a loop's watcher is told. */
struct pywatt_heartbeat_event {
    /* PYWATT_OK if the last beat was answered, else why it was not, or what was answered. */
    enum pywatt_status status;
    /* The orchestrator's view of the module's health; that of the last answer. */
    enum pywatt_health verdict;
    /* True once after the client has registered the module again by itself. */
    bool reregistered;
    /* A sentence for a status other than PYWATT_OK, else empty. Borrowed for the call. */
    const char *text;
};

/*
 * Told when a loop's first beat is answered, when the orchestrator's view of the module changes, when
 * beats begin to fail, fail for another reason, or succeed again (all that a network can do counts as
 * one reason), and when the client has registered the module again. If that fails it is told why,
 * and it is tried again with growing pauses. Events do not pile up: a watcher that is slow gets the
 * newest state. `module` and `event` are borrowed. Runs on the dispatcher thread with no lock held.
 */
typedef void (*pywatt_heartbeat_watcher)(void *user, struct pywatt_module *module,
                                         const struct pywatt_heartbeat_event *event);

/*
 * Starts to beat for `module` every `interval_ms` (1 to 86400000; 0 takes the interval that the
 * orchestrator recommended, or 1000). `provider` may be NULL: the health is then what
 * pywatt_module_set_health last stored, at first PYWATT_HEALTHY. `user` is handed to it, borrowed
 * until the loop is stopped. `module` is borrowed until then, too. A module has one loop at most.
 * On success *out is a handle that the caller owns; `out` may be NULL, and then the loop ends with
 * the module. PYWATT_OK, PYWATT_INVALID_ARGUMENT (also when a loop runs already), PYWATT_CLOSED,
 * PYWATT_NO_MEMORY. Any thread; does not block.
 */
PYWATT_API enum pywatt_status
pywatt_start_heartbeat_loop(struct pywatt_module *module, uint32_t interval_ms,
                            pywatt_health_provider provider, void *user,
                            struct pywatt_heartbeat_loop **out, struct pywatt_error *error);

/*
 * Stops the loop and gives the handle back: `loop` is consumed, NULL is allowed. When this returns,
 * neither its provider nor, for this loop, its watcher runs or will run again. (From a callback of
 * this client, that holds once the callbacks that are running have returned: they do not wait for
 * each other. Elsewhere do not hold a lock that the provider or the watcher takes.) The loop may have
 * been stopped already by unregister, by the module's end or by the client's.
 */
PYWATT_API void pywatt_heartbeat_loop_stop(struct pywatt_heartbeat_loop *loop);

/*
 * Sets who is told about the beats of the module's loop, beginning with the newest state; NULL for
 * nobody. `user` is borrowed until another watcher is set or the module is freed. When this returns,
 * the old watcher does not run any more, unless the call came from a callback of this client: then
 * it may be running still.
 */
PYWATT_API void pywatt_module_set_watcher(struct pywatt_module *module,
                                          pywatt_heartbeat_watcher watcher, void *user);

/* One beat of a batch. */
struct pywatt_beat {
    /* Borrowed for the call. */
    struct pywatt_module *module;
    /* What it reports. */
    enum pywatt_health health;
    /* Set by the call, whatever it returns: how this beat ended, as pywatt_heartbeat would say it. */
    enum pywatt_status status;
    /* Set if status is PYWATT_OK: the orchestrator's view of the module's health. */
    enum pywatt_health verdict;
};

/*
 * Sends beats of many modules of one client and waits for all answers. Where the codec and the
 * orchestrator can (protobuf, and one of this library), many beats share a message; else each has
 * its own, and as many are under way at once as the orchestrator takes. A module that the
 * orchestrator has forgotten is registered again, as pywatt_heartbeat does it, one after the other
 * and all within one deadline: where that ends before all are back, the next call goes on. `beats` is borrowed and must not be touched by others meanwhile.
 *
 * PYWATT_OK if all beats ended so; else the status of the first that did not, and the text names
 * its module. A beat with a module that is NULL or belongs to another client, or with no health, has
 * PYWATT_INVALID_ARGUMENT and is not sent; the others are. A `count` of 0 does nothing. Once the
 * deadline has passed, or no connection can be had, beats that are left end like the one that found
 * out. Blocking; any thread, callbacks included; calls of several threads do not wait for each other.
 */
PYWATT_API enum pywatt_status pywatt_heartbeat_batch(struct pywatt_client *client,
                                                     struct pywatt_beat *beats, size_t count,
                                                     struct pywatt_error *error);

PYWATT_END_DECLS

#endif

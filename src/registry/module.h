/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module.h - a module's inside: what is known of it, and how it is registered again.
 *
 * Life: references, by the application's handle, its loop, each asynchronous operation, each job and
 * each queue that names it.
 */
#ifndef PW_REGISTRY_MODULE_H
#define PW_REGISTRY_MODULE_H

#include "base/list.h"
#include "base/map.h"
#include "base/sync.h"
#include "model/message.h"
#include "registry/alias.h"
#include "registry/card.h"
#include "registry/deferral.h"
#include "registry/recovery.h"
#include "registry/watch.h"

#include <pywatt/heartbeat.h>
#include <pywatt/module.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pw_answer;

/* Capabilities that were told, shared by the module and whoever is telling them again. */
struct pw_told {
    atomic_uint references;
    struct pywatt_capabilities *capabilities;
};

/* How the last attempt to register a module again ended; for those who waited for it. */
struct pw_recovery_result {
    uint64_t round; /* counts the attempts */
    enum pywatt_status status;
    bool out_of_time;            /* it failed as its own deadline came: others may have more time */
    struct pw_deferral deferral; /* it is to be made again then */
    struct pywatt_error error;
};

struct pywatt_module {
    /* What a beat of a batch looks at comes first, in two lines of the cache. */
    struct pywatt_client *client;   /* one reference */
    _Atomic uint64_t alias;         /* see alias.h */
    _Atomic uint64_t success_epoch; /* the channel's epoch at the last success; 0: none */
    atomic_bool forgotten;          /* to be registered again; written under lock */
    atomic_bool owes_capabilities;  /* to be told its capabilities; written under lock */
    struct pw_card card;            /* written under lock */

    /* Set before anybody else sees the module, and then fixed. */
    struct pywatt_uuid id;
    struct pywatt_module_info *info; /* with the id in it; NULL: it cannot register again */

    atomic_uint references;
    atomic_int health;                 /* what a loop without a provider reports */
    atomic_uint registration_version;  /* rises when `registration` is another one */
    struct pw_map_node by_id;          /* the registry's */
    bool listed;                       /* the registry's */
    struct pw_recovery_place recovery; /* the recovery's */
    struct pw_list parked;             /* operations; the heartbeat thread's */
    struct pw_list recovered;          /* guarded by the heartbeat's lock */

    struct pw_mutex lock;
    struct pw_cond changed;
    /* Guarded by lock. */
    struct pywatt_registration *registration; /* never NULL once the module has its id */
    uint64_t registered_ns;                   /* since when it is the present one */
    struct pw_told *told;                     /* NULL: nothing was */
    unsigned leaving;                         /* unregister operations under way */
    bool unregistered;
    bool freed; /* the application has given its handle back */
    bool recovering;
    bool came_back; /* registered again, and nobody was told yet */
    struct pw_recovery_result recovery_result;
    struct pywatt_heartbeat_loop *loop; /* the one that runs, with a reference, or NULL */
    struct pw_watch watch;
} __attribute__((aligned(PW_CACHE_LINE)));

/*
 * A module without an id and a registration. `info` is copied, and may be NULL. PYWATT_OK,
 * PYWATT_NO_MEMORY, and what copying says.
 */
enum pywatt_status pw_handle_new(struct pywatt_client *client,
                                 const struct pywatt_module_info *info, struct pywatt_module **out,
                                 struct pywatt_error *error);
struct pywatt_module *pw_handle_acquire(struct pywatt_module *module);
void pw_handle_release(struct pywatt_module *module);

/*
 * Gives a new module its id with its first registration, of which it takes a reference, and puts it
 * into the registry. Cannot fail.
 */
void pw_handle_begin(struct pywatt_module *module, struct pywatt_registration *registration);

/* The present registration, with a reference for the caller; NULL if it has none yet. */
struct pywatt_registration *pw_handle_registration(struct pywatt_module *module);

/*
 * Makes `registration`, of which it takes a reference, the present one. If the module was forgotten
 * it is not any more, but owes the orchestrator its capabilities.
 */
void pw_handle_set_registration(struct pywatt_module *module,
                                struct pywatt_registration *registration);

/* Copies capabilities, to be told and kept. */
enum pywatt_status pw_told_new(const struct pywatt_capabilities *capabilities,
                               struct pw_told **out);
struct pw_told *pw_told_acquire(struct pw_told *told);
void pw_told_release(struct pw_told *told);

/* The orchestrator has accepted these: they are what is told again. Takes a reference. */
void pw_handle_set_told(struct pywatt_module *module, struct pw_told *told);

/* ---- Leaving --------------------------------------------------------------------------------- */

/*
 * An unregister operation begins: the loop is stopped, and the module does not register again by
 * itself meanwhile. PYWATT_OK, or PYWATT_CLOSED if it is unregistered already.
 */
enum pywatt_status pw_handle_leave(struct pywatt_module *module, struct pywatt_error *error);

/* It has ended; `gone` says whether the orchestrator has taken the module out. */
void pw_handle_left(struct pywatt_module *module, bool gone);

/* Waits until nobody is registering the module again. False if the deadline came first. */
bool pw_handle_settle(struct pywatt_module *module, uint64_t deadline_ns);

/*
 * The present registration, for an operation, with a reference for the caller. PYWATT_OK, or
 * PYWATT_CLOSED with its words if the module is unregistered.
 */
enum pywatt_status pw_handle_use(struct pywatt_module *module, struct pywatt_registration **out,
                                 struct pywatt_error *error);

/*
 * What a beat of the module carries: fills its id and generation into *row, and copies the token to
 * `token`, where there is room for `room` bytes. The token's length; 0 if it does not fit, or the
 * module is unregistered.
 */
size_t pw_handle_card(struct pywatt_module *module, struct pw_batched_beat *row, char *token,
                      size_t room);

/* ---- One attempt to register again, in pieces: reregister.c ------------------------------------ */

enum pw_recovery_start {
    PW_RECOVERY_BEGUN,   /* the caller is at it, and ends with pw_recovery_end */
    PW_RECOVERY_SETTLED, /* nothing is to be done, or not now: status, deferral and error say why */
    PW_RECOVERY_BUSY     /* somebody else is at it */
};

/* Never waits. */
enum pw_recovery_start pw_recovery_begin(struct pywatt_module *module, enum pywatt_status *status,
                                         struct pw_deferral *deferral, struct pywatt_error *error);

/* What is asked, and what that points to: a reference on each. */
struct pw_recovery_step {
    enum pw_operation operation;
    struct pywatt_registration *registration; /* whose token is shown */
    struct pw_told *told;
};

/*
 * Fills the next request, whose pointers are good until pw_recovery_step_ended. False if there is
 * none: the module is back.
 */
bool pw_recovery_next_step(struct pywatt_module *module, struct pw_recovery_step *step,
                           struct pw_request *request);

/*
 * It was answered so, or failed so: what pw_ask returns and fills, of which a registration is
 * consumed. Returns what it comes to; with PYWATT_OK the next step follows.
 */
enum pywatt_status pw_recovery_step_ended(struct pywatt_module *module,
                                          struct pw_recovery_step *step, enum pywatt_status status,
                                          const struct pw_answer *answer,
                                          struct pw_deferral *deferral, struct pywatt_error *error);

/* The same for one that was not asked. */
void pw_recovery_step_drop(struct pw_recovery_step *step);

/* All that is left of the steps, one after the other; blocks until the deadline. */
enum pywatt_status pw_recovery_attempt(struct pywatt_module *module, uint64_t deadline_ns,
                                       struct pw_deferral *deferral, struct pywatt_error *error);

/* The attempt is over: gives its result to those who wait, and to whoever goes on from here. */
void pw_recovery_end(struct pywatt_module *module, enum pywatt_status status, uint64_t deadline_ns,
                     const struct pw_deferral *deferral, const struct pywatt_error *error);

/* ---- Registering again: reregister.c ----------------------------------------------------------- */

/*
 * Whether an operation that was refused so may go out again once its module is registered again, or
 * was by somebody else.
 */
bool pw_handle_may_be_forgotten(enum pywatt_status status);

/*
 * An operation that went out with `registration` was answered with `status`, over the connection
 * `epoch` of the channel: true if that tells
 * that the orchestrator has forgotten the module and it may register again, or that another
 * registration came meanwhile. Then pw_handle_recover is next, and the operation may go out again.
 */
bool pw_handle_forgotten(struct pywatt_module *module,
                         const struct pywatt_registration *registration, enum pywatt_status status,
                         uint64_t epoch);

/*
 * The same for one that went out at `since_ns` or later, with whatever registration there was then,
 * over the connection `epoch` or a later one.
 */
bool pw_handle_forgotten_since(struct pywatt_module *module, uint64_t since_ns,
                               enum pywatt_status status, uint64_t epoch);

/* True while pw_handle_recover has something to do. */
bool pw_handle_unwell(const struct pywatt_module *module);

/*
 * Registers the module again and tells its capabilities again, as far as each is needed; if somebody
 * is at it, waits for that, and returns how it ended. Blocks until the deadline. One who is `patient`
 * comes again if the orchestrator says when. If it fails, it is tried again in the background while
 * the module has a loop or owes its capabilities.
 */
enum pywatt_status pw_handle_recover(struct pywatt_module *module, uint64_t deadline_ns,
                                     bool patient, struct pywatt_error *error);

/* How many attempts have ended: for an operation that begins to wait for the next one. */
uint64_t pw_handle_recovery_round(struct pywatt_module *module);

/*
 * How the attempt failed for which an operation has waited since `round`; PYWATT_OK if it is still to
 * be made, or to be made again before the operation's deadline, as the orchestrator said.
 */
enum pywatt_status pw_handle_recovery_failed(struct pywatt_module *module, uint64_t round,
                                             uint64_t deadline_ns, struct pywatt_error *error);

/*
 * PYWATT_UNAVAILABLE if the orchestrator has said that the module cannot be registered again before
 * this deadline; else PYWATT_OK.
 */
enum pywatt_status pw_handle_deferred(struct pywatt_module *module, uint64_t deadline_ns,
                                      struct pywatt_error *error);

/* True if the recovery thread should go on with the module though nobody waits for it. */
bool pw_handle_wants_recovery(struct pywatt_module *module);

/* True while somebody is registering it again. */
bool pw_handle_recovering(struct pywatt_module *module);

#endif

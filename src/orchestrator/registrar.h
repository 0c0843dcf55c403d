/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registrar.h - who has which name and which id. Every change of what is registered is a task: it
 * is checked against the table, goes to the store, and is made in the table when the store has it.
 *
 * While a task is under way it claims the ids and the name that it touches; another task that needs
 * one of them waits behind it, and is checked afresh when its turn comes. So what was decided is
 * still true when the store answers, however slow that is, and no thread ever waits.
 *
 * Who gets a name or an id that is in use:
 *   - with the holder's token, always: same id, same token, next generation. A registration may be
 *     repeated as often as its reply gets lost.
 *   - without it, if the policy allows it for the holder's liveness: same id, next generation, and
 *     a new token, so that the old one is dead. Capabilities stay until new ones are advertised.
 *   - a new id may take a name over under the same conditions; the holder's id then ends.
 *   - a known id may change its name with its token only, and only to a name that is free.
 *
 * A grant narrows all that: the name that is registered, and that of the module with the id, must be
 * among those of the connection.
 */
#ifndef PW_ORCHESTRATOR_REGISTRAR_H
#define PW_ORCHESTRATOR_REGISTRAR_H

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/sync.h"
#include "orchestrator/module_table.h"
#include "orchestrator/options.h"
#include "orchestrator/store.h"
#include "transport/transport.h"

#include <pywatt/model.h>
#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * Without a name: peers look for words in refusals, which a module may be called; and who has no token
 * for a module need not learn what it is called.
 */
#define PW_UNGRANTED_TEXT "The certificate of this connection is not for this module"

enum pw_task_kind {
    PW_TASK_REGISTER,
    PW_TASK_UNREGISTER,
    PW_TASK_ADVERTISE,
    PW_TASK_FORGET /* a module that is lost for too long; fails if somebody else is at it */
};

/* The longest name, and what is said around it. */
#define PW_TASK_TEXT_SIZE (PYWATT_NAME_MAX + 128)

struct pw_claim {
    struct pw_map_node node;
    struct pw_task *task; /* NULL: claims nothing */
    struct pywatt_uuid id;
};

/* What was decided; private to the registrar. */
struct pw_decision {
    bool known;     /* `id` is in the table already */
    bool new_token; /* else the one that was shown */
    bool renamed;
    bool counted; /* in the registrar's number of modules to come */
    bool fenced;  /* beats of `id` or of `replaced_id` are put off until the task ends */
    bool replaces;
    struct pywatt_uuid replaced_id;
    uint64_t replaced_generation;
    uint64_t old_generation;
};

struct pw_task {
    /* Filled by who starts it; all else is zero. */
    enum pw_task_kind kind;
    /* Called exactly once, from any thread, perhaps from inside pw_registrar_start; no lock held.
     * The task is its owner's again, who ends it with pw_task_clear. */
    void (*done)(struct pw_task *task);
    bool has_id; /* register: an id is asked for */
    struct pywatt_uuid id;
    struct pw_grant *grant; /* of who asks; one reference, the task's; NULL: for all modules */
    bool has_token;         /* a token of the right length was shown */
    struct pw_token token;
    struct pw_shared_info *info;                 /* register: one reference, the task's */
    struct pw_shared_capabilities *capabilities; /* advertise: one reference, the task's */
    struct pw_address address;                   /* register: what the module is told */

    /* Result. `id` is the module's by then. */
    enum pywatt_status status;
    char text[PW_TASK_TEXT_SIZE]; /* if it failed: the words for the peer */
    uint64_t generation;
    struct pywatt_registration *registration; /* register: the task's */

    /* Private. */
    struct pw_registrar *registrar;
    struct pw_decision decision;
    struct pw_module *module; /* register: the entry of a new module */
    uint64_t lease_ms;
    uint8_t token_hash[PW_TOKEN_HASH_SIZE];
    struct pw_store_change change;
    struct pw_claim id_claim;
    struct pw_claim replaced_claim;
    struct pw_claim name_claim;
    struct pw_list waiters; /* tasks that wait for this one */
    struct pw_list link;    /* in another task's waiters, or in the registrar's ready ones */
};

struct pw_registrar {
    struct pw_module_table *table;
    struct pw_store *store;
    struct pw_log_limit log_limit; /* of what the store does not take; any thread */
    struct pw_cond idle;           /* `submitting` has become 0 */
    /* The table's names_mutex */
    struct pw_config *config; /* one reference */
    struct pw_map claimed_ids;
    struct pw_map claimed_names;
    uint64_t coming;      /* new modules under way */
    struct pw_list ready; /* tasks whose turn has come */
    bool running_ready;   /* some thread works on them */
    bool closing;         /* no task begins any more */
    unsigned submitting;  /* threads between the decision and the store's having the change */
};

/* Takes a reference to `config`; all else is borrowed. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_registrar_init(struct pw_registrar *registrar, struct pw_module_table *table,
                                     struct pw_store *store, struct pw_config *config);
void pw_registrar_destroy(struct pw_registrar *registrar);

/* Fills the table with what is in the store. Before anything else. Statuses of pw_store_list. */
enum pywatt_status pw_registrar_load(struct pw_registrar *registrar, struct pywatt_error *error);

/* For tasks that are decided from now on. Takes a reference to `config`. Any thread, no lock held. */
void pw_registrar_set_config(struct pw_registrar *registrar, struct pw_config *config);

/* Starts a task; its `done` tells the end. Any thread, no lock held; never waits. */
void pw_registrar_start(struct pw_registrar *registrar, struct pw_task *task);

/*
 * From now on tasks are refused with PYWATT_UNAVAILABLE, those that wait included, and nothing is
 * submitted to the store any more: it may be closed, which ends the tasks that it has.
 */
void pw_registrar_close(struct pw_registrar *registrar);

/* Frees what a task holds, and wipes its secrets; the task itself is the caller's. */
void pw_task_clear(struct pw_task *task);

#endif

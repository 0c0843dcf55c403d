/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * orchestrator.h - the public object, and the way to make one with parts of a test's own.
 */
#ifndef PW_ORCHESTRATOR_ORCHESTRATOR_H
#define PW_ORCHESTRATOR_ORCHESTRATOR_H

#include "base/fork.h"
#include "orchestrator/events.h"
#include "orchestrator/forget.h"
#include "orchestrator/lease.h"
#include "orchestrator/module_table.h"
#include "orchestrator/options.h"
#include "orchestrator/registrar.h"
#include "orchestrator/server.h"
#include "orchestrator/store.h"
#include "orchestrator/view.h"

#include <pywatt/orchestrator.h>

enum pw_life {
    PW_LIFE_NEW,
    PW_LIFE_CHANGING, /* somebody starts or stops it */
    PW_LIFE_RUNNING,
    PW_LIFE_STOPPED
};

struct pywatt_orchestrator {
    uint32_t process; /* of fork.h */
    struct pw_store *store;
    struct pw_events events;
    struct pw_lease lease;
    struct pw_module_table table;
    struct pw_registrar registrar;
    struct pw_forgetting forgetting;
    struct pw_server server;
    struct pw_mutex change_mutex; /* who changes the options; the first of all locks */
    struct pw_mutex life_mutex;
    struct pw_cond life_cond;
    /* life_mutex */
    enum pw_life life;
    bool stop_wanted; /* on_event wanted it while it was being started */
};

/*
 * As pywatt_orchestrator_new, with hooks and a store of the caller's own; NULL for the usual ones.
 * The store is consumed on success.
 */
enum pywatt_status pw_orchestrator_new(const struct pywatt_orchestrator_options *options,
                                       const struct pw_config_hooks *hooks, struct pw_store *store,
                                       struct pywatt_orchestrator **out,
                                       struct pywatt_error *error);

/* This is a child of the process that made it: nothing of it may be touched. */
static inline bool pw_orchestrator_in_child(const struct pywatt_orchestrator *orchestrator)
{
    return pw_fork_is_child(orchestrator->process);
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watch.h - tells a module's watcher what has become of its beats: only changes, one event waiting
 * at most, the newest state in it.
 */
#ifndef PW_REGISTRY_WATCH_H
#define PW_REGISTRY_WATCH_H

#include "registry/dispatcher.h"

#include <pywatt/heartbeat.h>

#include <stdatomic.h>
#include <stdbool.h>

struct pw_watch {
    struct pw_job job; /* the dispatcher's while `queued`; it then has a reference on the module */
    atomic_uint state; /* what was found last; written under the module's lock */
    /* Guarded by the module's lock. */
    pywatt_heartbeat_watcher watcher;
    void *user;
    bool queued;
    bool pending; /* there is something to tell */
    bool running;
    struct pywatt_heartbeat_event event; /* without its text */
    char text[PYWATT_ERROR_TEXT_MAX];
};

void pw_watch_init(struct pw_watch *watch);

/*
 * What was found out about the module's beats: that one was answered with `verdict`, or why not
 * (`text`, which may be NULL). Tells the watcher if that is news. One atomic load if it is none.
 */
void pw_watch_note(struct pywatt_module *module, enum pywatt_status status,
                   enum pywatt_health verdict, const char *text);

/* The module was registered again. */
void pw_watch_reregistered(struct pywatt_module *module);

/* Forgets what was found and not told yet: the loop ends, another may begin. */
void pw_watch_reset_locked(struct pywatt_module *module);

/*
 * Waits until the watcher does not run, unless the caller is on one of the client's own threads,
 * which never wait for each other here.
 */
void pw_watch_settle_locked(struct pywatt_module *module);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_history.h - the last changes of a store and its watcher: what stores that are one process's
 * own have in common. The store's lock guards it.
 */
#ifndef PW_ORCHESTRATOR_STORE_HISTORY_H
#define PW_ORCHESTRATOR_STORE_HISTORY_H

#include "orchestrator/store.h"

/* How many of the last changes a watcher can still be told. */
#define PW_STORE_HISTORY 1024

/* One of the last changes: enough to tell a watcher, together with the record as it is now. */
struct pw_store_past {
    uint64_t revision;
    struct pywatt_uuid id;
    enum pw_store_change_kind kind;
};

struct pw_store_history {
    uint64_t revision;                           /* of the last change */
    uint64_t first;                              /* what came up to it is not in `past` */
    struct pw_store_past past[PW_STORE_HISTORY]; /* revision r stands at r modulo the size */
    pw_store_notify notify;                      /* NULL: nobody watches */
    void *notify_user;
};

/* The last change until now had this revision. */
void pw_history_init(struct pw_store_history *history, uint64_t revision);

/* The same, but the watcher stays: what came in between is never told. */
void pw_history_jump(struct pw_store_history *history, uint64_t revision);

/* A change was made, the one after the last: tells the watcher. Its revision. */
uint64_t pw_history_add(struct pw_store_history *history, enum pw_store_change_kind kind,
                        const struct pw_store_record *record);

/*
 * Gives the record that the put `past` has made, with references that the caller lets go of.
 * PYWATT_OK; PYWATT_MODULE_NOT_FOUND: there is another by now, or none; else it cannot be read.
 */
typedef enum pywatt_status (*pw_history_read)(void *store, const struct pw_store_past *past,
                                              struct pw_store_record *out);

/* As the ops of struct pw_store. PYWATT_LIMIT is told as well if a record cannot be read. */
enum pywatt_status pw_history_watch(struct pw_store_history *history, uint64_t after,
                                    pw_store_notify notify, void *user, pw_history_read read,
                                    void *store);
void pw_history_unwatch(struct pw_store_history *history);

#endif

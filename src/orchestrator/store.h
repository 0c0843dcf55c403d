/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store.h - where registrations are kept: the contract that a store fulfils, and the table of them.
 *
 * To add a store: write one file with a `const struct pw_store_ops`, and add one line to the table
 * in store_table.c. The suite tests/orchestrator/store.c runs over every entry.
 *
 * A store keeps one record for each module id, and never sees a beat. It is asynchronous from the
 * start: a change is handed in, and its completion comes back from whatever thread, or at once from
 * inside the call. What a change needs to be true is told by generations, so that several
 * orchestrators can share one store.
 *
 * Threads: all ops but close may be called from any thread, several at once. Close comes last: when
 * it is called nobody is inside of another op, and nobody calls one from then on, not even from a
 * `done` that close itself calls.
 */
#ifndef PW_ORCHESTRATOR_STORE_H
#define PW_ORCHESTRATOR_STORE_H

#include "orchestrator/shared.h"
#include "orchestrator/token.h"

#include <pywatt/status.h>
#include <pywatt/uuid.h>

#include <stdbool.h>
#include <stdint.h>

/* What is kept of a module. The name stands in `info`. The token itself is nowhere in it. */
struct pw_store_record {
    struct pywatt_uuid id;
    struct pw_shared_info *info;
    struct pw_shared_capabilities *capabilities; /* NULL until it advertised */
    uint8_t token_hash[PW_TOKEN_HASH_SIZE];
    uint64_t generation; /* from 1 */
    uint64_t lease_ms;
};

enum pw_store_change_kind {
    PW_STORE_PUT,   /* record.id gets this record */
    PW_STORE_REMOVE /* the record of record.id goes; only record.id is looked at */
};

/*
 * One change, all or nothing. It is made only if the record of record.id has `expected_generation`
 * (0: there is no such record). A put whose name belonged to another module may take that one's
 * record away in the same step: `replaces`, with its id and expected generation.
 */
struct pw_store_change {
    enum pw_store_change_kind kind;
    struct pw_store_record record;
    uint64_t expected_generation;
    bool replaces;
    struct pywatt_uuid replaced_id;
    uint64_t replaced_generation;
};

/*
 * Told once how a submitted change ended. From any thread, with no lock of the store held; may also
 * come from inside submit. Must not block and must not call close.
 * PYWATT_OK: it is kept, as safely as the store can. PYWATT_STALE_GENERATION: a generation is not
 * the expected one. PYWATT_NAME_TAKEN: another record holds the name. Nothing was changed, and it may
 * be tried again, with PYWATT_NO_MEMORY; PYWATT_LIMIT (there is no room where it is kept: disk full);
 * PYWATT_IO (reading or writing failed there); PYWATT_UNAVAILABLE (it takes no changes for now). Where
 * even taking it back fails, which is logged, the next open may find it made.
 */
typedef void (*pw_store_done)(void *user, enum pywatt_status status);

/* Shown a record, which is borrowed for the call; false ends the walk. */
typedef bool (*pw_store_visit)(void *user, const struct pw_store_record *record);

/* Shown a change that was made, by whomever. All borrowed for the call. */
struct pw_store_notice {
    uint64_t revision;
    enum pw_store_change_kind kind;
    const struct pw_store_record *record; /* of a removal only the id */
};
typedef void (*pw_store_notify)(void *user, const struct pw_store_notice *notice);

/* First member of every store. */
struct pw_store {
    const struct pw_store_ops *ops;
};

/* What a recovery did. */
struct pw_store_salvage {
    uint64_t kept;
    uint64_t left_out; /* records that were seen, but cannot be relied upon */
    char aside[256];   /* where the damaged file is now; a long path is shown by its end */
};

struct pw_store_ops {
    const char *name;  /* "sqlite" */
    const char *usage; /* how an application names it: "sqlite:PATH" */

    /*
     * Opens. `place` is what stands behind "name:", NULL if only the name was given. On success *out
     * is the caller's until close. PYWATT_OK; PYWATT_INVALID_ARGUMENT (a place where none can be, or
     * none where one must be); PYWATT_IO (the text says what cannot be opened, and what to do);
     * PYWATT_NO_MEMORY.
     */
    enum pywatt_status (*open)(const char *place, struct pw_store **out,
                               struct pywatt_error *error);

    /*
     * Hands a change in; never blocks for the medium. `change` is borrowed until `done` has been
     * called, which happens exactly once. Changes of one id that are handed in one after the other
     * are made in that order.
     */
    void (*submit)(struct pw_store *store, const struct pw_store_change *change, pw_store_done done,
                   void *user);

    /*
     * Shows every record, and sets *revision to the state that was shown: each change to a store
     * has a number one higher than the one before. May block. `visit` must not call the store.
     * PYWATT_OK; PYWATT_IO (also for a record that is not what was put: the text names it);
     * PYWATT_NO_MEMORY.
     */
    enum pywatt_status (*list)(struct pw_store *store, pw_store_visit visit, void *user,
                               uint64_t *revision, struct pywatt_error *error);

    /*
     * From now on `notify` is told every change with a revision higher than `after`, in order and
     * one at a time, until unwatch; those that were made already come first, from inside the call.
     * A put that was overwritten or removed since may be left out. One watcher at a time. `notify`
     * runs with a lock of the store held: it must not call the store.
     * PYWATT_OK; PYWATT_LIMIT: what came after `after` is not known any more, so list again;
     * PYWATT_INVALID_ARGUMENT: somebody watches already, or `after` lies in the future.
     */
    enum pywatt_status (*watch)(struct pw_store *store, uint64_t after, pw_store_notify notify,
                                void *user);

    /* After it has returned `notify` is not called again. */
    void (*unwatch)(struct pw_store *store);

    /* Completes or fails what was submitted, then frees the store. */
    void (*close)(struct pw_store *store);

    /*
     * For a place that `open` finds damaged: sets it aside, and begins it anew with all records that
     * are beyond doubt. Nobody may have it open. NULL where nothing can be damaged. Statuses of open.
     */
    enum pywatt_status (*recover)(const char *place, struct pw_store_salvage *out,
                                  struct pywatt_error *error);
};

/* That there is such a store; it is not opened. PYWATT_OK or PYWATT_UNSUPPORTED. */
enum pywatt_status pw_store_check(const char *url, struct pywatt_error *error);

/* Opens the store of this URL. Adds PYWATT_UNSUPPORTED: the text lists the forms there are. */
enum pywatt_status pw_store_open(const char *url, struct pw_store **out,
                                 struct pywatt_error *error);

/* The recovery of the store of this URL. Adds PYWATT_UNSUPPORTED: it has none. */
enum pywatt_status pw_store_recover(const char *url, struct pw_store_salvage *out,
                                    struct pywatt_error *error);

/* All stores, NULL-terminated; static. */
const struct pw_store_ops *const *pw_store_all(void);

/* Checked wrappers over the ops. */
void pw_store_submit(struct pw_store *store, const struct pw_store_change *change,
                     pw_store_done done, void *user);
enum pywatt_status pw_store_list(struct pw_store *store, pw_store_visit visit, void *user,
                                 uint64_t *revision, struct pywatt_error *error);
enum pywatt_status pw_store_watch(struct pw_store *store, uint64_t after, pw_store_notify notify,
                                  void *user);
void pw_store_unwatch(struct pw_store *store);
void pw_store_close(struct pw_store *store);

#endif

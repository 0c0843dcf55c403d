/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * presence.h - what makes a module alive or suspect: its beats, and the connection that it beats
 * on. Here is the hot path: one lock, that of the module's shard, and no allocation.
 */
#ifndef PW_ORCHESTRATOR_PRESENCE_H
#define PW_ORCHESTRATOR_PRESENCE_H

#include "base/bytes.h"
#include "base/list.h"
#include "model/message.h"
#include "orchestrator/alias.h"
#include "orchestrator/module_table.h"
#include "transport/grant.h"

#include <pywatt/model.h>

#include <stdint.h>

/*
 * Stands in a connection: the modules whose last beat came on it. Guarded by the table's
 * bindings' mutex. Only the connection's own thread adds to it; any thread may take away.
 */
struct pw_binding {
    struct pw_list modules;
};

static inline void pw_binding_init(struct pw_binding *binding)
{
    pw_list_init(&binding->modules);
}

struct pw_beat {
    const struct pywatt_uuid *module_id;
    struct pw_str token;
    uint64_t generation; /* 0 if the module names none */
    enum pywatt_health health;
    const struct pywatt_string_map *details; /* NULL for none */
    const struct pw_grant *grant;            /* of the connection; NULL: for all modules */
    struct pw_binding *binding;              /* the connection that it came on */
    uint64_t now_ns;                         /* on the clock of the leases */
};

/*
 * A beat. *answer gets the health that it is answered with, in every case. PYWATT_OK;
 * PYWATT_MODULE_NOT_FOUND; PYWATT_INVALID_TOKEN; PYWATT_REJECTED, if it is right, but the
 * connection is not for that module; PYWATT_STALE_GENERATION, and *generation gets the
 * one that is in force; PYWATT_NO_MEMORY: it counts as a beat, but its details could not be kept.
 */
enum pywatt_status pw_presence_beat(struct pw_module_table *table, const struct pw_beat *beat,
                                    enum pywatt_health *answer, uint64_t *generation);

/* What came of one beat of a batch: the status and what else pw_presence_beat gives. */
struct pw_beat_outcome {
    uint64_t generation;
    enum pywatt_status status;
    enum pywatt_health health;
};

/* Where beats came from, and when. */
struct pw_beat_origin {
    struct pw_binding *binding;
    const struct pw_grant *grant; /* of the connection; NULL: for all modules */
    struct pw_aliases *aliases;   /* of the connection; NULL if no beat names one */
    uint64_t order;               /* of the message, for aliases that it gives */
    uint64_t now_ns;              /* on the clock of the leases */
};

/*
 * Beats of many modules that came in one message, at most PW_BATCH_MAX; outcomes[i] is that of
 * beats[i]. Each shard is locked once, for all its modules that are in the batch. A beat that names an
 * alias, and goes well, gives that to its module, if there is memory for it.
 */
void pw_presence_batch(struct pw_module_table *table, const struct pw_batched_beat *beats,
                       uint32_t count, const struct pw_beat_origin *origin,
                       struct pw_beat_outcome *outcomes);

/*
 * The same for modules that are known by their aliases. An outcome is what the beat in full would
 * have had with which the alias was given; PYWATT_INVALID_ARGUMENT if it stands for nothing.
 */
void pw_presence_short_batch(struct pw_module_table *table, const pw_short_beat *beats,
                             uint32_t count, const struct pw_beat_origin *origin,
                             struct pw_beat_outcome *outcomes);

/*
 * One of them, by what its alias stood for when it came. outcome->health is what it reports. `place`
 * may be brought up to date.
 */
void pw_presence_short_beat(struct pw_module_table *table, struct pw_alias_place *place,
                            const struct pw_alias_name *name, const struct pw_beat_origin *origin,
                            struct pw_beat_outcome *outcome);

/* One beat of a module that was found. Shard's mutex held. Else as pw_presence_beat. */
enum pywatt_status pw_presence_beat_locked(struct pw_module_table *table, struct pw_module *module,
                                           const struct pw_beat *beat, enum pywatt_health *answer,
                                           uint64_t *generation);

/* A beat that is known to be right: what it changes. Shard's mutex held. */
void pw_presence_take_locked(struct pw_module_table *table, struct pw_module *module,
                             const struct pw_beat *beat, enum pywatt_health *answer);

/*
 * A registration or an advertisement of this generation came through on this connection: the module
 * is alive, and hangs on it. Nothing happens if there is no such module of that generation.
 */
void pw_presence_seen(struct pw_module_table *table, const struct pywatt_uuid *id,
                      uint64_t generation, struct pw_binding *binding, uint64_t now_ns);

/* The same, but its connection has closed meanwhile: it is suspect, unless it beat elsewhere. */
void pw_presence_orphaned(struct pw_module_table *table, const struct pywatt_uuid *id,
                          uint64_t generation);

/*
 * The connection closes: all modules that hang on it are suspect, unless the orchestrator itself is
 * closing (`ours`). Afterwards `binding` is in no list.
 */
void pw_presence_disconnected(struct pw_module_table *table, struct pw_binding *binding, bool ours);

/* Takes a module off its connection. Shard's mutex held. */
void pw_presence_unbind_locked(struct pw_module_table *table, struct pw_module *module);

/* Sets the liveness, and tells if that is another one. Shard's mutex held. */
void pw_presence_set_liveness_locked(struct pw_module_table *table, struct pw_module *module,
                                     enum pywatt_liveness liveness);

#endif

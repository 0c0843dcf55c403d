/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module_table.h - all modules: by id, split into shards with a mutex each, and by name.
 *
 * Locks, in the order in which they are taken:
 *   1. the names' mutex: the index by name, and which modules there are. A module is put in and
 *      taken out under it and its shard's mutex, so under either of the two a pointer to a module
 *      stays good.
 *   2. a shard's mutex: all that a beat changes. Never two at once.
 *   3. one of: the bindings' mutex (which modules hang on which connection), the lease's, the
 *      events'. Each is the last.
 */
#ifndef PW_ORCHESTRATOR_MODULE_TABLE_H
#define PW_ORCHESTRATOR_MODULE_TABLE_H

#include "base/map.h"
#include "base/sync.h"
#include "orchestrator/events.h"
#include "orchestrator/lease.h"
#include "orchestrator/module.h"

#include <stdatomic.h>
#include <stdint.h>

struct pw_shard {
    /*
     * Where the buckets of `modules` are, for whoever asks for memory ahead without the mutex: only an
     * address to be computed with, as they may be gone already.
     */
    _Atomic uintptr_t buckets_hint;
    _Atomic size_t mask_hint;
    struct pw_mutex mutex;
    /* mutex */
    struct pw_map modules;
} __attribute__((aligned(64)));

struct pw_module_table {
    struct pw_lease *lease;
    struct pw_events *events;
    struct pw_slab modules; /* the memory of all of them */
    atomic_uint_fast64_t count;
    struct pw_mutex names_mutex;
    /* names_mutex */
    struct pw_map names;
    struct pw_mutex bindings_mutex; /* every struct pw_binding */
    struct pw_shard shards[PW_SHARD_COUNT];
};

/* `lease` and `events` are borrowed. PYWATT_OK or PYWATT_NO_MEMORY; nothing fails afterwards. */
enum pywatt_status pw_table_init(struct pw_module_table *table, struct pw_lease *lease,
                                 struct pw_events *events);

/* Frees the modules as well. */
void pw_table_destroy(struct pw_module_table *table);

/* The shard of an id; *hash is for pw_table_find_locked. */
struct pw_shard *pw_table_shard(struct pw_module_table *table, const struct pywatt_uuid *id,
                                uint64_t *hash);

/* Asks for the memory of the bucket where a module with this hash would be. No lock. */
static inline void pw_table_expect(const struct pw_shard *shard, uint64_t hash)
{
    const uintptr_t buckets = atomic_load_explicit(&shard->buckets_hint, memory_order_relaxed);
    const size_t mask = atomic_load_explicit(&shard->mask_hint, memory_order_relaxed);
    __builtin_prefetch((const void *)(buckets + (hash & mask) * sizeof(void *)));
}

/* The shard's mutex held. NULL if there is none. */
struct pw_module *pw_table_find_locked(const struct pw_shard *shard, const struct pywatt_uuid *id,
                                       uint64_t hash);

/* Locks the shard of `id` and looks it up: if there is none, NULL, and nothing is locked. */
struct pw_module *pw_table_lock_module(struct pw_module_table *table, const struct pywatt_uuid *id,
                                       struct pw_shard **shard);

/* The names' mutex held. NULL if there is none. */
struct pw_module *pw_table_find_name_locked(const struct pw_module_table *table, const char *name);
struct pw_module *pw_table_find_id_locked(struct pw_module_table *table,
                                          const struct pywatt_uuid *id);

/*
 * Puts a module in, under an id and a name that are free; it is the table's then. Watched by the
 * lease from now on. The names' mutex held, but not the shard's.
 */
void pw_table_insert_locked(struct pw_module_table *table, struct pw_module *module);

/* The same, and nobody is told: for what was there before. */
void pw_table_insert_silently_locked(struct pw_module_table *table, struct pw_module *module);

/*
 * Takes a module out, off its connection and off the lease, and tells `kind`; the caller then owns
 * it. The names' mutex held, but not the shard's.
 */
void pw_table_remove_locked(struct pw_module_table *table, struct pw_module *module,
                            enum pywatt_event_kind kind);

/* Gives a module other info; if the name is another one, that is free. Both mutexes held. */
void pw_table_set_info_locked(struct pw_module_table *table, struct pw_module *module,
                              struct pw_shared_info *info);

/* Tells an event about the module as it is now. The shard's mutex held. */
void pw_table_tell_locked(struct pw_module_table *table, enum pywatt_event_kind kind,
                          const struct pw_module *module);

#endif

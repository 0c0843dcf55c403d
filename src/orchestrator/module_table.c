/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module_table.c - modules by id and by name. Any thread; the locks are told in the header.
 */
#include "orchestrator/module_table.h"

#include "base/tool_hints.h"
#include "orchestrator/presence.h"

#include <string.h>

_Static_assert(PW_SHARD_COUNT == 1 << PW_SHARD_BITS, "as many as the bits say");

/* ---- Init and destroy ---- */

static void destroy_shards(struct pw_module_table *table, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pw_map_destroy(&table->shards[i].modules);
        pw_mutex_destroy(&table->shards[i].mutex);
    }
}

/* All maps get their first buckets here, so that inserting a module cannot fail. */
static enum pywatt_status init_shards(struct pw_module_table *table)
{
    for (unsigned i = 0; i < PW_SHARD_COUNT; i++) {
        struct pw_shard *shard = &table->shards[i];
        if (pw_mutex_init(&shard->mutex) != PYWATT_OK) {
            destroy_shards(table, i);
            return PYWATT_NO_MEMORY;
        }
        PW_HINT_ATOMIC(shard->buckets_hint);
        PW_HINT_ATOMIC(shard->mask_hint);
        pw_map_init(&shard->modules);
        if (pw_map_reserve(&shard->modules, 1) != PYWATT_OK) {
            destroy_shards(table, i + 1);
            return PYWATT_NO_MEMORY;
        }
    }
    return PYWATT_OK;
}

static enum pywatt_status init_names(struct pw_module_table *table)
{
    pw_map_init(&table->names);
    if (pw_map_reserve(&table->names, 1) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_mutex_init(&table->names_mutex) != PYWATT_OK) {
        pw_map_destroy(&table->names);
        return PYWATT_NO_MEMORY;
    }
    if (pw_mutex_init(&table->bindings_mutex) != PYWATT_OK) {
        pw_mutex_destroy(&table->names_mutex);
        pw_map_destroy(&table->names);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

static void destroy_names(struct pw_module_table *table)
{
    pw_mutex_destroy(&table->bindings_mutex);
    pw_mutex_destroy(&table->names_mutex);
    pw_map_destroy(&table->names);
}

enum pywatt_status pw_table_init(struct pw_module_table *table, struct pw_lease *lease,
                                 struct pw_events *events)
{
    table->lease = lease;
    table->events = events;
    atomic_init(&table->count, 0);
    PW_HINT_ATOMIC(table->count);
    if (pw_slab_init(&table->modules, sizeof(struct pw_module)) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (init_names(table) != PYWATT_OK) {
        pw_slab_destroy(&table->modules);
        return PYWATT_NO_MEMORY;
    }
    if (init_shards(table) != PYWATT_OK) {
        destroy_names(table);
        pw_slab_destroy(&table->modules);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

void pw_table_destroy(struct pw_module_table *table)
{
    size_t bucket = 0;
    struct pw_map_node *node = pw_map_walk(&table->names, &bucket, NULL);
    while (node != NULL) {
        struct pw_map_node *next = pw_map_walk(&table->names, &bucket, node);
        struct pw_module *module = PW_CONTAINER_OF(node, struct pw_module, by_name);
        pw_lease_unwatch(table->lease, module);
        pw_module_free(module);
        node = next;
    }
    destroy_shards(table, PW_SHARD_COUNT);
    destroy_names(table);
    pw_slab_destroy(&table->modules);
}

/* ---- Looking up ---- */

struct pw_shard *pw_table_shard(struct pw_module_table *table, const struct pywatt_uuid *id,
                                uint64_t *hash)
{
    *hash = pw_hash_uuid(id);
    return &table->shards[pw_module_shard_of_hash(*hash)];
}

struct pw_module *pw_table_find_locked(const struct pw_shard *shard, const struct pywatt_uuid *id,
                                       uint64_t hash)
{
    struct pw_map_node *node = pw_map_first(&shard->modules, hash);
    for (; node != NULL; node = pw_map_next(node)) {
        struct pw_module *module = PW_CONTAINER_OF(node, struct pw_module, by_id);
        if (pywatt_uuid_equal(&module->id, id)) {
            return module;
        }
    }
    return NULL;
}

struct pw_module *pw_table_lock_module(struct pw_module_table *table, const struct pywatt_uuid *id,
                                       struct pw_shard **shard)
{
    uint64_t hash;
    *shard = pw_table_shard(table, id, &hash);
    pw_mutex_lock(&(*shard)->mutex);
    struct pw_module *module = pw_table_find_locked(*shard, id, hash);
    if (module == NULL) {
        pw_mutex_unlock(&(*shard)->mutex);
    }
    return module;
}

static uint64_t hash_of_name(const char *name)
{
    return pw_hash_bytes(name, strlen(name));
}

struct pw_module *pw_table_find_name_locked(const struct pw_module_table *table, const char *name)
{
    struct pw_map_node *node = pw_map_first(&table->names, hash_of_name(name));
    for (; node != NULL; node = pw_map_next(node)) {
        struct pw_module *module = PW_CONTAINER_OF(node, struct pw_module, by_name);
        if (strcmp(pw_module_name(module), name) == 0) {
            return module;
        }
    }
    return NULL;
}

struct pw_module *pw_table_find_id_locked(struct pw_module_table *table,
                                          const struct pywatt_uuid *id)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(table, id, &shard);
    if (module != NULL) {
        pw_mutex_unlock(&shard->mutex);
    }
    return module;
}

/* ---- Changing ---- */

void pw_table_tell_locked(struct pw_module_table *table, enum pywatt_event_kind kind,
                          const struct pw_module *module)
{
    if (!pw_events_are_told(table->events)) {
        return; /* the module's name is not worth a look at its memory */
    }
    const struct pywatt_event event = {
        .kind = kind,
        .module_id = module->id,
        .module_name = pw_module_name(module),
        .health = (enum pywatt_health)module->health,
        .liveness = (enum pywatt_liveness)module->liveness,
        .generation = module->generation,
    };
    pw_events_push(table->events, &event);
}

static void index_name(struct pw_module_table *table, struct pw_module *module)
{
    (void)pw_map_insert(&table->names, &module->by_name, hash_of_name(pw_module_name(module)));
}

static void hint_at_buckets_locked(struct pw_shard *shard)
{
    atomic_store_explicit(&shard->buckets_hint, (uintptr_t)shard->modules.buckets,
                          memory_order_relaxed);
    atomic_store_explicit(&shard->mask_hint, shard->modules.bucket_count - 1, memory_order_relaxed);
}

static void insert_locked(struct pw_module_table *table, struct pw_module *module, bool tell)
{
    uint64_t hash;
    struct pw_shard *shard = pw_table_shard(table, &module->id, &hash);
    index_name(table, module);
    pw_mutex_lock(&shard->mutex);
    (void)pw_map_insert(&shard->modules, &module->by_id, hash);
    hint_at_buckets_locked(shard);
    atomic_fetch_add_explicit(&table->count, 1, memory_order_relaxed);
    pw_lease_watch(table->lease, module);
    if (tell) {
        pw_table_tell_locked(table, PYWATT_EVENT_REGISTERED, module);
    }
    pw_mutex_unlock(&shard->mutex);
}

void pw_table_insert_locked(struct pw_module_table *table, struct pw_module *module)
{
    insert_locked(table, module, true);
}

void pw_table_insert_silently_locked(struct pw_module_table *table, struct pw_module *module)
{
    insert_locked(table, module, false);
}

void pw_table_remove_locked(struct pw_module_table *table, struct pw_module *module,
                            enum pywatt_event_kind kind)
{
    uint64_t hash;
    struct pw_shard *shard = pw_table_shard(table, &module->id, &hash);
    pw_map_remove(&table->names, &module->by_name);
    pw_mutex_lock(&shard->mutex);
    pw_map_remove(&shard->modules, &module->by_id);
    pw_module_retire(module);
    atomic_fetch_sub_explicit(&table->count, 1, memory_order_relaxed);
    pw_presence_unbind_locked(table, module);
    pw_lease_unwatch(table->lease, module);
    pw_table_tell_locked(table, kind, module);
    pw_mutex_unlock(&shard->mutex);
}

void pw_table_set_info_locked(struct pw_module_table *table, struct pw_module *module,
                              struct pw_shared_info *info)
{
    pw_map_remove(&table->names, &module->by_name);
    pw_shared_info_release(module->info);
    module->info = pw_shared_info_acquire(info);
    index_name(table, module);
}

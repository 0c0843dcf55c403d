/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_memory.c - records in two maps, by id and by name; every change is made before submit
 * returns. The records share their info and capabilities with whoever handed them in, so that a
 * module costs little here.
 *
 * One mutex guards everything. It is not held while `done` runs.
 */
#include "orchestrator/store_memory.h"

#include "base/error.h"
#include "base/map.h"
#include "base/sync.h"
#include "orchestrator/store_history.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct pw_map_node by_id;
    struct pw_map_node by_name;
    struct pw_store_record record; /* holds a reference to each of its two objects */
    uint64_t revision;             /* of the change that made it */
};

struct memory_store {
    struct pw_store base;
    struct pw_mutex mutex;
    /* mutex */
    struct pw_map by_id;
    struct pw_map by_name;
    struct pw_store_history history;
};

static struct memory_store *from_base(struct pw_store *store)
{
    return PW_CONTAINER_OF(store, struct memory_store, base);
}

static const char *name_of(const struct pw_store_record *record)
{
    return pywatt_module_info_name(record->info->info);
}

static struct entry *find_locked(struct memory_store *store, const struct pywatt_uuid *id)
{
    struct pw_map_node *node = pw_map_first(&store->by_id, pw_hash_uuid(id));
    for (; node != NULL; node = pw_map_next(node)) {
        struct entry *entry = PW_CONTAINER_OF(node, struct entry, by_id);
        if (pywatt_uuid_equal(&entry->record.id, id)) {
            return entry;
        }
    }
    return NULL;
}

static struct entry *find_by_name_locked(struct memory_store *store, const char *name)
{
    struct pw_map_node *node = pw_map_first(&store->by_name, pw_hash_bytes(name, strlen(name)));
    for (; node != NULL; node = pw_map_next(node)) {
        struct entry *entry = PW_CONTAINER_OF(node, struct entry, by_name);
        if (strcmp(name_of(&entry->record), name) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void free_entry(struct entry *entry)
{
    if (entry != NULL) {
        pw_shared_info_release(entry->record.info);
        pw_shared_capabilities_release(entry->record.capabilities);
        free(entry);
    }
}

/* ---- Making a change ---- */

static void remove_locked(struct memory_store *store, struct entry *entry)
{
    pw_map_remove(&store->by_id, &entry->by_id);
    pw_map_remove(&store->by_name, &entry->by_name);
    pw_history_add(&store->history, PW_STORE_REMOVE, &entry->record);
    free_entry(entry);
}

/* The maps have had room from the start, so that inserting cannot fail. */
static void insert_locked(struct memory_store *store, struct entry *entry)
{
    const char *name = name_of(&entry->record);
    (void)pw_map_insert(&store->by_id, &entry->by_id, pw_hash_uuid(&entry->record.id));
    (void)pw_map_insert(&store->by_name, &entry->by_name, pw_hash_bytes(name, strlen(name)));
    entry->revision = pw_history_add(&store->history, PW_STORE_PUT, &entry->record);
}

static bool generation_is(const struct entry *entry, uint64_t expected)
{
    return (entry == NULL ? 0 : entry->record.generation) == expected;
}

/* `fresh` is consumed when PYWATT_OK is returned, else left alone. */
static enum pywatt_status put_locked(struct memory_store *store,
                                     const struct pw_store_change *change, struct entry *fresh)
{
    struct entry *old = find_locked(store, &change->record.id);
    struct entry *replaced = change->replaces ? find_locked(store, &change->replaced_id) : NULL;
    if (!generation_is(old, change->expected_generation) ||
        (change->replaces && !generation_is(replaced, change->replaced_generation))) {
        return PYWATT_STALE_GENERATION;
    }
    struct entry *holder = find_by_name_locked(store, name_of(&change->record));
    if (holder != NULL && holder != old && holder != replaced) {
        return PYWATT_NAME_TAKEN;
    }
    if (replaced != NULL && replaced != old) {
        remove_locked(store, replaced);
    }
    if (old != NULL) {
        pw_map_remove(&store->by_id, &old->by_id);
        pw_map_remove(&store->by_name, &old->by_name);
        free_entry(old);
    }
    insert_locked(store, fresh);
    return PYWATT_OK;
}

static struct entry *entry_for(const struct pw_store_record *record)
{
    struct entry *entry = malloc(sizeof(*entry));
    if (entry != NULL) {
        entry->record = *record;
        pw_shared_info_acquire(record->info);
        pw_shared_capabilities_acquire(record->capabilities);
    }
    return entry;
}

static enum pywatt_status put(struct memory_store *store, const struct pw_store_change *change)
{
    struct entry *fresh = entry_for(&change->record);
    if (fresh == NULL) {
        return PYWATT_NO_MEMORY;
    }
    pw_mutex_lock(&store->mutex);
    const enum pywatt_status status = put_locked(store, change, fresh);
    pw_mutex_unlock(&store->mutex);
    if (status != PYWATT_OK) {
        free_entry(fresh);
    }
    return status;
}

static enum pywatt_status take_out(struct memory_store *store, const struct pw_store_change *change)
{
    enum pywatt_status status = PYWATT_STALE_GENERATION;
    pw_mutex_lock(&store->mutex);
    struct entry *entry = find_locked(store, &change->record.id);
    if (entry != NULL && generation_is(entry, change->expected_generation)) {
        remove_locked(store, entry);
        status = PYWATT_OK;
    }
    pw_mutex_unlock(&store->mutex);
    return status;
}

static void memory_submit(struct pw_store *base, const struct pw_store_change *change,
                          pw_store_done done, void *user)
{
    struct memory_store *store = from_base(base);
    done(user, change->kind == PW_STORE_PUT ? put(store, change) : take_out(store, change));
}

/* ---- Looking at it ---- */

static enum pywatt_status memory_list(struct pw_store *base, pw_store_visit visit, void *user,
                                      uint64_t *revision, struct pywatt_error *error)
{
    (void)error;
    struct memory_store *store = from_base(base);
    size_t bucket = 0;
    struct pw_map_node *node = NULL;
    pw_mutex_lock(&store->mutex);
    *revision = store->history.revision;
    while ((node = pw_map_walk(&store->by_id, &bucket, node)) != NULL) {
        if (!visit(user, &PW_CONTAINER_OF(node, struct entry, by_id)->record)) {
            break;
        }
    }
    pw_mutex_unlock(&store->mutex);
    return PYWATT_OK;
}

/* The record that a put has made, if that is still how it is. */
static enum pywatt_status read_past_locked(void *user, const struct pw_store_past *past,
                                           struct pw_store_record *out)
{
    const struct entry *entry = find_locked(user, &past->id);
    if (entry == NULL || entry->revision != past->revision) {
        return PYWATT_MODULE_NOT_FOUND;
    }
    *out = entry->record;
    pw_shared_info_acquire(out->info);
    pw_shared_capabilities_acquire(out->capabilities);
    return PYWATT_OK;
}

static enum pywatt_status memory_watch(struct pw_store *base, uint64_t after,
                                       pw_store_notify notify, void *user)
{
    struct memory_store *store = from_base(base);
    pw_mutex_lock(&store->mutex);
    const enum pywatt_status status =
        pw_history_watch(&store->history, after, notify, user, read_past_locked, store);
    pw_mutex_unlock(&store->mutex);
    return status;
}

static void memory_unwatch(struct pw_store *base)
{
    struct memory_store *store = from_base(base);
    pw_mutex_lock(&store->mutex);
    pw_history_unwatch(&store->history);
    pw_mutex_unlock(&store->mutex);
}

/* ---- Opening and closing ---- */

static void memory_close(struct pw_store *base)
{
    struct memory_store *store = from_base(base);
    size_t bucket = 0;
    struct pw_map_node *node = pw_map_walk(&store->by_id, &bucket, NULL);
    while (node != NULL) {
        struct pw_map_node *next = pw_map_walk(&store->by_id, &bucket, node);
        free_entry(PW_CONTAINER_OF(node, struct entry, by_id));
        node = next;
    }
    pw_map_destroy(&store->by_id);
    pw_map_destroy(&store->by_name);
    pw_mutex_destroy(&store->mutex);
    free(store);
}

static enum pywatt_status memory_open(const char *place, struct pw_store **out,
                                      struct pywatt_error *error)
{
    if (place != NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "the store \"memory\" has no place, but \"%.64s\" was given", place);
    }
    struct memory_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return pw_error_no_memory(error);
    }
    store->base.ops = &pw_store_memory;
    if (pw_mutex_init(&store->mutex) != PYWATT_OK) {
        free(store);
        return pw_error_no_memory(error);
    }
    pw_history_init(&store->history, 0);
    pw_map_init(&store->by_id);
    pw_map_init(&store->by_name);
    if (pw_map_reserve(&store->by_id, 1) != PYWATT_OK ||
        pw_map_reserve(&store->by_name, 1) != PYWATT_OK) {
        memory_close(&store->base);
        return pw_error_no_memory(error);
    }
    *out = &store->base;
    return PYWATT_OK;
}

const struct pw_store_ops pw_store_memory = {
    .name = "memory",
    .usage = "memory",
    .open = memory_open,
    .submit = memory_submit,
    .list = memory_list,
    .watch = memory_watch,
    .unwatch = memory_unwatch,
    .close = memory_close,
};

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * presence.c - beats, and what a closing connection means. Runs on the workers' threads, and on
 * those of the registrar. The shard's mutex guards the module; the bindings' mutex is taken inside
 * of it, and only when a module comes to another connection.
 */
#include "orchestrator/presence.h"

#include "model/string_map.h"

void pw_presence_set_liveness_locked(struct pw_module_table *table, struct pw_module *module,
                                     enum pywatt_liveness liveness)
{
    if (module->liveness != (uint8_t)liveness) {
        module->liveness = (uint8_t)liveness;
        pw_table_tell_locked(table, PYWATT_EVENT_LIVENESS, module);
    }
}

/* ---- Bindings ---- */

void pw_presence_unbind_locked(struct pw_module_table *table, struct pw_module *module)
{
    if (module->binding != NULL) {
        pw_mutex_lock(&table->bindings_mutex);
        pw_list_remove(&module->bound);
        pw_mutex_unlock(&table->bindings_mutex);
        module->binding = NULL;
    }
}

static void bind_locked(struct pw_module_table *table, struct pw_module *module,
                        struct pw_binding *binding)
{
    if (module->binding != binding) {
        /* Once it is off its list the other connection may go: it is not touched afterwards. */
        pw_mutex_lock(&table->bindings_mutex);
        pw_list_remove(&module->bound);
        pw_list_append(&binding->modules, &module->bound);
        pw_mutex_unlock(&table->bindings_mutex);
        module->binding = binding;
    }
}

/* The id of some module that hangs on the connection. */
static bool first_bound(struct pw_module_table *table, const struct pw_binding *binding,
                        struct pywatt_uuid *id)
{
    pw_mutex_lock(&table->bindings_mutex);
    const bool any = !pw_list_empty(&binding->modules);
    if (any) {
        /* A module comes off its list before it is freed, so it is there. */
        *id = PW_CONTAINER_OF(binding->modules.next, struct pw_module, bound)->id;
    }
    pw_mutex_unlock(&table->bindings_mutex);
    return any;
}

void pw_presence_disconnected(struct pw_module_table *table, struct pw_binding *binding, bool ours)
{
    struct pywatt_uuid id;
    while (first_bound(table, binding, &id)) {
        struct pw_shard *shard;
        struct pw_module *module = pw_table_lock_module(table, &id, &shard);
        if (module == NULL) {
            continue; /* somebody took it out of the table, and off the list with it */
        }
        if (module->binding == binding) {
            pw_presence_unbind_locked(table, module);
            if (!ours && module->liveness == PYWATT_ALIVE) {
                pw_presence_set_liveness_locked(table, module, PYWATT_SUSPECT);
            }
        }
        pw_mutex_unlock(&shard->mutex);
    }
}

/* ---- Signs of life ---- */

static void came_locked(struct pw_module_table *table, struct pw_module *module,
                        struct pw_binding *binding, uint64_t now_ns)
{
    /* Another worker may have been quicker with a later one. That of a restored module is none. */
    if (now_ns > module->last_beat_ns || module->restored) {
        module->last_beat_ns = now_ns;
    }
    bind_locked(table, module, binding);
    if (module->liveness != PYWATT_ALIVE) {
        const bool wrong_timer = module->liveness == PYWATT_LOST || module->restored;
        module->restored = false;
        pw_presence_set_liveness_locked(table, module, PYWATT_ALIVE);
        if (wrong_timer) {
            /* It waits for the end of the time that lost modules are kept, or of a longer lease. */
            pw_lease_watch(table->lease, module);
        }
    }
}

void pw_presence_seen(struct pw_module_table *table, const struct pywatt_uuid *id,
                      uint64_t generation, struct pw_binding *binding, uint64_t now_ns)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(table, id, &shard);
    if (module != NULL) {
        if (module->generation == generation) {
            came_locked(table, module, binding, now_ns);
        }
        pw_mutex_unlock(&shard->mutex);
    }
}

void pw_presence_orphaned(struct pw_module_table *table, const struct pywatt_uuid *id,
                          uint64_t generation)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(table, id, &shard);
    if (module != NULL) {
        if (module->generation == generation && module->binding == NULL &&
            module->liveness == PYWATT_ALIVE) {
            pw_presence_set_liveness_locked(table, module, PYWATT_SUSPECT);
        }
        pw_mutex_unlock(&shard->mutex);
    }
}

/* ---- The beat ---- */

/* A module that sends details with every beat has its map already, with room enough. */
static enum pywatt_status keep_details(struct pw_module *module,
                                       const struct pywatt_string_map *details)
{
    if (details == NULL) {
        return PYWATT_OK;
    }
    if (module->details == NULL) {
        return pw_string_map_copy(details, &module->details);
    }
    return pw_string_map_assign(module->details, details);
}

void pw_presence_take_locked(struct pw_module_table *table, struct pw_module *module,
                             const struct pw_beat *beat, enum pywatt_health *answer)
{
    came_locked(table, module, beat->binding, beat->now_ns);
    module->beats++;
    if (module->health != (uint8_t)beat->health) {
        module->health = (uint8_t)beat->health;
        pw_table_tell_locked(table, PYWATT_EVENT_HEALTH, module);
    }
    if (module->verdict != PW_NO_VERDICT) {
        *answer = (enum pywatt_health)module->verdict;
    }
}

enum pywatt_status pw_presence_beat_locked(struct pw_module_table *table, struct pw_module *module,
                                           const struct pw_beat *beat, enum pywatt_health *answer,
                                           uint64_t *generation)
{
    if (module->fence != PYWATT_OK) {
        return (enum pywatt_status)module->fence;
    }
    enum pywatt_status status = pw_module_check_token(module, beat->token);
    if (status != PYWATT_OK) {
        return status;
    }
    if (!pw_grant_allows(beat->grant, pw_module_name(module))) {
        return PYWATT_REJECTED;
    }
    status = pw_module_check_generation(module, beat->generation, generation);
    if (status != PYWATT_OK) {
        return status;
    }
    status = keep_details(module, beat->details);
    pw_presence_take_locked(table, module, beat, answer);
    return status;
}

enum pywatt_status pw_presence_beat(struct pw_module_table *table, const struct pw_beat *beat,
                                    enum pywatt_health *answer, uint64_t *generation)
{
    *answer = beat->health;
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(table, beat->module_id, &shard);
    if (module == NULL) {
        return PYWATT_MODULE_NOT_FOUND;
    }
    const enum pywatt_status status =
        pw_presence_beat_locked(table, module, beat, answer, generation);
    pw_mutex_unlock(&shard->mutex);
    return status;
}

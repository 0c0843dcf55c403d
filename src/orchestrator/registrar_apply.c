/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registrar_apply.c - how the table looks when the store has taken a task. Nothing here can fail.
 * Runs on whatever thread the store answers on; the locks are told in module_table.h.
 */
#include "orchestrator/registrar_private.h"

#include "orchestrator/presence.h"

/* ---- Changing the table ---- */

/* NULL if it is not there; else it is the caller's to free. */
static struct pw_module *take_out_locked(struct pw_module_table *table,
                                         const struct pywatt_uuid *id, enum pywatt_event_kind kind)
{
    struct pw_module *module = pw_table_find_id_locked(table, id);
    if (module != NULL) {
        pw_table_remove_locked(table, module, kind);
    }
    return module;
}

static void remove_module(struct pw_module_table *table, const struct pywatt_uuid *id,
                          enum pywatt_event_kind kind)
{
    pw_mutex_lock(&table->names_mutex);
    struct pw_module *module = take_out_locked(table, id, kind);
    pw_mutex_unlock(&table->names_mutex);
    pw_module_free(module);
}

/* In one step, so that nobody counts the module twice or not at all, or finds its name free. */
static void apply_new(struct pw_task *task)
{
    struct pw_module_table *table = task->registrar->table;
    struct pw_module *replaced = NULL;
    struct pw_module *module = task->module;
    task->module = NULL;
    module->last_beat_ns = pw_lease_now_ns(table->lease);
    pw_mutex_lock(&table->names_mutex);
    if (task->decision.replaces) {
        replaced = take_out_locked(table, &task->decision.replaced_id, PYWATT_EVENT_UNREGISTERED);
    }
    pw_table_insert_locked(table, module);
    pw_task_has_come_locked(task);
    pw_mutex_unlock(&table->names_mutex);
    pw_module_free(replaced);
}

/* Who took the module over has not beaten, and said nothing of its health yet. */
static void reset_health_locked(struct pw_module *module)
{
    module->beats = 0;
    module->health = PYWATT_HEALTHY;
    pywatt_string_map_free(module->details);
    module->details = NULL;
}

static void apply_known(struct pw_task *task)
{
    struct pw_module_table *table = task->registrar->table;
    struct pw_shard *shard;
    pw_mutex_lock(&table->names_mutex);
    struct pw_module *module = pw_table_lock_module(table, &task->id, &shard);
    if (module != NULL) {
        const bool was_alive = module->liveness == PYWATT_ALIVE;
        pw_table_set_info_locked(table, module, task->info);
        pw_module_set_token(module, &task->token, task->token_hash);
        pw_module_set_generation(module, task->generation);
        module->lease_ms = (uint32_t)task->lease_ms;
        module->last_beat_ns = pw_lease_now_ns(table->lease);
        module->liveness = PYWATT_ALIVE;
        module->restored = false;
        /* The connection on which it beat until now means nothing any more. */
        pw_presence_unbind_locked(table, module);
        if (task->decision.new_token) {
            reset_health_locked(module);
        }
        pw_lease_watch(table->lease, module);
        pw_table_tell_locked(table, PYWATT_EVENT_REREGISTERED, module);
        if (!was_alive) {
            pw_table_tell_locked(table, PYWATT_EVENT_LIVENESS, module);
        }
        pw_mutex_unlock(&shard->mutex);
    }
    pw_mutex_unlock(&table->names_mutex);
}

static void apply_capabilities(struct pw_task *task)
{
    struct pw_module_table *table = task->registrar->table;
    struct pw_shared_capabilities *old = NULL;
    struct pw_shard *shard;
    pw_mutex_lock(&table->names_mutex);
    struct pw_module *module = pw_table_lock_module(table, &task->id, &shard);
    if (module != NULL) {
        old = module->capabilities;
        module->capabilities = pw_shared_capabilities_acquire(task->capabilities);
        pw_table_tell_locked(table, PYWATT_EVENT_ADVERTISED, module);
        pw_mutex_unlock(&shard->mutex);
    }
    pw_mutex_unlock(&table->names_mutex);
    pw_shared_capabilities_release(old);
}

void pw_task_apply(struct pw_task *task)
{
    struct pw_module_table *table = task->registrar->table;
    switch (task->kind) {
    case PW_TASK_REGISTER:
        if (task->decision.known) {
            apply_known(task);
        } else {
            apply_new(task);
        }
        break;
    case PW_TASK_UNREGISTER: remove_module(table, &task->id, PYWATT_EVENT_UNREGISTERED); break;
    case PW_TASK_ADVERTISE: apply_capabilities(task); break;
    case PW_TASK_FORGET: remove_module(table, &task->id, PYWATT_EVENT_FORGOTTEN); break;
    }
}

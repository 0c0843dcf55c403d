/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * application.c - what the application asks an orchestrator and tells it of its modules. Any thread, also
 * from on_event. Locks are the table's: see there.
 */
#include "orchestrator/orchestrator.h"

#include <string.h>

enum pywatt_status pywatt_orchestrator_find(struct pywatt_orchestrator *orchestrator,
                                            const struct pywatt_uuid *id,
                                            struct pywatt_module_view **out)
{
    if (orchestrator == NULL || id == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return PYWATT_FORKED;
    }
    return pw_view_take(&orchestrator->table, id, out);
}

enum pywatt_status pywatt_orchestrator_find_by_name(struct pywatt_orchestrator *orchestrator,
                                                    const char *name,
                                                    struct pywatt_module_view **out)
{
    if (orchestrator == NULL || name == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return PYWATT_FORKED;
    }
    struct pw_module_table *table = &orchestrator->table;
    enum pywatt_status status = PYWATT_MODULE_NOT_FOUND;
    pw_mutex_lock(&table->names_mutex);
    const struct pw_module *module = pw_table_find_name_locked(table, name);
    if (module != NULL) {
        status = pw_view_take(table, &module->id, out);
    }
    pw_mutex_unlock(&table->names_mutex);
    return status;
}

enum pywatt_status
pywatt_orchestrator_for_each(struct pywatt_orchestrator *orchestrator,
                             bool (*visit)(void *user, const struct pywatt_module_view *view),
                             void *user)
{
    if (orchestrator == NULL || visit == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return PYWATT_FORKED;
    }
    return pw_view_for_each(&orchestrator->table, visit, user);
}

static enum pywatt_status set_verdict(struct pywatt_orchestrator *orchestrator,
                                      const struct pywatt_uuid *id, uint8_t verdict)
{
    if (orchestrator == NULL || id == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return PYWATT_FORKED;
    }
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(&orchestrator->table, id, &shard);
    if (module == NULL) {
        return PYWATT_MODULE_NOT_FOUND;
    }
    module->verdict = verdict;
    pw_mutex_unlock(&shard->mutex);
    return PYWATT_OK;
}

enum pywatt_status pywatt_orchestrator_set_verdict(struct pywatt_orchestrator *orchestrator,
                                                   const struct pywatt_uuid *id,
                                                   enum pywatt_health verdict)
{
    if ((unsigned)verdict > PYWATT_UNHEALTHY) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return set_verdict(orchestrator, id, (uint8_t)verdict);
}

enum pywatt_status pywatt_orchestrator_clear_verdict(struct pywatt_orchestrator *orchestrator,
                                                     const struct pywatt_uuid *id)
{
    return set_verdict(orchestrator, id, PW_NO_VERDICT);
}

enum pywatt_status pywatt_orchestrator_get_stats(struct pywatt_orchestrator *orchestrator,
                                                 struct pywatt_orchestrator_stats *stats)
{
    if (orchestrator == NULL || stats == NULL || stats->size < sizeof(stats->size)) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (pw_orchestrator_in_child(orchestrator)) {
        return PYWATT_FORKED;
    }
    struct pywatt_orchestrator_stats all = {
        .size = stats->size,
        .modules = atomic_load_explicit(&orchestrator->table.count, memory_order_relaxed),
        .modules_lost = atomic_load_explicit(&orchestrator->lease.lost_count, memory_order_relaxed),
    };
    pw_server_add_stats(&orchestrator->server, &all);
    memcpy(stats, &all, stats->size < sizeof(all) ? stats->size : sizeof(all));
    return PYWATT_OK;
}

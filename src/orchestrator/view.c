/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view.c - what the application sees of a module: a copy taken at one instant, under the lock of
 * the module's shard. Info and capabilities are shared with the table, as nobody changes them.
 */
#include "orchestrator/view.h"

#include "model/string_map.h"

#include <stdlib.h>
#include <string.h>

struct pywatt_module_view {
    struct pywatt_uuid id;
    struct pw_shared_info *info;
    struct pw_shared_capabilities *capabilities;
    struct pywatt_string_map *details;
    enum pywatt_health health;
    enum pywatt_liveness liveness;
    uint64_t generation;
    uint64_t lease_ms;
    uint64_t silent_ns;
    uint64_t beats;
};

const char *pywatt_liveness_name(enum pywatt_liveness liveness)
{
    switch (liveness) {
    case PYWATT_ALIVE: return "alive";
    case PYWATT_SUSPECT: return "suspect";
    case PYWATT_LOST: return "lost";
    }
    return "unknown";
}

/* ---- Making one ---- */

static enum pywatt_status fill_locked(struct pywatt_module_view *view,
                                      const struct pw_module *module, uint64_t now_ns)
{
    view->id = module->id;
    view->info = pw_shared_info_acquire(module->info);
    view->capabilities = pw_shared_capabilities_acquire(module->capabilities);
    view->health = (enum pywatt_health)module->health;
    view->liveness = (enum pywatt_liveness)module->liveness;
    view->generation = module->generation;
    view->lease_ms = module->lease_ms;
    view->silent_ns = now_ns > module->last_beat_ns ? now_ns - module->last_beat_ns : 0;
    view->beats = module->beats;
    return pw_string_map_copy(module->details, &view->details);
}

enum pywatt_status pw_view_take(struct pw_module_table *table, const struct pywatt_uuid *id,
                                struct pywatt_module_view **out)
{
    struct pywatt_module_view *view = calloc(1, sizeof(*view));
    if (view == NULL) {
        return PYWATT_NO_MEMORY;
    }
    enum pywatt_status status = PYWATT_MODULE_NOT_FOUND;
    struct pw_shard *shard;
    const struct pw_module *module = pw_table_lock_module(table, id, &shard);
    if (module != NULL) {
        status = fill_locked(view, module, pw_lease_now_ns(table->lease));
        pw_mutex_unlock(&shard->mutex);
    }
    if (status != PYWATT_OK) {
        pywatt_module_view_free(view);
        return status;
    }
    *out = view;
    return PYWATT_OK;
}

void pywatt_module_view_free(struct pywatt_module_view *view)
{
    if (view != NULL) {
        pw_shared_info_release(view->info);
        pw_shared_capabilities_release(view->capabilities);
        pywatt_string_map_free(view->details);
        free(view);
    }
}

/* ---- Walking over all ---- */

static enum pywatt_status ids_of_shard(struct pw_shard *shard, struct pywatt_uuid **out,
                                       size_t *count)
{
    enum pywatt_status status = PYWATT_OK;
    *count = 0;
    *out = NULL;
    pw_mutex_lock(&shard->mutex);
    if (shard->modules.count > 0) {
        *out = malloc(shard->modules.count * sizeof(**out));
        status = *out == NULL ? PYWATT_NO_MEMORY : PYWATT_OK;
    }
    if (*out != NULL) {
        size_t bucket = 0;
        struct pw_map_node *node = NULL;
        while ((node = pw_map_walk(&shard->modules, &bucket, node)) != NULL) {
            (*out)[(*count)++] = PW_CONTAINER_OF(node, struct pw_module, by_id)->id;
        }
    }
    pw_mutex_unlock(&shard->mutex);
    return status;
}

/* PYWATT_CANCELLED if `visit` has had enough. */
static enum pywatt_status visit_ids(struct pw_module_table *table, const struct pywatt_uuid *ids,
                                    size_t count, pw_view_visit visit, void *user)
{
    for (size_t i = 0; i < count; i++) {
        struct pywatt_module_view *view;
        const enum pywatt_status status = pw_view_take(table, &ids[i], &view);
        if (status == PYWATT_MODULE_NOT_FOUND) {
            continue;
        }
        if (status != PYWATT_OK) {
            return status;
        }
        const bool goes_on = visit(user, view);
        pywatt_module_view_free(view);
        if (!goes_on) {
            return PYWATT_CANCELLED;
        }
    }
    return PYWATT_OK;
}

enum pywatt_status pw_view_for_each(struct pw_module_table *table, pw_view_visit visit, void *user)
{
    enum pywatt_status status = PYWATT_OK;
    for (unsigned i = 0; i < PW_SHARD_COUNT && status == PYWATT_OK; i++) {
        struct pywatt_uuid *ids;
        size_t count;
        status = ids_of_shard(&table->shards[i], &ids, &count);
        if (status == PYWATT_OK) {
            status = visit_ids(table, ids, count, visit, user);
        }
        free(ids);
    }
    return status == PYWATT_CANCELLED ? PYWATT_OK : status;
}

/* ---- Looking at one ---- */

const struct pywatt_uuid *pywatt_module_view_id(const struct pywatt_module_view *view)
{
    return view == NULL ? NULL : &view->id;
}

const struct pywatt_module_info *pywatt_module_view_info(const struct pywatt_module_view *view)
{
    return view == NULL ? NULL : view->info->info;
}

const struct pywatt_capabilities *
pywatt_module_view_capabilities(const struct pywatt_module_view *view)
{
    return view == NULL || view->capabilities == NULL ? NULL : view->capabilities->capabilities;
}

enum pywatt_health pywatt_module_view_health(const struct pywatt_module_view *view)
{
    return view == NULL ? PYWATT_UNHEALTHY : view->health;
}

const struct pywatt_string_map *pywatt_module_view_details(const struct pywatt_module_view *view)
{
    return view == NULL ? NULL : view->details;
}

enum pywatt_liveness pywatt_module_view_liveness(const struct pywatt_module_view *view)
{
    return view == NULL ? PYWATT_LOST : view->liveness;
}

uint64_t pywatt_module_view_generation(const struct pywatt_module_view *view)
{
    return view == NULL ? 0 : view->generation;
}

uint64_t pywatt_module_view_lease_ms(const struct pywatt_module_view *view)
{
    return view == NULL ? 0 : view->lease_ms;
}

uint64_t pywatt_module_view_silent_ns(const struct pywatt_module_view *view)
{
    return view == NULL ? 0 : view->silent_ns;
}

uint64_t pywatt_module_view_beats(const struct pywatt_module_view *view)
{
    return view == NULL ? 0 : view->beats;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registry.c - module id -> modules, for one client. Any thread; `lock` guards the map, and is taken
 * before a module's lock. The map borrows its modules: each leaves it before its handle's reference
 * goes.
 */
#include "registry/registry.h"

#include "registry/module.h"

enum {
    FIRST_ROOM = 16 /* so that adding never needs memory that might not be there */
};

enum pywatt_status pw_registry_init(struct pw_registry *registry)
{
    if (pw_mutex_init(&registry->lock) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    pw_map_init(&registry->modules);
    if (pw_map_reserve(&registry->modules, FIRST_ROOM) != PYWATT_OK) {
        pw_mutex_destroy(&registry->lock);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

void pw_registry_destroy(struct pw_registry *registry)
{
    pw_map_destroy(&registry->modules);
    pw_mutex_destroy(&registry->lock);
}

void pw_registry_add(struct pw_registry *registry, struct pywatt_module *module)
{
    pw_mutex_lock(&registry->lock);
    const enum pywatt_status status =
        pw_map_insert(&registry->modules, &module->by_id, pw_hash_uuid(&module->id));
    module->listed = status == PYWATT_OK;
    pw_mutex_unlock(&registry->lock);
}

void pw_registry_remove(struct pw_registry *registry, struct pywatt_module *module)
{
    pw_mutex_lock(&registry->lock);
    if (module->listed) {
        pw_map_remove(&registry->modules, &module->by_id);
        module->listed = false;
    }
    pw_mutex_unlock(&registry->lock);
}

/* The next module with this id, from `node` on. */
static struct pywatt_module *match_locked(struct pw_map_node *node, const struct pywatt_uuid *id)
{
    for (; node != NULL; node = pw_map_next(node)) {
        struct pywatt_module *module = PW_CONTAINER_OF(node, struct pywatt_module, by_id);
        if (pywatt_uuid_equal(&module->id, id)) {
            return module;
        }
    }
    return NULL;
}

struct pywatt_registration *pw_registry_find(struct pw_registry *registry,
                                             const struct pywatt_uuid *id)
{
    struct pywatt_registration *found = NULL;
    pw_mutex_lock(&registry->lock);
    struct pywatt_module *module =
        match_locked(pw_map_first(&registry->modules, pw_hash_uuid(id)), id);
    if (module != NULL) {
        found = pw_handle_registration(module);
    }
    pw_mutex_unlock(&registry->lock);
    return found;
}

void pw_registry_spread(struct pw_registry *registry, struct pywatt_registration *registration)
{
    const struct pywatt_uuid *id = pywatt_registration_id(registration);
    pw_mutex_lock(&registry->lock);
    struct pywatt_module *module =
        match_locked(pw_map_first(&registry->modules, pw_hash_uuid(id)), id);
    while (module != NULL) {
        pw_handle_set_registration(module, registration);
        module = match_locked(pw_map_next(&module->by_id), id);
    }
    pw_mutex_unlock(&registry->lock);
}

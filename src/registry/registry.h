/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registry.h - the modules of a client by their ids. Two handles may stand for the same id: what
 * one of them learns about it (a fresh registration) goes to the other, too. Any thread; a lock of
 * its own, taken before a module's.
 */
#ifndef PW_REGISTRY_REGISTRY_H
#define PW_REGISTRY_REGISTRY_H

#include "base/map.h"
#include "base/sync.h"

#include <pywatt/model.h>
#include <pywatt/module.h>

struct pw_registry {
    struct pw_mutex lock;
    /* Guarded by lock. */
    struct pw_map modules;
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_registry_init(struct pw_registry *registry);
void pw_registry_destroy(struct pw_registry *registry);

/* Puts a module that has its id in; borrowed until pw_registry_remove. Cannot fail. */
void pw_registry_add(struct pw_registry *registry, struct pywatt_module *module);

/* Takes it out if it is in. */
void pw_registry_remove(struct pw_registry *registry, struct pywatt_module *module);

/* The newest registration known of this id, with a reference for the caller; or NULL. */
struct pywatt_registration *pw_registry_find(struct pw_registry *registry,
                                             const struct pywatt_uuid *id);

/* Gives every module with this registration's id the registration. */
void pw_registry_spread(struct pw_registry *registry, struct pywatt_registration *registration);

#endif

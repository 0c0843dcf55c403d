/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * shared.h - model objects that nobody changes any more, held by several at once: the module table,
 * a store, a change under way, a view. Counted by an atomic, so any thread may hold and let go.
 */
#ifndef PW_ORCHESTRATOR_SHARED_H
#define PW_ORCHESTRATOR_SHARED_H

#include <pywatt/model.h>

#include <stdatomic.h>

struct pw_shared_info {
    atomic_uint references;
    struct pywatt_module_info *info;
};

struct pw_shared_capabilities {
    atomic_uint references;
    struct pywatt_capabilities *capabilities;
};

/* One reference; the object is consumed. On failure NULL, and the object is the caller's still. */
struct pw_shared_info *pw_shared_info_new(struct pywatt_module_info *info);
struct pw_shared_capabilities *pw_shared_capabilities_new(struct pywatt_capabilities *capabilities);

/* NULL stays NULL in all four. */
struct pw_shared_info *pw_shared_info_acquire(struct pw_shared_info *shared);
struct pw_shared_capabilities *
pw_shared_capabilities_acquire(struct pw_shared_capabilities *shared);
void pw_shared_info_release(struct pw_shared_info *shared);
void pw_shared_capabilities_release(struct pw_shared_capabilities *shared);

#endif

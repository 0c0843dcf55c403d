/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * shared.c - counted references to model objects. Any thread; no lock.
 */
#include "orchestrator/shared.h"

#include "base/tool_hints.h"

#include <stdbool.h>
#include <stdlib.h>

static void start_count(atomic_uint *references)
{
    atomic_init(references, 1);
    PW_HINT_ATOMIC(*references);
}

/* True for the last one: all that other holders did has then happened before. */
static bool drop(atomic_uint *references)
{
    PW_HINT_RELEASE(references);
    if (atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) != 1) {
        return false;
    }
    PW_HINT_ACQUIRE(references);
    return true;
}

struct pw_shared_info *pw_shared_info_new(struct pywatt_module_info *info)
{
    struct pw_shared_info *shared = malloc(sizeof(*shared));
    if (shared != NULL) {
        start_count(&shared->references);
        shared->info = info;
    }
    return shared;
}

struct pw_shared_capabilities *pw_shared_capabilities_new(struct pywatt_capabilities *capabilities)
{
    struct pw_shared_capabilities *shared = malloc(sizeof(*shared));
    if (shared != NULL) {
        start_count(&shared->references);
        shared->capabilities = capabilities;
    }
    return shared;
}

struct pw_shared_info *pw_shared_info_acquire(struct pw_shared_info *shared)
{
    if (shared != NULL) {
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    }
    return shared;
}

struct pw_shared_capabilities *pw_shared_capabilities_acquire(struct pw_shared_capabilities *shared)
{
    if (shared != NULL) {
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    }
    return shared;
}

void pw_shared_info_release(struct pw_shared_info *shared)
{
    if (shared != NULL && drop(&shared->references)) {
        pywatt_module_info_free(shared->info);
        free(shared);
    }
}

void pw_shared_capabilities_release(struct pw_shared_capabilities *shared)
{
    if (shared != NULL && drop(&shared->references)) {
        pywatt_capabilities_free(shared->capabilities);
        free(shared);
    }
}

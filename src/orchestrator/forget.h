/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * forget.h - modules that have been lost for long enough are taken out of the store and the table.
 * Very many may come due at once: only so many removals are under way at a time, and the others,
 * like those that fail, get turns of their own later on. Any thread; atomics.
 */
#ifndef PW_ORCHESTRATOR_FORGET_H
#define PW_ORCHESTRATOR_FORGET_H

#include "orchestrator/registrar.h"

#include <stdatomic.h>

/* Removals under way at once. */
#define PW_FORGET_AT_ONCE 256

struct pw_forgetting {
    struct pw_module_table *table;
    struct pw_registrar *registrar;
    atomic_uint under_way;
    atomic_uint_fast64_t last_turn_ns; /* the latest that was given; on the clock of the leases */
};

/* All is borrowed. */
void pw_forget_init(struct pw_forgetting *forgetting, struct pw_module_table *table,
                    struct pw_registrar *registrar);

/* Begins to forget a lost module, or visits it again later. No lock held. */
void pw_forget(struct pw_forgetting *forgetting, const struct pywatt_uuid *id);

#endif

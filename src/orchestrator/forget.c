/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * forget.c - tasks that forget. They begin on the lease thread, and end on it or on the store's.
 */
#include "orchestrator/forget.h"

#include "base/clock.h"
#include "base/tool_hints.h"

#include <stdlib.h>

/* A module that could not be forgotten has its next turn not before this, */
#define AGAIN_NS PW_NS_PER_S
/* and so long after the turn of the one before: what cannot be done costs little time. */
#define BETWEEN_TURNS_NS (PW_NS_PER_S / 4096)

struct forget_task {
    struct pw_task task;
    struct pw_forgetting *forgetting;
};

void pw_forget_init(struct pw_forgetting *forgetting, struct pw_module_table *table,
                    struct pw_registrar *registrar)
{
    forgetting->table = table;
    forgetting->registrar = registrar;
    atomic_init(&forgetting->under_way, 0);
    atomic_init(&forgetting->last_turn_ns, 0);
    PW_HINT_ATOMIC(forgetting->under_way);
    PW_HINT_ATOMIC(forgetting->last_turn_ns);
}

static uint64_t next_turn_ns(struct pw_forgetting *forgetting)
{
    const uint64_t first_ns = pw_lease_now_ns(forgetting->table->lease) + AGAIN_NS;
    uint64_t last_ns = atomic_load(&forgetting->last_turn_ns);
    uint64_t turn_ns;
    do {
        turn_ns = last_ns + BETWEEN_TURNS_NS > first_ns ? last_ns + BETWEEN_TURNS_NS : first_ns;
    } while (!atomic_compare_exchange_weak(&forgetting->last_turn_ns, &last_ns, turn_ns));
    return turn_ns;
}

static void try_again(struct pw_forgetting *forgetting, const struct pywatt_uuid *id)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(forgetting->table, id, &shard);
    if (module != NULL) {
        if (module->liveness == PYWATT_LOST) {
            pw_lease_visit_at(forgetting->table->lease, module, next_turn_ns(forgetting));
        }
        pw_mutex_unlock(&shard->mutex);
    }
}

static void on_done(struct pw_task *task)
{
    struct forget_task *forget = PW_CONTAINER_OF(task, struct forget_task, task);
    struct pw_forgetting *forgetting = forget->forgetting;
    atomic_fetch_sub(&forgetting->under_way, 1);
    if (task->status != PYWATT_OK) {
        try_again(forgetting, &task->id);
    }
    pw_task_clear(task);
    free(forget);
}

void pw_forget(struct pw_forgetting *forgetting, const struct pywatt_uuid *id)
{
    struct forget_task *forget = NULL;
    if (atomic_fetch_add(&forgetting->under_way, 1) < PW_FORGET_AT_ONCE) {
        forget = calloc(1, sizeof(*forget));
    }
    if (forget == NULL) {
        atomic_fetch_sub(&forgetting->under_way, 1);
        try_again(forgetting, id);
        return;
    }
    forget->forgetting = forgetting;
    forget->task.kind = PW_TASK_FORGET;
    forget->task.id = *id;
    forget->task.done = on_done;
    pw_registrar_start(forgetting->registrar, &forget->task);
}

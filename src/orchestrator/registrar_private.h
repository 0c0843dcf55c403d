/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registrar_private.h - between registrar.c, which moves tasks along, and registrar_plan.c, which
 * knows what they mean. `_locked`: the table's names_mutex is held, and no shard's.
 */
#ifndef PW_ORCHESTRATOR_REGISTRAR_PRIVATE_H
#define PW_ORCHESTRATOR_REGISTRAR_PRIVATE_H

#include "orchestrator/registrar.h"

static inline const char *pw_task_name(const struct pw_task *task)
{
    return pywatt_module_info_name(task->info->info);
}

/* The task that claims this id or name, or NULL. */
struct pw_task *pw_claimed_id_locked(const struct pw_registrar *registrar,
                                     const struct pywatt_uuid *id);
struct pw_task *pw_claimed_name_locked(const struct pw_registrar *registrar, const char *name);

/* A task that has to end before this one can be decided, or NULL. */
struct pw_task *pw_task_blocker_locked(const struct pw_task *task);

/*
 * Decides whether the task may be done, and what it amounts to: task->decision, and task->id, which
 * is given here to a module that has none. PYWATT_OK, or the refusal, with its text in the task.
 */
enum pywatt_status pw_task_decide_locked(struct pw_task *task);

/* Makes all that the task will need, the reply too, and fills task->change. Sets task->status. */
void pw_task_prepare(struct pw_task *task);

/* The store has it: changes the table. Cannot fail. */
void pw_task_apply(struct pw_task *task);

/* The store does not have it: sets status and text. */
void pw_task_refuse_stored(struct pw_task *task, enum pywatt_status status);

/* No task begins any more: sets status and text. PYWATT_UNAVAILABLE. */
enum pywatt_status pw_task_refuse_closing(struct pw_task *task);

/* Beats of the modules that the task was about to end count again, if they are still there. */
void pw_task_lift_fences_locked(struct pw_task *task);

/* The new module of the task is in the table, or never will be: it is not on its way any more. */
void pw_task_has_come_locked(struct pw_task *task);

#endif

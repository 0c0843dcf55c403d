/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registrar.c - tasks: claims, waiting, the way to the store and back. What a task means is decided
 * and made in registrar_plan.c. Runs on whatever thread starts a task, or on the store's.
 *
 * The table's names_mutex guards the claims, the waiting lists and the ready list. It is not held
 * while the store or a `done` is called.
 */
#include "orchestrator/registrar_private.h"

#include "base/error.h"
#include "base/tool_hints.h"

#include <stdlib.h>
#include <string.h>

enum pywatt_status pw_registrar_init(struct pw_registrar *registrar, struct pw_module_table *table,
                                     struct pw_store *store, struct pw_config *config)
{
    *registrar =
        (struct pw_registrar){.table = table, .store = store, .config = pw_config_acquire(config)};
    pw_map_init(&registrar->claimed_ids);
    pw_map_init(&registrar->claimed_names);
    pw_list_init(&registrar->ready);
    PW_HINT_ATOMIC(registrar->log_limit);
    if (pw_cond_init(&registrar->idle) != PYWATT_OK) {
        pw_config_release(config);
        return PYWATT_NO_MEMORY;
    }
    if (pw_map_reserve(&registrar->claimed_ids, 1) != PYWATT_OK ||
        pw_map_reserve(&registrar->claimed_names, 1) != PYWATT_OK) {
        pw_registrar_destroy(registrar);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

void pw_registrar_destroy(struct pw_registrar *registrar)
{
    pw_map_destroy(&registrar->claimed_ids);
    pw_map_destroy(&registrar->claimed_names);
    pw_cond_destroy(&registrar->idle);
    pw_config_release(registrar->config);
}

void pw_registrar_set_config(struct pw_registrar *registrar, struct pw_config *config)
{
    pw_mutex_lock(&registrar->table->names_mutex);
    const struct pw_config *old = registrar->config;
    registrar->config = pw_config_acquire(config);
    pw_mutex_unlock(&registrar->table->names_mutex);
    pw_config_release(old);
}

void pw_registrar_close(struct pw_registrar *registrar)
{
    struct pw_mutex *mutex = &registrar->table->names_mutex;
    pw_mutex_lock(mutex);
    registrar->closing = true;
    while (registrar->submitting > 0) {
        pw_cond_wait(&registrar->idle, mutex);
    }
    pw_mutex_unlock(mutex);
}

void pw_task_clear(struct pw_task *task)
{
    pw_shared_info_release(task->info);
    pw_shared_capabilities_release(task->capabilities);
    pywatt_registration_release(task->registration);
    pw_module_free(task->module);
    pw_grant_release(task->grant);
    pw_token_wipe(&task->token, sizeof(task->token));
    pw_token_wipe(task->token_hash, sizeof(task->token_hash));
    pw_token_wipe(task->change.record.token_hash, sizeof(task->change.record.token_hash));
    task->info = NULL;
    task->capabilities = NULL;
    task->registration = NULL;
    task->module = NULL;
    task->grant = NULL;
}

/* ---- Loading ---- */

struct load {
    struct pw_registrar *registrar;
    struct pywatt_error *error;
    enum pywatt_status status;
};

/* Every module starts suspect. Its lease begins when the orchestrator is started. */
static bool load_record(void *user, const struct pw_store_record *record)
{
    struct load *load = user;
    struct pw_module_table *table = load->registrar->table;
    struct pw_module *module =
        pw_module_new(&table->modules, &record->id, record->info, record->capabilities);
    if (module == NULL) {
        load->status = pw_error_no_memory(load->error);
        return false;
    }
    memcpy(module->token_hash, record->token_hash, sizeof(module->token_hash));
    pw_module_set_generation(module, record->generation);
    module->lease_ms = (uint32_t)pw_config_lease_ms(load->registrar->config, record->lease_ms);
    module->liveness = PYWATT_SUSPECT;
    module->restored = true;
    module->last_beat_ns = pw_lease_now_ns(table->lease);
    pw_mutex_lock(&table->names_mutex);
    const bool clash = pw_table_find_name_locked(table, pw_module_name(module)) != NULL ||
                       pw_table_find_id_locked(table, &module->id) != NULL;
    if (!clash) {
        pw_table_insert_silently_locked(table, module);
    }
    pw_mutex_unlock(&table->names_mutex);
    if (clash) {
        load->status = pw_error_set(
            load->error, PYWATT_IO,
            "the store %.96s has the module \"%.64s\" twice; what is sound in it is "
            "kept by: pywatt-orchestrator --recover, with the same --store",
            load->registrar->config->options.store == NULL ? "memory"
                                                           : load->registrar->config->options.store,
            pw_module_name(module));
        pw_module_free(module);
    }
    return !clash;
}

enum pywatt_status pw_registrar_load(struct pw_registrar *registrar, struct pywatt_error *error)
{
    struct load load = {.registrar = registrar, .error = error, .status = PYWATT_OK};
    uint64_t revision;
    const enum pywatt_status status =
        pw_store_list(registrar->store, load_record, &load, &revision, error);
    return status == PYWATT_OK ? load.status : status;
}

/* ---- Claims ---- */

struct pw_task *pw_claimed_id_locked(const struct pw_registrar *registrar,
                                     const struct pywatt_uuid *id)
{
    struct pw_map_node *node = pw_map_first(&registrar->claimed_ids, pw_hash_uuid(id));
    for (; node != NULL; node = pw_map_next(node)) {
        const struct pw_claim *claim = PW_CONTAINER_OF(node, struct pw_claim, node);
        if (pywatt_uuid_equal(&claim->id, id)) {
            return claim->task;
        }
    }
    return NULL;
}

struct pw_task *pw_claimed_name_locked(const struct pw_registrar *registrar, const char *name)
{
    struct pw_map_node *node =
        pw_map_first(&registrar->claimed_names, pw_hash_bytes(name, strlen(name)));
    for (; node != NULL; node = pw_map_next(node)) {
        struct pw_task *task = PW_CONTAINER_OF(node, struct pw_claim, node)->task;
        if (strcmp(pw_task_name(task), name) == 0) {
            return task;
        }
    }
    return NULL;
}

static void claim_id_locked(struct pw_task *task, struct pw_claim *claim,
                            const struct pywatt_uuid *id)
{
    claim->task = task;
    claim->id = *id;
    (void)pw_map_insert(&task->registrar->claimed_ids, &claim->node, pw_hash_uuid(id));
}

static void claim_locked(struct pw_task *task)
{
    claim_id_locked(task, &task->id_claim, &task->id);
    if (task->decision.replaces) {
        claim_id_locked(task, &task->replaced_claim, &task->decision.replaced_id);
    }
    if (task->kind == PW_TASK_REGISTER) {
        const char *name = pw_task_name(task);
        task->name_claim.task = task;
        (void)pw_map_insert(&task->registrar->claimed_names, &task->name_claim.node,
                            pw_hash_bytes(name, strlen(name)));
    }
}

static void release_claim_locked(struct pw_map *map, struct pw_claim *claim)
{
    if (claim->task != NULL) {
        pw_map_remove(map, &claim->node);
        claim->task = NULL;
    }
}

static void release_locked(struct pw_task *task)
{
    struct pw_registrar *registrar = task->registrar;
    release_claim_locked(&registrar->claimed_ids, &task->id_claim);
    release_claim_locked(&registrar->claimed_ids, &task->replaced_claim);
    release_claim_locked(&registrar->claimed_names, &task->name_claim);
    pw_task_lift_fences_locked(task);
    pw_task_has_come_locked(task);
}

void pw_task_has_come_locked(struct pw_task *task)
{
    if (task->decision.counted) {
        task->decision.counted = false;
        task->registrar->coming--;
    }
}

/*
 * One of those that waited behind a task that has ended gets its turn, and the others wait behind
 * that one: each is looked at once for each task that ends before it, however many wait. Whoever
 * waits does so behind a task that claims something, or behind one that waits for such a task, so
 * they cannot wait for each other.
 */
static void pass_turn_locked(struct pw_task *task)
{
    struct pw_list *first = pw_list_pop(&task->waiters);
    if (first != NULL) {
        struct pw_task *next = PW_CONTAINER_OF(first, struct pw_task, link);
        pw_list_splice(&next->waiters, &task->waiters);
        pw_list_append(&task->registrar->ready, first);
    }
}

/* ---- The way of a task ---- */

static void run(struct pw_task *task);

/* Runs tasks whose turn has come, unless some thread does so already: then it will see them. */
static void run_ready(struct pw_registrar *registrar)
{
    struct pw_mutex *mutex = &registrar->table->names_mutex;
    pw_mutex_lock(mutex);
    if (!registrar->running_ready) {
        registrar->running_ready = true;
        struct pw_list *link;
        while ((link = pw_list_pop(&registrar->ready)) != NULL) {
            pw_mutex_unlock(mutex);
            run(PW_CONTAINER_OF(link, struct pw_task, link));
            pw_mutex_lock(mutex);
        }
        registrar->running_ready = false;
    }
    pw_mutex_unlock(mutex);
}

static void finish(struct pw_task *task)
{
    struct pw_registrar *registrar = task->registrar;
    pw_mutex_lock(&registrar->table->names_mutex);
    release_locked(task);
    pass_turn_locked(task);
    const bool ready = !pw_list_empty(&registrar->ready);
    pw_mutex_unlock(&registrar->table->names_mutex);
    task->done(task); /* the task may be gone afterwards */
    if (ready) {
        run_ready(registrar);
    }
}

static void on_stored(void *user, enum pywatt_status status)
{
    struct pw_task *task = user;
    if (status == PYWATT_OK) {
        pw_task_apply(task);
        task->status = PYWATT_OK;
    } else {
        pw_task_refuse_stored(task, status);
    }
    finish(task);
}

/* Decides, and claims what it needs; or refuses. */
static enum pywatt_status begin_locked(struct pw_task *task, const struct pw_task *before)
{
    if (task->registrar->closing) {
        return pw_task_refuse_closing(task);
    }
    const enum pywatt_status status =
        before != NULL ? PYWATT_UNAVAILABLE : pw_task_decide_locked(task);
    if (status == PYWATT_OK) {
        claim_locked(task);
        task->registrar->submitting++;
    }
    return status;
}

/* The task may be gone afterwards. */
static void submit(struct pw_task *task)
{
    struct pw_registrar *registrar = task->registrar;
    pw_task_prepare(task);
    if (task->status == PYWATT_OK) {
        pw_store_submit(registrar->store, &task->change, on_stored, task);
    } else {
        finish(task);
    }
    pw_mutex_lock(&registrar->table->names_mutex);
    if (--registrar->submitting == 0 && registrar->closing) {
        pw_cond_broadcast(&registrar->idle);
    }
    pw_mutex_unlock(&registrar->table->names_mutex);
}

/* Checks and claims under one lock; what takes memory is prepared after it. */
static void run(struct pw_task *task)
{
    struct pw_registrar *registrar = task->registrar;
    task->decision = (struct pw_decision){0};
    pw_mutex_lock(&registrar->table->names_mutex);
    struct pw_task *before = pw_task_blocker_locked(task);
    if (before != NULL && task->kind != PW_TASK_FORGET) {
        pw_list_append(&before->waiters, &task->link);
        pw_mutex_unlock(&registrar->table->names_mutex);
        return;
    }
    task->status = begin_locked(task, before);
    pw_mutex_unlock(&registrar->table->names_mutex);
    if (task->status == PYWATT_OK) {
        submit(task);
    } else {
        finish(task);
    }
}

void pw_registrar_start(struct pw_registrar *registrar, struct pw_task *task)
{
    task->registrar = registrar;
    pw_list_init(&task->waiters);
    pw_list_init(&task->link);
    run(task);
}

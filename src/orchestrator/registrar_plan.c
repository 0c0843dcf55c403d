/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registrar_plan.c - what a task means: whether it is allowed, what it needs, and how the table
 * looks afterwards. The rules stand in registrar.h.
 *
 * Between decision and change a task owns the ids and the name that it claimed: info, capabilities,
 * token and generation of those modules do not change meanwhile. What a beat changes may, but for
 * one thing: a module that is about to be forgotten, or to lose its name or its token because it
 * did not beat, is fenced. From the decision on its beats are told to come again later, until it is
 * known how that ends: nobody is told that all is well, and is gone a moment later, nor that it is
 * gone, and is not.
 */
#include "orchestrator/registrar_private.h"

#include "base/log.h"
#include "model/registration.h"
#include "model/string_map.h"
#include "orchestrator/presence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    STORE_LINES = 5 /* a second, in the log */
};

static enum pywatt_status refuse(struct pw_task *task, enum pywatt_status status,
                                 const char *format, ...) PYWATT_PRINTF(3, 4);

static enum pywatt_status refuse(struct pw_task *task, enum pywatt_status status,
                                 const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(task->text, sizeof(task->text), format, arguments);
    va_end(arguments);
    task->status = status;
    return status;
}

static enum pywatt_status refuse_name(struct pw_task *task)
{
    return refuse(task, PYWATT_NAME_TAKEN, "Module name '%s' is already taken", pw_task_name(task));
}

static enum pywatt_status refuse_no_memory(struct pw_task *task)
{
    return refuse(task, PYWATT_NO_MEMORY, "The orchestrator is out of memory, try again later");
}

static enum pywatt_status refuse_unknown(struct pw_task *task)
{
    char id[PYWATT_UUID_TEXT_SIZE];
    pywatt_uuid_format(&task->id, id);
    return refuse(task, PYWATT_MODULE_NOT_FOUND, "Module not found: %s", id);
}

static enum pywatt_status refuse_ungranted(struct pw_task *task)
{
    return refuse(task, PYWATT_REJECTED, "%s", PW_UNGRANTED_TEXT);
}

/* A store that is gone fails every change: a few lines a second say so as well as all. */
static void log_store(const struct pw_task *task, enum pywatt_status status)
{
    struct pw_registrar *registrar = task->registrar;
    char id[PYWATT_UUID_TEXT_SIZE];
    uint32_t suppressed = 0;
    pywatt_uuid_format(&task->id, id);
    if (pw_log_limit_pass(&registrar->log_limit, STORE_LINES,
                          pw_clock_now_ns(registrar->table->lease->clock), &suppressed)) {
        pw_log(PYWATT_LOG_ERROR,
               status == PYWATT_STALE_GENERATION
                   ? "the store did not take a change of module %s: %s; somebody changed the store "
                     "by hand, and a restart reads it anew (%u such lines left out)"
                   : "the store did not take a change of module %s: %s (%u such lines left out)",
               id, pywatt_status_text(status), suppressed);
    }
}

static const char *why_not(enum pywatt_status status)
{
    switch (status) {
    case PYWATT_LIMIT: return "The store of registrations cannot write: disk full";
    case PYWATT_IO: return "The store of registrations cannot write: input or output failed";
    default: return "The store of registrations does not take changes for now";
    }
}

void pw_task_refuse_stored(struct pw_task *task, enum pywatt_status status)
{
    if (status == PYWATT_NAME_TAKEN && task->kind == PW_TASK_REGISTER) {
        refuse_name(task);
    } else if (status == PYWATT_NO_MEMORY) {
        refuse_no_memory(task);
    } else {
        refuse(task, PYWATT_UNAVAILABLE, "%s, try again later", why_not(status));
        log_store(task, status);
    }
}

enum pywatt_status pw_task_refuse_closing(struct pw_task *task)
{
    return refuse(task, PYWATT_UNAVAILABLE, "The orchestrator is ending");
}

/* ---- Decisions ---- */

struct pw_task *pw_task_blocker_locked(const struct pw_task *task)
{
    const struct pw_registrar *registrar = task->registrar;
    struct pw_task *blocker = NULL;
    if (task->kind != PW_TASK_REGISTER || task->has_id) {
        blocker = pw_claimed_id_locked(registrar, &task->id);
    }
    if (blocker == NULL && task->kind == PW_TASK_REGISTER) {
        blocker = pw_claimed_name_locked(registrar, pw_task_name(task));
        const struct pw_module *holder =
            pw_table_find_name_locked(registrar->table, pw_task_name(task));
        if (blocker == NULL && holder != NULL) {
            blocker = pw_claimed_id_locked(registrar, &holder->id);
        }
    }
    return blocker;
}

/* What there is to know of a module that is registered already. */
struct holder {
    enum pywatt_status proof; /* of the token that the task shows */
    uint64_t generation;
};

static struct holder look_at(struct pw_task *task, const struct pywatt_uuid *id)
{
    struct holder holder = {.proof = PYWATT_INVALID_TOKEN};
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(task->registrar->table, id, &shard);
    if (module != NULL) {
        holder.generation = module->generation;
        if (task->has_token) {
            holder.proof = pw_module_check_token(
                module, (struct pw_str){task->token.text, sizeof(task->token.text)});
        }
        pw_mutex_unlock(&shard->mutex);
    }
    return holder;
}

/* Whether a module may be forgotten, or taken over without its token. */
static bool is_free(const struct pw_task *task, const struct pw_module *module)
{
    if (task->kind == PW_TASK_FORGET) {
        return module->liveness == PYWATT_LOST;
    }
    switch (task->registrar->config->options.takeover) {
    case PYWATT_TAKEOVER_SUSPECT:
        /* After a start everybody is suspect, and gets one lease to come back. */
        return module->liveness == PYWATT_LOST ||
               (module->liveness == PYWATT_SUSPECT && !module->restored);
    case PYWATT_TAKEOVER_LOST: return module->liveness == PYWATT_LOST;
    case PYWATT_TAKEOVER_TOKEN: break;
    }
    return false;
}

/* If it may: its beats are put off from now on. The task's end takes that back. */
static bool fence(struct pw_task *task, const struct pywatt_uuid *id)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(task->registrar->table, id, &shard);
    if (module == NULL) {
        return false;
    }
    const bool may = is_free(task, module);
    if (may) {
        module->fence = PYWATT_UNAVAILABLE;
        task->decision.fenced = true;
    }
    pw_mutex_unlock(&shard->mutex);
    return may;
}

static void lift_fence(struct pw_module_table *table, const struct pywatt_uuid *id)
{
    struct pw_shard *shard;
    struct pw_module *module = pw_table_lock_module(table, id, &shard);
    if (module != NULL) {
        module->fence = PYWATT_OK;
        pw_mutex_unlock(&shard->mutex);
    }
}

void pw_task_lift_fences_locked(struct pw_task *task)
{
    if (task->decision.fenced) {
        lift_fence(task->registrar->table,
                   task->decision.replaces ? &task->decision.replaced_id : &task->id);
        task->decision.fenced = false;
    }
}

/* An id that nobody has: made here, or brought along. It may take a name over. */
static enum pywatt_status decide_new_locked(struct pw_task *task, const struct pw_module *by_name)
{
    struct pw_registrar *registrar = task->registrar;
    if (by_name != NULL) {
        const struct holder holder = look_at(task, &by_name->id);
        if (holder.proof == PYWATT_NO_MEMORY) {
            return refuse_no_memory(task);
        }
        if (holder.proof != PYWATT_OK && !fence(task, &by_name->id)) {
            return refuse_name(task);
        }
        task->decision.replaces = true;
        task->decision.replaced_id = by_name->id;
        task->decision.replaced_generation = holder.generation;
    }
    const uint64_t limit = registrar->config->options.max_modules;
    const uint64_t count =
        atomic_load_explicit(&registrar->table->count, memory_order_relaxed) + registrar->coming;
    if (!task->decision.replaces && count >= limit) {
        return refuse(task, PYWATT_LIMIT, "There are %" PRIu64 " modules, and no more may come",
                      limit);
    }
    if (!task->has_id) {
        pywatt_uuid_generate(&task->id);
    }
    task->decision.new_token = true;
    task->decision.counted = !task->decision.replaces;
    registrar->coming += task->decision.counted;
    return PYWATT_OK;
}

static enum pywatt_status decide_known_locked(struct pw_task *task, const struct pw_module *module,
                                              const struct pw_module *by_name)
{
    const struct holder holder = look_at(task, &module->id);
    if (holder.proof == PYWATT_NO_MEMORY) {
        return refuse_no_memory(task);
    }
    if (!pw_grant_allows(task->grant, pw_module_name(module))) {
        return refuse_ungranted(task);
    }
    if (by_name != module) {
        if (by_name != NULL) {
            return refuse_name(task);
        }
        if (holder.proof != PYWATT_OK) {
            return refuse(task, PYWATT_INVALID_TOKEN,
                          "Invalid token: a module that is registered changes its name with its "
                          "token only");
        }
        task->decision.renamed = true;
    }
    if (holder.proof != PYWATT_OK && !fence(task, &module->id)) {
        return refuse_name(task);
    }
    task->id = module->id;
    task->decision.known = true;
    task->decision.new_token = holder.proof != PYWATT_OK;
    task->decision.old_generation = holder.generation;
    return PYWATT_OK;
}

/* The lease that the info asks for; a text that is no whole number asks for none. */
static uint64_t wanted_lease_ms(const struct pw_config *config,
                                const struct pywatt_module_info *info)
{
    const struct pywatt_string_map *metadata = pywatt_module_info_metadata(info);
    const char *text =
        metadata == NULL ? NULL : pywatt_string_map_get(metadata, PW_METADATA_LEASE_MS);
    if (text == NULL || *text == '\0' || strlen(text) > 18 ||
        strspn(text, "0123456789") != strlen(text)) {
        return config->options.lease_ms;
    }
    uint64_t value = 0;
    for (; *text != '\0'; text++) {
        value = value * 10 + (uint64_t)(*text - '0');
    }
    return value;
}

static enum pywatt_status decide_register_locked(struct pw_task *task)
{
    struct pw_module_table *table = task->registrar->table;
    const struct pw_config *config = task->registrar->config;
    task->lease_ms = pw_config_lease_ms(config, wanted_lease_ms(config, task->info->info));
    if (!pw_grant_allows(task->grant, pw_task_name(task))) {
        return refuse_ungranted(task);
    }
    const struct pw_module *by_name = pw_table_find_name_locked(table, pw_task_name(task));
    const struct pw_module *module =
        task->has_id ? pw_table_find_id_locked(table, &task->id) : by_name;
    return module == NULL ? decide_new_locked(task, by_name)
                          : decide_known_locked(task, module, by_name);
}

/* Unregistering and advertising need the token. */
static enum pywatt_status decide_with_token_locked(struct pw_task *task)
{
    const struct pw_module *module = pw_table_find_id_locked(task->registrar->table, &task->id);
    if (module == NULL) {
        return refuse_unknown(task);
    }
    const struct holder holder = look_at(task, &task->id);
    task->decision.known = true;
    task->decision.old_generation = holder.generation;
    switch (holder.proof) {
    case PYWATT_OK:
        return pw_grant_allows(task->grant, pw_module_name(module)) ? PYWATT_OK
                                                                    : refuse_ungranted(task);
    case PYWATT_NO_MEMORY: return refuse_no_memory(task);
    default: return refuse(task, PYWATT_INVALID_TOKEN, "Invalid token");
    }
}

static enum pywatt_status decide_forget_locked(struct pw_task *task)
{
    const struct holder holder = look_at(task, &task->id);
    if (!fence(task, &task->id)) {
        return PYWATT_CANCELLED;
    }
    task->decision.known = true;
    task->decision.old_generation = holder.generation;
    return PYWATT_OK;
}

enum pywatt_status pw_task_decide_locked(struct pw_task *task)
{
    switch (task->kind) {
    case PW_TASK_REGISTER: return decide_register_locked(task);
    case PW_TASK_FORGET: return decide_forget_locked(task);
    case PW_TASK_UNREGISTER:
    case PW_TASK_ADVERTISE: break;
    }
    return decide_with_token_locked(task);
}

/* ---- Preparing ---- */

static enum pywatt_status fill_registration(struct pywatt_registration *registration,
                                            const struct pw_task *task)
{
    registration->id = task->id;
    registration->port = task->address.port;
    enum pywatt_status status = pw_registration_set_token(
        registration, (struct pw_str){task->token.text, sizeof(task->token.text)});
    if (status == PYWATT_OK) {
        status = pw_registration_set_host(registration, pw_str_from(task->address.host));
    }
    if (status == PYWATT_OK) {
        status = pywatt_module_info_copy(task->info->info, &registration->info);
    }
    if (status == PYWATT_OK) {
        status = pw_registration_set_number(registration, PW_DATA_LEASE_MS, task->lease_ms);
    }
    if (status == PYWATT_OK) {
        const uint64_t interval_ms = task->lease_ms / 3;
        status = pw_registration_set_number(registration, PW_DATA_HEARTBEAT_INTERVAL_MS,
                                            interval_ms > 0 ? interval_ms : 1);
    }
    if (status == PYWATT_OK) {
        status = pw_registration_set_number(registration, PW_DATA_GENERATION, task->generation);
    }
    if (status == PYWATT_OK) {
        status =
            pw_string_map_put_json(&registration->additional_data, pw_str_from(PW_DATA_FEATURES),
                                   PW_STR_LITERAL("[\"heartbeat_batch\"]"));
    }
    return status;
}

static enum pywatt_status prepare_reply(struct pw_task *task)
{
    task->registration = pw_registration_new();
    if (task->registration == NULL) {
        return PYWATT_NO_MEMORY;
    }
    const enum pywatt_status status = fill_registration(task->registration, task);
    if (status == PYWATT_OK) {
        pw_registration_seal(task->registration);
    }
    return status;
}

static enum pywatt_status prepare_register(struct pw_task *task)
{
    struct pw_registrar *registrar = task->registrar;
    task->generation = task->decision.old_generation + 1;
    if (task->decision.new_token) {
        const enum pywatt_status status = pw_token_generate(&task->token);
        if (status != PYWATT_OK) {
            return status;
        }
    }
    if (pw_token_hash((struct pw_str){task->token.text, sizeof(task->token.text)},
                      task->token_hash) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (!task->decision.known) {
        task->module = pw_module_new(&registrar->table->modules, &task->id, task->info, NULL);
        if (task->module == NULL) {
            return PYWATT_NO_MEMORY;
        }
        pw_module_set_generation(task->module, task->generation);
        task->module->lease_ms = (uint32_t)task->lease_ms;
        pw_module_set_token(task->module, &task->token, task->token_hash);
    }
    return prepare_reply(task);
}

/* The record as it will be: what the task does not change is taken from the module. */
static void fill_record(struct pw_task *task)
{
    struct pw_store_record *record = &task->change.record;
    *record = (struct pw_store_record){.id = task->id,
                                       .info = task->info,
                                       .capabilities = task->capabilities,
                                       .generation = task->generation,
                                       .lease_ms = task->lease_ms};
    memcpy(record->token_hash, task->token_hash, sizeof(record->token_hash));
    struct pw_shard *shard;
    struct pw_module *module = task->decision.known
                                   ? pw_table_lock_module(task->registrar->table, &task->id, &shard)
                                   : NULL;
    if (module == NULL) {
        return;
    }
    if (task->kind == PW_TASK_REGISTER) {
        record->capabilities = module->capabilities;
    } else {
        record->info = module->info;
        record->generation = module->generation;
        record->lease_ms = module->lease_ms;
        memcpy(record->token_hash, module->token_hash, sizeof(record->token_hash));
    }
    pw_mutex_unlock(&shard->mutex);
}

void pw_task_prepare(struct pw_task *task)
{
    task->generation = task->decision.old_generation;
    if (task->kind == PW_TASK_REGISTER) {
        const enum pywatt_status status = prepare_register(task);
        if (status == PYWATT_NO_MEMORY) {
            refuse_no_memory(task);
            return;
        }
        if (status != PYWATT_OK) {
            refuse(task, PYWATT_UNAVAILABLE, "No token can be made for now, try again later");
            return;
        }
    }
    const bool removes = task->kind == PW_TASK_UNREGISTER || task->kind == PW_TASK_FORGET;
    fill_record(task);
    task->change.kind = removes ? PW_STORE_REMOVE : PW_STORE_PUT;
    task->change.expected_generation = task->decision.old_generation;
    task->change.replaces = task->decision.replaces;
    task->change.replaced_id = task->decision.replaced_id;
    task->change.replaced_generation = task->decision.replaced_generation;
}

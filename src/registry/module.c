/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module.c - module handles: how they begin and end, their getters, their present registration, and
 * what unregister does to them. Any thread; a module's lock guards what is said to in module.h, and
 * is held for moments only.
 */
#include "registry/module.h"

#include "base/error.h"
#include "base/tool_hints.h"
#include "model/registration.h"
#include "registry/client.h"
#include "registry/loop.h"

#include <stdlib.h>

/* ---- Told capabilities ---------------------------------------------------------------------- */

enum pywatt_status pw_told_new(const struct pywatt_capabilities *capabilities, struct pw_told **out)
{
    struct pw_told *told = malloc(sizeof(*told));
    if (told == NULL) {
        return PYWATT_NO_MEMORY;
    }
    const enum pywatt_status status = pywatt_capabilities_copy(capabilities, &told->capabilities);
    if (status != PYWATT_OK) {
        free(told);
        return status;
    }
    atomic_init(&told->references, 1);
    PW_HINT_ATOMIC(told->references);
    *out = told;
    return PYWATT_OK;
}

struct pw_told *pw_told_acquire(struct pw_told *told)
{
    if (told != NULL) {
        atomic_fetch_add_explicit(&told->references, 1, memory_order_relaxed);
    }
    return told;
}

void pw_told_release(struct pw_told *told)
{
    if (told == NULL) {
        return;
    }
    PW_HINT_RELEASE(&told->references);
    if (atomic_fetch_sub_explicit(&told->references, 1, memory_order_acq_rel) == 1) {
        PW_HINT_ACQUIRE(&told->references);
        pywatt_capabilities_free(told->capabilities);
        free(told);
    }
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

static void init_fields(struct pywatt_module *module)
{
    atomic_init(&module->references, 1);
    atomic_init(&module->health, PYWATT_HEALTHY);
    PW_HINT_ATOMIC(module->references);
    PW_HINT_ATOMIC(module->health);
    PW_HINT_ATOMIC(module->registration_version);
    PW_HINT_ATOMIC(module->alias);
    PW_HINT_ATOMIC(module->success_epoch);
    PW_HINT_ATOMIC(module->forgotten);
    PW_HINT_ATOMIC(module->owes_capabilities);
    pw_card_init(&module->card);
    pw_recovery_place_init(&module->recovery);
    pw_list_init(&module->parked);
    pw_list_init(&module->recovered);
    pw_watch_init(&module->watch);
}

static enum pywatt_status init_locks(struct pywatt_module *module)
{
    if (pw_mutex_init(&module->lock) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&module->changed) != PYWATT_OK) {
        pw_mutex_destroy(&module->lock);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

enum pywatt_status pw_handle_new(struct pywatt_client *client,
                                 const struct pywatt_module_info *info, struct pywatt_module **out,
                                 struct pywatt_error *error)
{
    struct pywatt_module *module = aligned_alloc(PW_CACHE_LINE, sizeof(*module));
    if (module == NULL) {
        return pw_error_no_memory(error);
    }
    memset(module, 0, sizeof(*module));
    enum pywatt_status status = PYWATT_OK;
    if (info != NULL) {
        status = pywatt_module_info_copy(info, &module->info);
    }
    if (status == PYWATT_OK) {
        status = init_locks(module);
    }
    if (status != PYWATT_OK) {
        pywatt_module_info_free(module->info);
        free(module);
        return pw_error_set(error, status, "the module's info cannot be copied: %s",
                            pywatt_status_text(status));
    }
    init_fields(module);
    module->client = pw_client_acquire(client);
    *out = module;
    return PYWATT_OK;
}

struct pywatt_module *pw_handle_acquire(struct pywatt_module *module)
{
    atomic_fetch_add_explicit(&module->references, 1, memory_order_relaxed);
    return module;
}

static void destroy(struct pywatt_module *module)
{
    struct pywatt_client *client = module->client;
    pywatt_registration_release(module->registration);
    pw_told_release(module->told);
    pywatt_module_info_free(module->info);
    pw_cond_destroy(&module->changed);
    pw_mutex_destroy(&module->lock);
    free(module);
    pw_client_release(client);
}

void pw_handle_release(struct pywatt_module *module)
{
    PW_HINT_RELEASE(&module->references);
    if (atomic_fetch_sub_explicit(&module->references, 1, memory_order_acq_rel) == 1) {
        PW_HINT_ACQUIRE(&module->references);
        destroy(module);
    }
}

void pw_handle_begin(struct pywatt_module *module, struct pywatt_registration *registration)
{
    module->id = *pywatt_registration_id(registration);
    if (module->info != NULL) {
        pywatt_module_info_set_id(module->info, &module->id);
    }
    pw_handle_set_registration(module, registration);
    pw_registry_add(&module->client->registry, module);
}

void pywatt_module_free(struct pywatt_module *module)
{
    if (module == NULL || pw_client_is_in_child(module->client)) {
        return;
    }
    pywatt_module_set_watcher(module, NULL, NULL);
    pw_mutex_lock(&module->lock);
    module->freed = true;
    struct pywatt_heartbeat_loop *loop = module->loop;
    if (loop != NULL) {
        pw_loop_acquire(loop);
    }
    pw_mutex_unlock(&module->lock);
    if (loop != NULL) {
        pw_loop_stop(loop);
        pw_loop_release(loop);
    }
    pw_registry_remove(&module->client->registry, module);
    pw_handle_release(module);
}

/* ---- Attach --------------------------------------------------------------------------------- */

static enum pywatt_status check_attach(const struct pywatt_client *client,
                                       const struct pywatt_module_info *info,
                                       const struct pywatt_uuid *id, const char *token,
                                       struct pywatt_module **out, struct pywatt_error *error)
{
    if (client == NULL || id == NULL || token == NULL || out == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "attach module: %s is NULL",
                            client == NULL  ? "client"
                            : id == NULL    ? "id"
                            : token == NULL ? "token"
                                            : "out");
    }
    if (pywatt_uuid_is_nil(id)) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "attach module: the id is nil");
    }
    const struct pywatt_uuid *own = info == NULL ? NULL : pywatt_module_info_id(info);
    if (own != NULL && !pywatt_uuid_equal(own, id)) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "attach module: the info has another id than the one given");
    }
    return PYWATT_OK;
}

/* What a registration that nobody told us looks like. */
static enum pywatt_status make_registration(const struct pywatt_module_info *info,
                                            const struct pywatt_uuid *id, const char *token,
                                            struct pywatt_registration **out,
                                            struct pywatt_error *error)
{
    struct pywatt_registration *registration = pw_registration_new();
    if (registration == NULL) {
        return pw_error_no_memory(error);
    }
    registration->id = *id;
    enum pywatt_status status = pw_registration_set_token(registration, pw_str_from(token));
    if (status == PYWATT_OK && info != NULL) {
        status = pywatt_module_info_copy(info, &registration->info);
    }
    if (status == PYWATT_OK && info != NULL) {
        status = pywatt_module_info_set_id(registration->info, id);
    }
    if (status != PYWATT_OK) {
        pywatt_registration_release(registration);
        return pw_error_set(error, status, "attach module: the token or the info: %s",
                            pywatt_status_text(status));
    }
    pw_registration_seal(registration);
    *out = registration;
    return PYWATT_OK;
}

enum pywatt_status pywatt_attach_module(struct pywatt_client *client,
                                        const struct pywatt_module_info *info,
                                        const struct pywatt_uuid *id, const char *token,
                                        struct pywatt_module **out, struct pywatt_error *error)
{
    enum pywatt_status status = check_attach(client, info, id, token, out, error);
    if (status != PYWATT_OK) {
        return status;
    }
    *out = NULL;
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    struct pywatt_registration *registration = NULL;
    struct pywatt_module *module = NULL;
    status = make_registration(info, id, token, &registration, error);
    if (status == PYWATT_OK) {
        status = pw_handle_new(client, info, &module, error);
    }
    if (status == PYWATT_OK) {
        pw_handle_begin(module, registration);
        *out = module;
    }
    pywatt_registration_release(registration);
    pw_client_leave(client);
    return status;
}

/* ---- Getters and the like ------------------------------------------------------------------- */

const struct pywatt_uuid *pywatt_module_id(const struct pywatt_module *module)
{
    return module == NULL ? NULL : &module->id;
}

struct pywatt_registration *pw_handle_registration(struct pywatt_module *module)
{
    pw_mutex_lock(&module->lock);
    struct pywatt_registration *registration = pywatt_registration_acquire(module->registration);
    pw_mutex_unlock(&module->lock);
    return registration;
}

struct pywatt_registration *pywatt_module_registration(struct pywatt_module *module)
{
    return module == NULL || pw_client_is_in_child(module->client) ? NULL
                                                                   : pw_handle_registration(module);
}

/*
 * For a module that is unregistered: without a token. What else beats carry has been changed before,
 * as its alias is of another registration, and revoked at last: see alias.h.
 */
static void write_card_locked(struct pywatt_module *module)
{
    const struct pywatt_registration *registration = module->registration;
    pw_card_write(
        &module->card, &module->id, pywatt_registration_generation(registration),
        pw_str_from(module->unregistered ? NULL : pywatt_registration_token(registration)));
    pw_alias_revoke(&module->alias);
}

void pw_handle_set_registration(struct pywatt_module *module,
                                struct pywatt_registration *registration)
{
    pw_mutex_lock(&module->lock);
    struct pywatt_registration *old = module->registration;
    module->registration = pywatt_registration_acquire(registration);
    module->registered_ns = pw_clock_now_ns(module->client->clock);
    if (old != registration) {
        atomic_fetch_add_explicit(&module->registration_version, 1, memory_order_release);
    }
    write_card_locked(module);
    if (atomic_load(&module->forgotten)) {
        /* In this order: who looks without the lock never sees a module that is well in between. */
        atomic_store(&module->owes_capabilities, module->told != NULL);
        atomic_store(&module->forgotten, false);
    }
    pw_mutex_unlock(&module->lock);
    pywatt_registration_release(old);
}

void pw_handle_set_told(struct pywatt_module *module, struct pw_told *told)
{
    pw_mutex_lock(&module->lock);
    struct pw_told *old = module->told;
    module->told = pw_told_acquire(told);
    atomic_store(&module->owes_capabilities, false);
    pw_mutex_unlock(&module->lock);
    pw_told_release(old);
}

void pywatt_module_set_health(struct pywatt_module *module, enum pywatt_health health)
{
    if (module != NULL && health >= PYWATT_HEALTHY && health <= PYWATT_UNHEALTHY) {
        atomic_store_explicit(&module->health, (int)health, memory_order_relaxed);
    }
}

/* ---- Leaving -------------------------------------------------------------------------------- */

/* Of a module whose card has no token. */
static size_t read_long_token(struct pywatt_module *module, struct pw_batched_beat *row,
                              char *token, size_t room)
{
    size_t len = 0;
    pw_mutex_lock(&module->lock);
    if (!module->unregistered) {
        const char *text = pywatt_registration_token(module->registration);
        len = strlen(text) <= room ? strlen(text) : 0;
        memcpy(token, text, len);
        row->module_id = module->id;
        row->generation = pywatt_registration_generation(module->registration);
    }
    pw_mutex_unlock(&module->lock);
    return len;
}

size_t pw_handle_card(struct pywatt_module *module, struct pw_batched_beat *row, char *token,
                      size_t room)
{
    if (room < PW_CARD_TOKEN_MAX) {
        return 0;
    }
    const size_t len = pw_card_read(&module->card, &row->module_id, &row->generation, token);
    return len > 0 ? len : read_long_token(module, row, token, room);
}

static enum pywatt_status is_unregistered(struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_CLOSED, "the module is unregistered");
}

enum pywatt_status pw_handle_use(struct pywatt_module *module, struct pywatt_registration **out,
                                 struct pywatt_error *error)
{
    pw_mutex_lock(&module->lock);
    const bool gone = module->unregistered;
    *out = gone ? NULL : pywatt_registration_acquire(module->registration);
    pw_mutex_unlock(&module->lock);
    return gone ? is_unregistered(error) : PYWATT_OK;
}

enum pywatt_status pw_handle_leave(struct pywatt_module *module, struct pywatt_error *error)
{
    pw_mutex_lock(&module->lock);
    const bool gone = module->unregistered;
    struct pywatt_heartbeat_loop *loop = NULL;
    if (!gone) {
        module->leaving++;
        loop = module->loop == NULL ? NULL : pw_loop_acquire(module->loop);
    }
    pw_mutex_unlock(&module->lock);
    if (loop != NULL) {
        pw_loop_stop(loop);
        pw_loop_release(loop);
    }
    return gone ? is_unregistered(error) : PYWATT_OK;
}

void pw_handle_left(struct pywatt_module *module, bool gone)
{
    pw_mutex_lock(&module->lock);
    module->leaving--;
    if (gone) {
        module->unregistered = true;
        write_card_locked(module);
    }
    pw_mutex_unlock(&module->lock);
    if (gone) {
        pw_registry_remove(&module->client->registry, module);
    }
}

bool pw_handle_settle(struct pywatt_module *module, uint64_t deadline_ns)
{
    bool in_time = true;
    pw_mutex_lock(&module->lock);
    while (module->recovering && in_time) {
        in_time = pw_cond_wait_until(&module->changed, &module->lock, deadline_ns);
    }
    const bool settled = !module->recovering;
    pw_mutex_unlock(&module->lock);
    return settled;
}

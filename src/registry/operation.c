/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * operation.c - requests built, replies read, and what they do to a module. Any thread; no lock of
 * its own. An errand belongs to one thread at a time.
 */
#include "registry/operation.h"

#include "base/error.h"
#include "registry/client.h"

#include <stddef.h>

enum {
    /* Replies to all but large registrations fit: such a call then needs no heap. */
    REPLY_STORAGE = 2048
};

void pw_prefix_operation(struct pywatt_error *error, enum pw_operation operation,
                         const struct pywatt_module *module)
{
    if (error == NULL) {
        return;
    }
    if (operation == PW_OP_REGISTER) {
        pw_error_prefix(error, "register module '%.64s'", pywatt_module_info_name(module->info));
        return;
    }
    char id[PYWATT_UUID_TEXT_SIZE];
    pywatt_uuid_format(&module->id, id);
    switch (operation) {
    case PW_OP_UNREGISTER: pw_error_prefix(error, "unregister %s", id); break;
    case PW_OP_HEARTBEAT: pw_error_prefix(error, "heartbeat of %s", id); break;
    default: pw_error_prefix(error, "capabilities of %s", id); break;
    }
}

/* ---- Replies -------------------------------------------------------------------------------- */

static enum pywatt_status read_refusal(const struct pw_response *response,
                                       struct pywatt_error *error)
{
    const enum pywatt_status status =
        response->status == PYWATT_OK ? PYWATT_REJECTED : response->status;
    if (response->error.len == 0) {
        return pw_error_set(error, status, "%s", pywatt_status_text(status));
    }
    const int len = response->error.len < PYWATT_ERROR_TEXT_MAX ? (int)response->error.len
                                                                : PYWATT_ERROR_TEXT_MAX;
    return pw_error_set(error, status, "%.*s", len, response->error.data);
}

enum pywatt_status pw_read_reply(enum pw_operation operation, const struct pw_response *response,
                                 struct pw_answer *answer, struct pywatt_error *error)
{
    answer->refused = !response->success;
    answer->retry_after_ms = answer->refused ? response->retry_after_ms : 0;
    if (answer->refused) {
        return read_refusal(response, error);
    }
    if (operation == PW_OP_REGISTER && response->registration == NULL) {
        return pw_error_set(error, PYWATT_SERIALIZATION, "the reply has no module in it");
    }
    if (operation == PW_OP_REGISTER) {
        answer->registration = pywatt_registration_acquire(response->registration);
    }
    answer->verdict = response->health;
    return PYWATT_OK;
}

enum pywatt_status pw_ask(struct pywatt_client *client, struct pw_request *request,
                          uint64_t deadline_ns, struct pw_answer *answer,
                          struct pywatt_error *error)
{
    _Alignas(max_align_t) unsigned char storage[REPLY_STORAGE];
    struct pw_arena arena;
    struct pw_response response;
    pw_arena_init_with(&arena, PW_CODEC_ARENA_BUDGET, storage, sizeof(storage));
    pw_response_init(&response);
    *answer = (struct pw_answer){.verdict = PYWATT_HEALTHY};

    enum pywatt_status status = pw_channel_call(client->channel, request, deadline_ns, &arena,
                                                &response, &answer->epoch, error);
    if (status == PYWATT_OK) {
        status = pw_read_reply(request->operation, &response, answer, error);
    }
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
    return status;
}

/* ---- Arguments ------------------------------------------------------------------------------ */

enum pywatt_status pw_check_heartbeat(const struct pywatt_module *module, enum pywatt_health health,
                                      struct pywatt_error *error)
{
    if (module == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat: module is NULL");
    }
    if ((int)health < PYWATT_HEALTHY || (int)health > PYWATT_UNHEALTHY) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat: %d is no health",
                            (int)health);
    }
    return PYWATT_OK;
}

enum pywatt_status pw_check_capabilities(const struct pywatt_module *module,
                                         const struct pywatt_capabilities *capabilities,
                                         struct pw_told **out, struct pywatt_error *error)
{
    if (module == NULL || capabilities == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "capabilities: %s is NULL",
                            module == NULL ? "module" : "capabilities");
    }
    const enum pywatt_status status = pw_told_new(capabilities, out);
    return status == PYWATT_NO_MEMORY ? pw_error_no_memory(error) : status;
}

bool pw_needs_registration(enum pw_operation operation)
{
    return operation == PW_OP_HEARTBEAT || operation == PW_OP_CAPABILITIES;
}

/* ---- Errands -------------------------------------------------------------------------------- */

void pw_errand_init(struct pw_errand *errand, enum pw_operation operation,
                    struct pywatt_module *module, uint64_t deadline_ns)
{
    *errand = (struct pw_errand){
        .operation = operation,
        .module = module,
        .deadline_ns = deadline_ns,
        .health = PYWATT_HEALTHY,
        .verdict = PYWATT_HEALTHY,
    };
}

void pw_errand_clear(struct pw_errand *errand)
{
    pywatt_registration_release(errand->registration);
    errand->registration = NULL;
}

/* To register an id that this client has registered before, its token shows that we may. */
static void fill_register(struct pw_errand *errand, struct pw_request *request)
{
    const struct pywatt_module_info *info = errand->module->info;
    const struct pywatt_uuid *id = pywatt_module_info_id(info);
    if (id != NULL) {
        errand->registration = pw_registry_find(&errand->module->client->registry, id);
    }
    request->info = errand->module->info;
    request->can_wait = true;
}

enum pywatt_status pw_errand_fill(struct pw_errand *errand, struct pw_request *request,
                                  struct pywatt_error *error)
{
    struct pywatt_module *module = errand->module;
    pw_errand_clear(errand);
    pw_request_init(request);
    request->operation = errand->operation;
    if (errand->operation == PW_OP_REGISTER) {
        fill_register(errand, request);
    } else {
        const enum pywatt_status status = pw_handle_use(module, &errand->registration, error);
        if (status != PYWATT_OK) {
            return status;
        }
        request->module_id = *pywatt_registration_id(errand->registration);
        request->generation = pywatt_registration_generation(errand->registration);
    }
    if (errand->registration != NULL) {
        request->token = pw_str_from(pywatt_registration_token(errand->registration));
    }
    request->health = errand->health;
    /* The message is only encoded from, so that what it points to stays as it is. */
    request->details = (struct pywatt_string_map *)(uintptr_t)errand->details;
    request->capabilities = errand->told == NULL ? NULL : errand->told->capabilities;
    return PYWATT_OK;
}

/* Takes in an answer, or that there is none; puts before words of our own what they are about. */
static void take_effect(struct pw_errand *errand, enum pywatt_status status,
                        const struct pw_answer *answer, struct pywatt_error *error)
{
    struct pywatt_module *module = errand->module;
    errand->refused = answer->refused;
    errand->retry_after_ms = answer->retry_after_ms;
    errand->epoch = answer->epoch;
    errand->verdict = answer->verdict;
    if (status != PYWATT_OK) {
        if (!answer->refused) {
            pw_prefix_operation(error, errand->operation, module);
        }
        return;
    }
    switch (errand->operation) {
    case PW_OP_REGISTER:
        pw_registry_spread(&module->client->registry, answer->registration);
        pw_handle_begin(module, answer->registration);
        pywatt_registration_release(answer->registration);
        break;
    case PW_OP_CAPABILITIES: pw_handle_set_told(module, errand->told); break;
    default: break;
    }
    atomic_store_explicit(&module->success_epoch, answer->epoch, memory_order_relaxed);
}

enum pywatt_status pw_errand_settle(struct pw_errand *errand, uint64_t epoch,
                                    enum pywatt_status status, const struct pw_response *response,
                                    const struct pywatt_error *channel_error,
                                    struct pywatt_error *error)
{
    struct pw_answer answer = {.epoch = epoch, .verdict = PYWATT_HEALTHY};
    if (status == PYWATT_OK) {
        status = pw_read_reply(errand->operation, response, &answer, error);
    } else {
        *error = *channel_error;
        error->status = status;
    }
    take_effect(errand, status, &answer, error);
    return status;
}

void pw_note_round_trip(struct pywatt_client *client, uint64_t sent_ns, uint64_t answered_ns,
                        uint64_t beats)
{
    pw_recorder_add(&client->counters.round_trips,
                    answered_ns > sent_ns ? answered_ns - sent_ns : 0, beats);
}

/* Once round: build, ask, take in. */
static enum pywatt_status ask_once(struct pw_errand *errand, struct pywatt_error *error)
{
    struct pw_request request;
    struct pw_answer answer;
    errand->refused = false;
    errand->retry_after_ms = 0;
    enum pywatt_status status = pw_errand_fill(errand, &request, error);
    if (status == PYWATT_OK) {
        struct pywatt_client *client = errand->module->client;
        const uint64_t sent_ns = pw_clock_now_ns(client->clock);
        status = pw_ask(client, &request, errand->deadline_ns, &answer, error);
        if (errand->operation == PW_OP_HEARTBEAT && (status == PYWATT_OK || answer.refused)) {
            pw_note_round_trip(client, sent_ns, pw_clock_now_ns(client->clock), 1);
        }
        take_effect(errand, status, &answer, error);
    }
    return status;
}

/* It was refused for now: waits until it may be asked for again. */
static enum pywatt_status wait_to_come_again(const struct pw_errand *errand,
                                             struct pw_deferral *deferral,
                                             struct pywatt_error *error)
{
    struct pywatt_client *client = errand->module->client;
    pw_deferral_note(client, deferral, errand->retry_after_ms, errand->epoch);
    const enum pywatt_status status =
        pw_deferral_wait(client, deferral, errand->deadline_ns, error);
    if (status != PYWATT_OK) {
        pw_prefix_operation(error, errand->operation, errand->module);
    }
    return status;
}

enum pywatt_status pw_errand_run(struct pw_errand *errand, struct pywatt_error *error)
{
    struct pywatt_module *module = errand->module;
    const bool may_recover = pw_needs_registration(errand->operation);
    struct pw_deferral deferral = {.retry_after_ms = 0};
    bool recovered = false;
    enum pywatt_status status = PYWATT_OK;
    if (may_recover && pw_handle_unwell(module)) {
        status = pw_handle_recover(module, errand->deadline_ns, true, error);
    }
    while (status == PYWATT_OK) {
        status = ask_once(errand, error);
        if (errand->retry_after_ms != 0) {
            status = wait_to_come_again(errand, &deferral, error);
            continue;
        }
        if (status == PYWATT_OK || recovered || !may_recover || !errand->refused ||
            !pw_handle_forgotten(module, errand->registration, status, errand->epoch)) {
            return status;
        }
        recovered = true;
        status = pw_handle_recover(module, errand->deadline_ns, true, error);
    }
    return status;
}

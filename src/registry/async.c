/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * async.c - the four operations in their asynchronous form. An operation is one piece on the heap
 * that goes from the caller to the heartbeat thread, the channel, perhaps a recovery, and the
 * dispatcher, where the application's `done` runs: one of them has it at a time, so it needs no lock.
 * Once the dispatcher has promised it a place, `done` runs exactly once, whatever happens.
 */
#include "registry/async.h"

#include "base/error.h"
#include "model/string_map.h"
#include "registry/client.h"

#include <stdlib.h>

enum {
    /* Operations that may be under way, if max_in_flight does not allow more. */
    OPERATIONS_AT_LEAST = 1024
};

static void free_operation(struct pw_async *operation)
{
    pw_errand_clear(&operation->errand);
    pywatt_string_map_free(operation->details);
    pw_told_release(operation->told);
    if (operation->errand.module != NULL) {
        pw_handle_release(operation->errand.module);
    }
    free(operation);
}

/* From the submission to its callback, an operation is one of a bounded number. */
static bool count_in(struct pywatt_client *client)
{
    const unsigned most = client->settings.max_in_flight > OPERATIONS_AT_LEAST
                              ? client->settings.max_in_flight
                              : OPERATIONS_AT_LEAST;
    if (atomic_fetch_add_explicit(&client->operations, 1, memory_order_relaxed) < most) {
        return true;
    }
    atomic_fetch_sub_explicit(&client->operations, 1, memory_order_relaxed);
    return false;
}

static void count_out(struct pywatt_client *client)
{
    atomic_fetch_sub_explicit(&client->operations, 1, memory_order_relaxed);
}

/* On the dispatcher: the application's callback, and the end. */
static void run_done(struct pw_job *job)
{
    struct pw_async *operation = PW_CONTAINER_OF(job, struct pw_async, job);
    count_out(operation->errand.module->client); /* the callback may submit another in its place */
    const enum pywatt_status status = operation->status;
    const struct pywatt_error *error = &operation->error;
    switch (operation->errand.operation) {
    case PW_OP_REGISTER: {
        struct pywatt_module *module = NULL;
        if (status == PYWATT_OK) { /* our reference becomes the application's */
            module = operation->errand.module;
            operation->errand.module = NULL;
        }
        operation->done.registered(operation->user, status, error, module);
        break;
    }
    case PW_OP_HEARTBEAT:
        operation->done.heartbeat(operation->user, status, error, operation->errand.verdict);
        break;
    case PW_OP_UNREGISTER:
    case PW_OP_CAPABILITIES: operation->done.plain(operation->user, status, error); break;
    case PW_OP_HEARTBEAT_BATCH: break; /* never asked for alone */
    }
    free_operation(operation);
}

void pw_async_finish(struct pw_async *operation, enum pywatt_status status)
{
    operation->status = status;
    operation->error.status = status;
    if (status == PYWATT_OK) {
        operation->error.text[0] = '\0';
    }
    if (operation->errand.operation == PW_OP_UNREGISTER) {
        pw_handle_left(operation->errand.module, status == PYWATT_OK);
    }
    pw_dispatcher_redeem(&operation->errand.module->client->dispatcher, &operation->job);
}

/* Parks it until its module is registered again; false if the client is closing. */
static bool wait_for_recovery(struct pw_async *operation)
{
    struct pywatt_module *module = pw_handle_acquire(operation->errand.module);
    operation->recovered = true;
    operation->parked = true;
    operation->round = pw_handle_recovery_round(module);
    /* In this order: the news that the recovery has ended must find the operation there. */
    const bool parked = pw_heartbeat_submit(module->client, operation);
    if (parked) {
        pw_recovery_request(module->client, module, true);
    }
    pw_handle_release(module);
    return parked;
}

/* The orchestrator has said when to come again: hands it over for then. Else how it ends. */
static enum pywatt_status defer(struct pw_async *operation)
{
    struct pw_errand *errand = &operation->errand;
    struct pywatt_client *client = errand->module->client;
    pw_deferral_note(client, &operation->deferral, errand->retry_after_ms, errand->epoch);
    const enum pywatt_status status =
        pw_deferral_fits(client, &operation->deferral, errand->deadline_ns, &operation->error);
    if (status != PYWATT_OK) {
        pw_prefix_operation(&operation->error, errand->operation, errand->module);
        return status;
    }
    return pw_heartbeat_submit(client, operation) ? PYWATT_OK
                                                  : pw_client_is_closed(&operation->error);
}

void pw_async_posted(struct pw_post *post, enum pywatt_status status,
                     const struct pw_response *response, const struct pywatt_error *error)
{
    struct pw_async *operation = PW_CONTAINER_OF(post, struct pw_async, post);
    struct pw_errand *errand = &operation->errand;
    if (status == PYWATT_CONNECTION) { /* nothing of it has left: it waits for the next one */
        if (pw_heartbeat_submit(errand->module->client, operation)) {
            return;
        }
        pw_async_finish(operation, pw_client_is_closed(&operation->error));
        return;
    }
    if (status == PYWATT_OK && errand->operation == PW_OP_HEARTBEAT) {
        pw_note_round_trip(errand->module->client, operation->sent_ns, post->answered_ns, 1);
    }
    status = pw_errand_settle(errand, post->epoch, status, response, error, &operation->error);
    if (errand->retry_after_ms != 0) {
        status = defer(operation);
        if (status != PYWATT_OK) {
            pw_async_finish(operation, status);
        }
        return;
    }
    if (errand->refused && !operation->recovered && pw_needs_registration(errand->operation) &&
        pw_handle_forgotten(errand->module, errand->registration, status, errand->epoch)) {
        if (wait_for_recovery(operation)) {
            return;
        }
        status = pw_client_is_closed(&operation->error);
    }
    pw_async_finish(operation, status);
}

/* ---- Submitting ----------------------------------------------------------------------------- */

/* Takes over the caller's reference on `module`, also when it fails. */
static struct pw_async *new_operation(enum pw_operation kind, struct pywatt_module *module,
                                      void *user)
{
    struct pw_async *operation = calloc(1, sizeof(*operation));
    if (operation == NULL) {
        pw_handle_release(module);
        return NULL;
    }
    pw_errand_init(&operation->errand, kind, module, pw_client_deadline_ns(module->client));
    pw_list_init(&operation->link);
    pw_due_init(&operation->due);
    operation->post.done = pw_async_posted;
    operation->job.run = run_done;
    operation->user = user;
    return operation;
}

/* False if the client is closing. */
static bool hand_over(struct pywatt_client *client, struct pw_async *operation)
{
    if (!pw_dispatcher_promise(&client->dispatcher)) {
        return false;
    }
    const bool taken = pw_heartbeat_submit(client, operation);
    if (!taken) {
        pw_dispatcher_release(&client->dispatcher);
    }
    return taken;
}

/* Sends a complete operation on its way, or frees it. The caller is inside the client. */
static enum pywatt_status submit(struct pywatt_client *client, struct pw_async *operation,
                                 struct pywatt_error *error)
{
    enum pywatt_status status = pw_client_start_threads(client, error);
    if (status == PYWATT_OK && !count_in(client)) {
        status =
            pw_error_set(error, PYWATT_LIMIT, "too many asynchronous operations are under way");
    } else if (status == PYWATT_OK && !hand_over(client, operation)) {
        count_out(client);
        status = pw_client_is_closed(error);
    }
    if (status != PYWATT_OK) {
        free_operation(operation);
    }
    return status;
}

enum pywatt_status pywatt_register_module_async(struct pywatt_client *client,
                                                const struct pywatt_module_info *info,
                                                pywatt_registered_fn done, void *user,
                                                struct pywatt_error *error)
{
    if (client == NULL || info == NULL || done == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "register module: %s is NULL",
                            client == NULL ? "client"
                            : info == NULL ? "info"
                                           : "done");
    }
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    struct pywatt_module *module = NULL;
    enum pywatt_status status = pw_handle_new(client, info, &module, error);
    if (status == PYWATT_OK) {
        struct pw_async *operation = new_operation(PW_OP_REGISTER, module, user);
        if (operation == NULL) {
            status = pw_error_no_memory(error);
        } else {
            operation->done.registered = done;
            status = submit(client, operation, error);
        }
    }
    pw_client_leave(client);
    return status;
}

enum pywatt_status pywatt_unregister_module_async(struct pywatt_module *module, pywatt_done_fn done,
                                                  void *user, struct pywatt_error *error)
{
    if (module == NULL || done == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "unregister: %s is NULL",
                            module == NULL ? "module" : "done");
    }
    struct pywatt_client *client = module->client;
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    struct pw_async *operation = new_operation(PW_OP_UNREGISTER, pw_handle_acquire(module), user);
    enum pywatt_status status =
        operation == NULL ? pw_error_no_memory(error) : pw_handle_leave(module, error);
    if (status == PYWATT_OK) {
        operation->done.plain = done;
        status = submit(client, operation, error);
        if (status != PYWATT_OK) {
            pw_handle_left(module, false);
        }
    } else if (operation != NULL) {
        free_operation(operation);
    }
    pw_client_leave(client);
    return status;
}

enum pywatt_status pywatt_heartbeat_async(struct pywatt_module *module, enum pywatt_health health,
                                          const struct pywatt_string_map *details,
                                          pywatt_heartbeat_fn done, void *user,
                                          struct pywatt_error *error)
{
    enum pywatt_status status = pw_check_heartbeat(module, health, error);
    if (status != PYWATT_OK) {
        return status;
    }
    if (done == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "heartbeat: done is NULL");
    }
    struct pywatt_client *client = module->client;
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    struct pw_async *operation = new_operation(PW_OP_HEARTBEAT, pw_handle_acquire(module), user);
    status =
        operation == NULL ? PYWATT_NO_MEMORY : pw_string_map_copy(details, &operation->details);
    if (status == PYWATT_OK) {
        operation->errand.health = health;
        operation->errand.details = operation->details;
        operation->done.heartbeat = done;
        status = submit(client, operation, error);
    } else {
        pw_error_no_memory(error);
        if (operation != NULL) {
            free_operation(operation);
        }
    }
    pw_client_leave(client);
    return status;
}

enum pywatt_status
pywatt_advertise_capabilities_async(struct pywatt_module *module,
                                    const struct pywatt_capabilities *capabilities,
                                    pywatt_done_fn done, void *user, struct pywatt_error *error)
{
    if (done == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "capabilities: done is NULL");
    }
    struct pw_told *told = NULL;
    enum pywatt_status status = pw_check_capabilities(module, capabilities, &told, error);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_client *client = module->client;
    if (!pw_client_enter(client)) {
        pw_told_release(told);
        return pw_client_refuses(client, error);
    }
    struct pw_async *operation = new_operation(PW_OP_CAPABILITIES, pw_handle_acquire(module), user);
    if (operation == NULL) {
        pw_told_release(told);
        status = pw_error_no_memory(error);
    } else {
        operation->told = told;
        operation->errand.told = told;
        operation->done.plain = done;
        status = submit(client, operation, error);
    }
    pw_client_leave(client);
    return status;
}

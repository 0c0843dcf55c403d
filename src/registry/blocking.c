/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * blocking.c - the four operations in their blocking form: each runs in the calling thread, from
 * its arguments to its result, under one deadline. No lock of its own.
 */
#include "base/error.h"
#include "registry/client.h"
#include "registry/module.h"
#include "registry/operation.h"

#include <pywatt/module.h>

enum pywatt_status pywatt_register_module(struct pywatt_client *client,
                                          const struct pywatt_module_info *info,
                                          struct pywatt_module **out, struct pywatt_error *error)
{
    if (client == NULL || info == NULL || out == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "register module: %s is NULL",
                            client == NULL ? "client"
                            : info == NULL ? "info"
                                           : "out");
    }
    *out = NULL;
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    struct pywatt_module *module = NULL;
    struct pw_errand errand;
    enum pywatt_status status = pw_handle_new(client, info, &module, error);
    if (status == PYWATT_OK) {
        pw_errand_init(&errand, PW_OP_REGISTER, module, pw_client_deadline_ns(client));
        status = pw_errand_run(&errand, error);
        pw_errand_clear(&errand);
        if (status == PYWATT_OK) {
            *out = module;
        } else {
            pw_handle_release(module);
        }
    }
    pw_client_leave(client);
    return status;
}

enum pywatt_status pywatt_unregister_module(struct pywatt_module *module,
                                            struct pywatt_error *error)
{
    if (module == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "unregister: module is NULL");
    }
    struct pywatt_client *client = module->client;
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    const uint64_t deadline_ns = pw_client_deadline_ns(client);
    enum pywatt_status status = pw_handle_leave(module, error);
    if (status == PYWATT_OK) {
        struct pw_errand errand;
        pw_errand_init(&errand, PW_OP_UNREGISTER, module, deadline_ns);
        if (pw_handle_settle(module, errand.deadline_ns)) {
            status = pw_errand_run(&errand, error);
        } else {
            status = pw_error_set(error, PYWATT_TIMEOUT, "the module is being registered again");
            pw_prefix_operation(error, PW_OP_UNREGISTER, module);
        }
        pw_errand_clear(&errand);
        pw_handle_left(module, status == PYWATT_OK);
    }
    pw_client_leave(client);
    return status;
}

enum pywatt_status pywatt_heartbeat(struct pywatt_module *module, enum pywatt_health health,
                                    const struct pywatt_string_map *details,
                                    enum pywatt_health *verdict, struct pywatt_error *error)
{
    enum pywatt_status status = pw_check_heartbeat(module, health, error);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_client *client = module->client;
    if (!pw_client_enter(client)) {
        return pw_client_refuses(client, error);
    }
    struct pw_errand errand;
    pw_errand_init(&errand, PW_OP_HEARTBEAT, module, pw_client_deadline_ns(client));
    errand.health = health;
    errand.details = details;
    status = pw_errand_run(&errand, error);
    if (status == PYWATT_OK && verdict != NULL) {
        *verdict = errand.verdict;
    }
    pw_errand_clear(&errand);
    pw_client_leave(client);
    return status;
}

enum pywatt_status pywatt_advertise_capabilities(struct pywatt_module *module,
                                                 const struct pywatt_capabilities *capabilities,
                                                 struct pywatt_error *error)
{
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
    struct pw_errand errand;
    pw_errand_init(&errand, PW_OP_CAPABILITIES, module, pw_client_deadline_ns(client));
    errand.told = told;
    status = pw_errand_run(&errand, error);
    pw_errand_clear(&errand);
    pw_told_release(told);
    pw_client_leave(client);
    return status;
}

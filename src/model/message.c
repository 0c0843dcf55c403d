/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * message.c - the life of a decoded request or reply. No lock: one thread at a time.
 */
#include "model/message.h"

const char *pw_operation_name(enum pw_operation operation)
{
    static const char *const names[] = {
        [PW_OP_REGISTER] = "register",
        [PW_OP_UNREGISTER] = "unregister",
        [PW_OP_HEARTBEAT] = "heartbeat",
        [PW_OP_CAPABILITIES] = "capabilities",
        [PW_OP_HEARTBEAT_BATCH] = "heartbeat batch",
    };
    return (unsigned)operation < sizeof(names) / sizeof(names[0]) ? names[operation] : "unknown";
}

const char *pw_feature_name(enum pw_feature feature)
{
    return feature == PW_FEATURE_HEARTBEAT_BATCH ? "heartbeat_batch" : "unknown";
}

unsigned pw_feature_by_name(struct pw_str name)
{
    const enum pw_feature known = PW_FEATURE_HEARTBEAT_BATCH;
    return pw_str_equal(name, pw_str_from(pw_feature_name(known))) ? (unsigned)known : 0;
}

/* The map that a message keeps, made when it is first needed; empty. */
static struct pywatt_string_map *kept_map(struct pywatt_string_map **storage)
{
    if (*storage == NULL) {
        *storage = pywatt_string_map_new();
    }
    pywatt_string_map_clear(*storage);
    return *storage;
}

void pw_request_init(struct pw_request *request)
{
    /* Copied, as compilers write that many zeros with an instruction that is slow to begin. */
    static const struct pw_request empty;
    *request = empty;
}

void pw_request_reset(struct pw_request *request)
{
    struct pywatt_string_map *storage = request->details_storage;
    pywatt_module_info_free(request->info);
    pywatt_capabilities_free(request->capabilities);
    pw_request_init(request);
    request->details_storage = storage;
}

void pw_request_clear(struct pw_request *request)
{
    pw_request_reset(request);
    pywatt_string_map_free(request->details_storage);
    request->details_storage = NULL;
}

struct pywatt_string_map *pw_request_details(struct pw_request *request)
{
    request->details = kept_map(&request->details_storage);
    return request->details;
}

void pw_response_init(struct pw_response *response)
{
    static const struct pw_response empty; /* as above */
    *response = empty;
}

void pw_response_reset(struct pw_response *response)
{
    struct pywatt_string_map *storage = response->context_storage;
    pywatt_registration_release(response->registration);
    pw_response_init(response);
    response->context_storage = storage;
}

void pw_response_clear(struct pw_response *response)
{
    pw_response_reset(response);
    pywatt_string_map_free(response->context_storage);
    response->context_storage = NULL;
}

struct pywatt_string_map *pw_response_context(struct pw_response *response)
{
    response->context = kept_map(&response->context_storage);
    return response->context;
}

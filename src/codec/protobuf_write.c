/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_write.c - registrations and capabilities as protobuf-c's structs, which borrow their
 * texts from the model and stand in an arena, packed into the message. No state; any thread. Not
 * for beats.
 *
 * A function that builds returns false when the arena has no room; the arena then says why.
 */
#include "base/error.h"
#include "codec/protobuf_codec.h"
#include "model/registration.h"

#include <pywatt/v1/registration.pb-c.h>

#include <stdalign.h>

/* On the stack; what does not fit goes to the heap, up to more than any model's bounds allow. */
#define STORAGE_BYTES ((size_t)4096)
#define BUDGET_BYTES ((size_t)16 << 20)

/* protobuf-c's structs have no const, but packing does not write through them. */
static char *borrow(const char *text)
{
    return (char *)(uintptr_t)text;
}

static ProtobufCBinaryData borrow_id(const struct pywatt_uuid *id)
{
    return (ProtobufCBinaryData){.len = sizeof(id->bytes), .data = (uint8_t *)(uintptr_t)id->bytes};
}

/* ---- Building ----------------------------------------------------------------------------- */

static bool build_pairs(struct pw_arena *arena, const struct pywatt_string_map *map,
                        Pywatt__V1__Pair ***out, size_t *out_count)
{
    const char *key = NULL;
    const char *value = NULL;
    const size_t count = pywatt_string_map_count(map);
    if (count == 0) {
        return true;
    }
    Pywatt__V1__Pair *pairs = pw_arena_calloc(arena, count, sizeof(*pairs));
    Pywatt__V1__Pair **list = pw_arena_calloc(arena, count, sizeof(Pywatt__V1__Pair *));
    if (pairs == NULL || list == NULL) {
        return false;
    }
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        pywatt__v1__pair__init(&pairs[i]);
        pairs[i].key = borrow(key);
        pairs[i].value = borrow(value);
        list[i] = &pairs[i];
    }
    *out = list;
    *out_count = count;
    return true;
}

static bool build_info(struct pw_arena *arena, const struct pywatt_module_info *info,
                       Pywatt__V1__ModuleInfo *to)
{
    const struct pywatt_uuid *id = pywatt_module_info_id(info);
    pywatt__v1__module_info__init(to);
    to->name = borrow(pywatt_module_info_name(info));
    to->version = borrow(pywatt_module_info_version(info));
    to->description = borrow(pywatt_module_info_description(info));
    if (id != NULL) {
        to->id = borrow_id(id);
    }
    return build_pairs(arena, pywatt_module_info_metadata(info), &to->metadata, &to->n_metadata);
}

static bool build_endpoint(struct pw_arena *arena, const struct pywatt_endpoint *endpoint,
                           Pywatt__V1__Endpoint *to)
{
    const size_t count = pywatt_endpoint_method_count(endpoint);
    pywatt__v1__endpoint__init(to);
    to->path = borrow(pywatt_endpoint_path(endpoint));
    to->methods = pw_arena_calloc(arena, count, sizeof(char *));
    if (to->methods == NULL) {
        return false;
    }
    to->n_methods = count;
    for (size_t i = 0; i < count; i++) {
        to->methods[i] = borrow(pywatt_endpoint_method(endpoint, i));
    }
    if (pywatt_endpoint_auth(endpoint) != NULL) {
        to->scheme_case = PYWATT__V1__ENDPOINT__SCHEME_AUTH;
        to->auth = borrow(pywatt_endpoint_auth(endpoint));
    }
    return build_pairs(arena, pywatt_endpoint_metadata(endpoint), &to->metadata, &to->n_metadata);
}

static bool build_endpoints(struct pw_arena *arena, const struct pywatt_capabilities *capabilities,
                            Pywatt__V1__CapabilitiesRequest *to)
{
    const size_t count = pywatt_capabilities_endpoint_count(capabilities);
    Pywatt__V1__Endpoint *endpoints = pw_arena_calloc(arena, count, sizeof(*endpoints));
    to->endpoints = pw_arena_calloc(arena, count, sizeof(Pywatt__V1__Endpoint *));
    if (endpoints == NULL || to->endpoints == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!build_endpoint(arena, pywatt_capabilities_endpoint(capabilities, i), &endpoints[i])) {
            return false;
        }
        to->endpoints[i] = &endpoints[i];
    }
    to->n_endpoints = count;
    return true;
}

static bool build_capabilities(struct pw_arena *arena,
                               const struct pywatt_capabilities *capabilities,
                               Pywatt__V1__CapabilitiesRequest *to)
{
    const size_t types = pywatt_capabilities_message_type_count(capabilities);
    to->message_types = pw_arena_calloc(arena, types, sizeof(char *));
    if (to->message_types == NULL) {
        return false;
    }
    for (size_t i = 0; i < types; i++) {
        to->message_types[i] = borrow(pywatt_capabilities_message_type(capabilities, i));
    }
    to->n_message_types = types;
    return build_endpoints(arena, capabilities, to) &&
           build_pairs(arena, pywatt_capabilities_additional(capabilities), &to->additional,
                       &to->n_additional);
}

/* ---- Packing ------------------------------------------------------------------------------ */

static enum pywatt_status pack(const ProtobufCMessage *message, struct pw_buffer *out,
                               struct pywatt_error *error)
{
    uint8_t *at = NULL;
    const size_t len = protobuf_c_message_get_packed_size(message);
    const enum pywatt_status status = pw_buffer_reserve(out, len, &at);
    if (status != PYWATT_OK) {
        return pw_protobuf_buffer_error(status, out, error);
    }
    pw_buffer_commit(out, protobuf_c_message_pack(message, at));
    return PYWATT_OK;
}

static enum pywatt_status not_built(const struct pw_arena *arena, struct pywatt_error *error)
{
    return arena->exhausted ? pw_error_set(error, PYWATT_LIMIT, "the message is too large")
                            : pw_error_no_memory(error);
}

static enum pywatt_status write_register(const struct pw_request *request, struct pw_arena *arena,
                                         Pywatt__V1__Request *message, struct pw_buffer *out,
                                         struct pywatt_error *error)
{
    char token[PYWATT_TOKEN_MAX + 1];
    Pywatt__V1__RegisterRequest body;
    Pywatt__V1__ModuleInfo info;
    pywatt__v1__register_request__init(&body);
    if (!build_info(arena, request->info, &info)) {
        return not_built(arena, error);
    }
    if (request->token.len > 0) {
        memcpy(token, request->token.data, request->token.len);
        token[request->token.len] = '\0';
        body.token = token;
    }
    body.info = &info;
    body.can_wait = request->can_wait;
    message->operation_case = PYWATT__V1__REQUEST__OPERATION_REGISTRATION;
    message->registration = &body;
    return pack(&message->base, out, error);
}

static enum pywatt_status write_capabilities(const struct pw_request *request,
                                             struct pw_arena *arena, Pywatt__V1__Request *message,
                                             struct pw_buffer *out, struct pywatt_error *error)
{
    char token[PYWATT_TOKEN_MAX + 1];
    Pywatt__V1__CapabilitiesRequest body;
    pywatt__v1__capabilities_request__init(&body);
    if (!build_capabilities(arena, request->capabilities, &body)) {
        return not_built(arena, error);
    }
    memcpy(token, request->token.data, request->token.len);
    token[request->token.len] = '\0';
    body.module_id = borrow_id(&request->module_id);
    body.token = token;
    message->operation_case = PYWATT__V1__REQUEST__OPERATION_CAPABILITIES;
    message->capabilities = &body;
    return pack(&message->base, out, error);
}

enum pywatt_status pw_protobuf_write_request(const struct pw_request *request,
                                             struct pw_buffer *out, struct pywatt_error *error)
{
    alignas(max_align_t) uint8_t storage[STORAGE_BYTES];
    struct pw_arena arena;
    Pywatt__V1__Request message;
    pw_arena_init_with(&arena, BUDGET_BYTES, storage, sizeof(storage));
    pywatt__v1__request__init(&message);
    message.request_id = borrow_id(&request->request_id);
    const enum pywatt_status status =
        request->operation == PW_OP_REGISTER
            ? write_register(request, &arena, &message, out, error)
            : write_capabilities(request, &arena, &message, out, error);
    pw_arena_destroy(&arena);
    return status;
}

static bool build_registered(struct pw_arena *arena, const struct pywatt_registration *registration,
                             Pywatt__V1__ModuleInfo *info, Pywatt__V1__RegisterReply *to)
{
    to->info = info;
    to->id = borrow_id(&registration->id);
    to->token = borrow(pywatt_registration_token(registration));
    to->orchestrator_host = borrow(pywatt_registration_orchestrator_host(registration));
    to->orchestrator_port = registration->port;
    return build_info(arena, registration->info, info) &&
           build_pairs(arena, registration->env, &to->env, &to->n_env) &&
           build_pairs(arena, registration->additional_data, &to->additional_data,
                       &to->n_additional_data);
}

enum pywatt_status pw_protobuf_write_registered(const struct pw_response *response,
                                                struct pw_buffer *out, struct pywatt_error *error)
{
    alignas(max_align_t) uint8_t storage[STORAGE_BYTES];
    struct pw_arena arena;
    Pywatt__V1__ModuleInfo info;
    Pywatt__V1__RegisterReply body;
    Pywatt__V1__Response message;
    char *features[] = {borrow(pw_feature_name(PW_FEATURE_HEARTBEAT_BATCH))};
    pw_arena_init_with(&arena, BUDGET_BYTES, storage, sizeof(storage));
    pywatt__v1__register_reply__init(&body);
    pywatt__v1__response__init(&message);
    enum pywatt_status status = PYWATT_OK;
    if (build_registered(&arena, response->registration, &info, &body)) {
        if (response->has_request_id) {
            message.request_id = borrow_id(&response->request_id);
        }
        message.reply_case = PYWATT__V1__RESPONSE__REPLY_REGISTRATION;
        message.registration = &body;
        if ((response->features & PW_FEATURE_HEARTBEAT_BATCH) != 0) {
            message.features = features;
            message.n_features = 1;
        }
        status = pack(&message.base, out, error);
    } else {
        status = not_built(&arena, error);
    }
    pw_arena_destroy(&arena);
    return status;
}

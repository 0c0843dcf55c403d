/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf_read.c - registrations and capabilities, unpacked by protobuf-c into the arena and then
 * copied into objects of the model. No state; any thread.
 *
 * The payload has passed the scan, so texts are UTF-8, ids have 16 bytes and numbers are in range;
 * what is left to check is what must be there, and the model's bounds. As in the scan, errors do not
 * call the field `auth` by its name.
 */
#include "base/error.h"
#include "codec/protobuf_codec.h"
#include "model/capabilities.h"
#include "model/module_info.h"
#include "model/registration.h"
#include "model/string_map.h"

#include <pywatt/v1/registration.pb-c.h>

/* ---- The arena as protobuf-c's allocator --------------------------------------------------- */

static void *allocate(void *arena, size_t size)
{
    return pw_arena_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
    (void)arena; /* all goes at once, when the arena is reset */
    (void)memory;
}

static ProtobufCAllocator allocator_of(struct pw_arena *arena)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = arena};
}

enum pywatt_status pw_protobuf_arena_error(const struct pw_arena *arena, struct pywatt_error *error)
{
    if (arena->exhausted) {
        return pw_error_set(error, PYWATT_LIMIT,
                            "reading the message takes more than %zu bytes of memory, the limit",
                            arena->budget);
    }
    return pw_error_no_memory(error);
}

/* ---- Errors ------------------------------------------------------------------------------- */

static enum pywatt_status missing(const char *place, struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_SERIALIZATION, "%s is missing", place);
}

/* The status of a setter of the model as that of a decoder. */
static enum pywatt_status from_model(enum pywatt_status status, const char *place,
                                     struct pywatt_error *error)
{
    switch (status) {
    case PYWATT_OK: return PYWATT_OK;
    case PYWATT_NO_MEMORY: return pw_error_no_memory(error);
    case PYWATT_LIMIT: return pw_error_set(error, status, "%s is too long or too many", place);
    case PYWATT_INVALID_ARGUMENT:
        return pw_error_set(error, PYWATT_SERIALIZATION, "%s must not be empty", place);
    default: return pw_error_set(error, PYWATT_SERIALIZATION, "%s cannot be used", place);
    }
}

static enum pywatt_status read_id(const ProtobufCBinaryData *bytes, const char *place,
                                  struct pywatt_uuid *out, struct pywatt_error *error)
{
    if (bytes->len != sizeof(out->bytes)) {
        return missing(place, error);
    }
    memcpy(out->bytes, bytes->data, sizeof(out->bytes));
    return PYWATT_OK;
}

static enum pywatt_status check_text(const char *text, size_t max, bool may_be_empty,
                                     const char *place, struct pywatt_error *error)
{
    const size_t len = strlen(text);
    if (len == 0 && !may_be_empty) {
        return missing(place, error);
    }
    return from_model(len > max ? PYWATT_LIMIT : PYWATT_OK, place, error);
}

/* ---- Maps --------------------------------------------------------------------------------- */

typedef enum pywatt_status (*setter)(void *target, struct pw_str key, struct pw_str value);
typedef const struct pywatt_string_map *(*getter)(const void *target);

static enum pywatt_status read_pairs(Pywatt__V1__Pair *const *pairs, size_t count, setter set,
                                     getter get, void *target, const char *place,
                                     struct pywatt_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const enum pywatt_status status =
            set(target, pw_str_from(pairs[i]->key), pw_str_from(pairs[i]->value));
        if (status != PYWATT_OK) {
            return from_model(status, place, error);
        }
        if (pywatt_string_map_count(get(target)) != i + 1) {
            return pw_error_set(error, PYWATT_SERIALIZATION, "%s has a key twice", place);
        }
    }
    return PYWATT_OK;
}

static enum pywatt_status set_info_metadata(void *info, struct pw_str key, struct pw_str value)
{
    return pw_module_info_set_metadata(info, key, value);
}

static const struct pywatt_string_map *get_info_metadata(const void *info)
{
    return pywatt_module_info_metadata(info);
}

static enum pywatt_status set_endpoint_metadata(void *endpoint, struct pw_str key,
                                                struct pw_str value)
{
    return pw_endpoint_set_metadata(endpoint, key, value);
}

static const struct pywatt_string_map *get_endpoint_metadata(const void *endpoint)
{
    return pywatt_endpoint_metadata(endpoint);
}

static enum pywatt_status set_additional(void *capabilities, struct pw_str key, struct pw_str json)
{
    return pw_capabilities_set_json(capabilities, key, json);
}

static const struct pywatt_string_map *get_additional(const void *capabilities)
{
    return pywatt_capabilities_additional(capabilities);
}

static enum pywatt_status set_env(void *registration, struct pw_str key, struct pw_str value)
{
    return pw_string_map_put(&((struct pywatt_registration *)registration)->env, key, value);
}

static const struct pywatt_string_map *get_env(const void *registration)
{
    return pywatt_registration_env(registration);
}

static enum pywatt_status set_data(void *registration, struct pw_str key, struct pw_str json)
{
    return pw_string_map_put_json(&((struct pywatt_registration *)registration)->additional_data,
                                  key, json);
}

static const struct pywatt_string_map *get_data(const void *registration)
{
    return pywatt_registration_additional_data(registration);
}

/* ---- Module info -------------------------------------------------------------------------- */

static enum pywatt_status check_info(const Pywatt__V1__ModuleInfo *from, struct pywatt_error *error)
{
    enum pywatt_status status =
        check_text(from->name, PYWATT_NAME_MAX, false, "registration.info.name", error);
    if (status == PYWATT_OK) {
        status =
            check_text(from->version, PYWATT_VERSION_MAX, true, "registration.info.version", error);
    }
    if (status == PYWATT_OK) {
        status = check_text(from->description, PYWATT_DESCRIPTION_MAX, true,
                            "registration.info.description", error);
    }
    return status;
}

static enum pywatt_status fill_info(const Pywatt__V1__ModuleInfo *from,
                                    struct pywatt_module_info *info, struct pywatt_error *error)
{
    if (from->id.len > 0) {
        struct pywatt_uuid id;
        enum pywatt_status status = read_id(&from->id, "registration.info.id", &id, error);
        if (status == PYWATT_OK && pywatt_module_info_set_id(info, &id) != PYWATT_OK) {
            status =
                pw_error_set(error, PYWATT_SERIALIZATION, "registration.info.id must not be nil");
        }
        if (status != PYWATT_OK) {
            return status;
        }
    }
    return read_pairs(from->metadata, from->n_metadata, set_info_metadata, get_info_metadata, info,
                      "registration.info.metadata", error);
}

static enum pywatt_status read_info(const Pywatt__V1__ModuleInfo *from,
                                    struct pywatt_module_info **out, struct pywatt_error *error)
{
    if (from == NULL) {
        return missing("registration.info", error);
    }
    struct pywatt_module_info *info = NULL;
    enum pywatt_status status = check_info(from, error);
    if (status == PYWATT_OK) {
        status =
            from_model(pywatt_module_info_new(from->name, from->version, from->description, &info),
                       "registration.info", error);
    }
    if (status == PYWATT_OK) {
        status = fill_info(from, info, error);
    }
    if (status != PYWATT_OK) {
        pywatt_module_info_free(info);
        return status;
    }
    *out = info;
    return PYWATT_OK;
}

enum pywatt_status pw_protobuf_read_register(struct pw_span body, struct pw_arena *arena,
                                             struct pw_request *message, struct pywatt_error *error)
{
    ProtobufCAllocator allocator = allocator_of(arena);
    const Pywatt__V1__RegisterRequest *from =
        pywatt__v1__register_request__unpack(&allocator, body.len, body.data);
    if (from == NULL) {
        return pw_protobuf_arena_error(arena, error);
    }
    const enum pywatt_status status =
        check_text(from->token, PYWATT_TOKEN_MAX, true, "registration.token", error);
    message->token = pw_str_from(from->token);
    message->can_wait = from->can_wait;
    return status == PYWATT_OK ? read_info(from->info, &message->info, error) : status;
}

/* ---- Capabilities ------------------------------------------------------------------------- */

static enum pywatt_status fill_endpoint(const Pywatt__V1__Endpoint *from,
                                        struct pywatt_endpoint *endpoint,
                                        struct pywatt_error *error)
{
    enum pywatt_status status = PYWATT_OK;
    for (size_t i = 0; i < from->n_methods && status == PYWATT_OK; i++) {
        status = from_model(pw_endpoint_add_method(endpoint, pw_str_from(from->methods[i])),
                            "capabilities.endpoints.methods", error);
    }
    if (status == PYWATT_OK && from->scheme_case == PYWATT__V1__ENDPOINT__SCHEME_AUTH) {
        status = from_model(pw_endpoint_set_auth(endpoint, pw_str_from(from->auth)),
                            "capabilities.endpoints.scheme", error);
    }
    if (status == PYWATT_OK) {
        status =
            read_pairs(from->metadata, from->n_metadata, set_endpoint_metadata,
                       get_endpoint_metadata, endpoint, "capabilities.endpoints.metadata", error);
    }
    return status;
}

static enum pywatt_status read_endpoint(const Pywatt__V1__Endpoint *from,
                                        struct pywatt_capabilities *capabilities,
                                        struct pywatt_error *error)
{
    struct pywatt_endpoint *endpoint = NULL;
    enum pywatt_status status = from_model(pw_endpoint_new(pw_str_from(from->path), &endpoint),
                                           "capabilities.endpoints.path", error);
    if (status == PYWATT_OK) {
        status = fill_endpoint(from, endpoint, error);
    }
    if (status == PYWATT_OK) {
        status = from_model(pw_capabilities_take_endpoint(capabilities, endpoint),
                            "capabilities.endpoints", error);
    }
    if (status != PYWATT_OK) {
        pywatt_endpoint_free(endpoint);
    }
    return status;
}

static enum pywatt_status fill_capabilities(const Pywatt__V1__CapabilitiesRequest *from,
                                            struct pywatt_capabilities *capabilities,
                                            struct pywatt_error *error)
{
    enum pywatt_status status = PYWATT_OK;
    for (size_t i = 0; i < from->n_endpoints && status == PYWATT_OK; i++) {
        status = read_endpoint(from->endpoints[i], capabilities, error);
    }
    for (size_t i = 0; i < from->n_message_types && status == PYWATT_OK; i++) {
        const struct pw_str type = pw_str_from(from->message_types[i]);
        status = from_model(pw_capabilities_add_message_type(capabilities, type),
                            "capabilities.message_types", error);
    }
    if (status == PYWATT_OK) {
        status = read_pairs(from->additional, from->n_additional, set_additional, get_additional,
                            capabilities, "capabilities.additional", error);
    }
    return status;
}

enum pywatt_status pw_protobuf_read_capabilities(struct pw_span body, struct pw_arena *arena,
                                                 struct pw_request *message,
                                                 struct pywatt_error *error)
{
    ProtobufCAllocator allocator = allocator_of(arena);
    const Pywatt__V1__CapabilitiesRequest *from =
        pywatt__v1__capabilities_request__unpack(&allocator, body.len, body.data);
    if (from == NULL) {
        return pw_protobuf_arena_error(arena, error);
    }
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    if (capabilities == NULL) {
        return pw_error_no_memory(error);
    }
    const enum pywatt_status status = fill_capabilities(from, capabilities, error);
    if (status != PYWATT_OK) {
        pywatt_capabilities_free(capabilities);
        return status;
    }
    message->capabilities = capabilities;
    return PYWATT_OK;
}

/* ---- Register reply ----------------------------------------------------------------------- */

static enum pywatt_status fill_registration(const Pywatt__V1__RegisterReply *from,
                                            struct pywatt_registration *registration,
                                            struct pywatt_error *error)
{
    enum pywatt_status status = read_info(from->info, &registration->info, error);
    if (status == PYWATT_OK) {
        status = read_id(&from->id, "registration.id", &registration->id, error);
    }
    if (status == PYWATT_OK) {
        status = check_text(from->token, PYWATT_TOKEN_MAX, false, "registration.token", error);
    }
    if (status == PYWATT_OK) {
        status = from_model(pw_registration_set_token(registration, pw_str_from(from->token)),
                            "registration.token", error);
    }
    if (status == PYWATT_OK) {
        const struct pw_str host = pw_str_from(from->orchestrator_host);
        status = from_model(pw_registration_set_host(registration, host),
                            "registration.orchestrator_host", error);
    }
    registration->port = (uint16_t)from->orchestrator_port;
    if (status == PYWATT_OK) {
        status = read_pairs(from->env, from->n_env, set_env, get_env, registration,
                            "registration.env", error);
    }
    if (status == PYWATT_OK) {
        status = read_pairs(from->additional_data, from->n_additional_data, set_data, get_data,
                            registration, "registration.additional_data", error);
    }
    return status;
}

enum pywatt_status pw_protobuf_read_registered(struct pw_span body, struct pw_arena *arena,
                                               struct pw_response *message,
                                               struct pywatt_error *error)
{
    ProtobufCAllocator allocator = allocator_of(arena);
    const Pywatt__V1__RegisterReply *from =
        pywatt__v1__register_reply__unpack(&allocator, body.len, body.data);
    if (from == NULL) {
        return pw_protobuf_arena_error(arena, error);
    }
    struct pywatt_registration *registration = pw_registration_new();
    if (registration == NULL) {
        return pw_error_no_memory(error);
    }
    const enum pywatt_status status = fill_registration(from, registration, error);
    if (status != PYWATT_OK) {
        pywatt_registration_release(registration);
        return status;
    }
    pw_registration_seal(registration);
    message->registration = registration;
    return PYWATT_OK;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capabilities.c - what a module says it can do. No lock: one thread at a time.
 */
#include "model/capabilities.h"

#include "base/json_scan.h"
#include "model/string_map.h"
#include "model/text.h"
#include "model/text_list.h"

#include <stdlib.h>

enum {
    FIRST_ENDPOINTS = 4,

    /* What the parts count for, in the codec in which they have most elements. */
    ENDPOINT_ELEMENTS = 9, /* but for methods and metadata */
    PAIR_ELEMENTS = 3,
    ADDITIONAL_ELEMENTS = 2 /* but for the value's own */
};

struct pywatt_capabilities {
    struct pywatt_endpoint **endpoints;
    size_t endpoint_count;
    size_t endpoint_capacity;
    struct pw_text_list message_types;
    struct pywatt_string_map *additional; /* key to JSON text; NULL if there never was any */
    size_t elements;
};

_Static_assert(PYWATT_CAPABILITIES_MAX == PYWATT_MAP_ITEMS_MAX, "the map's bound is this one's");

struct pywatt_capabilities *pywatt_capabilities_new(void)
{
    return calloc(1, sizeof(struct pywatt_capabilities));
}

void pywatt_capabilities_free(struct pywatt_capabilities *capabilities)
{
    if (capabilities == NULL) {
        return;
    }
    for (size_t i = 0; i < capabilities->endpoint_count; i++) {
        pywatt_endpoint_free(capabilities->endpoints[i]);
    }
    free(capabilities->endpoints);
    pw_text_list_destroy(&capabilities->message_types);
    pywatt_string_map_free(capabilities->additional);
    free(capabilities);
}

/* ---- What they count for ------------------------------------------------------------------ */

static bool has_room(const struct pywatt_capabilities *capabilities, size_t elements)
{
    return elements <= PYWATT_ELEMENTS_MAX - capabilities->elements;
}

static size_t endpoint_elements(const struct pywatt_endpoint *endpoint)
{
    return ENDPOINT_ELEMENTS + pywatt_endpoint_method_count(endpoint) +
           PAIR_ELEMENTS * pywatt_string_map_count(pywatt_endpoint_metadata(endpoint));
}

static size_t additional_elements(struct pw_str json_text)
{
    return ADDITIONAL_ELEMENTS + pw_json_count(json_text);
}

/* ---- Setting ------------------------------------------------------------------------------ */

static enum pywatt_status set_endpoint_capacity(struct pywatt_capabilities *capabilities,
                                                size_t capacity)
{
    struct pywatt_endpoint **endpoints =
        realloc(capabilities->endpoints, capacity * sizeof(struct pywatt_endpoint *));
    if (endpoints == NULL) {
        return PYWATT_NO_MEMORY;
    }
    capabilities->endpoints = endpoints;
    capabilities->endpoint_capacity = capacity;
    return PYWATT_OK;
}

enum pywatt_status pw_capabilities_take_endpoint(struct pywatt_capabilities *capabilities,
                                                 struct pywatt_endpoint *endpoint)
{
    const size_t count = capabilities->endpoint_count;
    const size_t elements = endpoint_elements(endpoint);
    if (count == PYWATT_ENDPOINTS_MAX || !has_room(capabilities, elements)) {
        return PYWATT_LIMIT;
    }
    if (count == capabilities->endpoint_capacity) {
        const enum pywatt_status status =
            set_endpoint_capacity(capabilities, count == 0 ? FIRST_ENDPOINTS : count * 2);
        if (status != PYWATT_OK) {
            return status;
        }
    }
    capabilities->endpoints[count] = endpoint;
    capabilities->endpoint_count++;
    capabilities->elements += elements;
    return PYWATT_OK;
}

enum pywatt_status pywatt_capabilities_add_endpoint(struct pywatt_capabilities *capabilities,
                                                    const struct pywatt_endpoint *endpoint)
{
    if (capabilities == NULL || endpoint == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    struct pywatt_endpoint *copy = NULL;
    enum pywatt_status status = pywatt_endpoint_copy(endpoint, &copy);
    if (status == PYWATT_OK) {
        status = pw_capabilities_take_endpoint(capabilities, copy);
        if (status != PYWATT_OK) {
            pywatt_endpoint_free(copy);
        }
    }
    return status;
}

enum pywatt_status pywatt_capabilities_add_http_endpoint(struct pywatt_capabilities *capabilities,
                                                         const char *path,
                                                         const char *const *methods,
                                                         size_t method_count)
{
    if (capabilities == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    struct pywatt_endpoint *endpoint = NULL;
    enum pywatt_status status = pywatt_endpoint_new(path, methods, method_count, &endpoint);
    if (status == PYWATT_OK) {
        status = pw_capabilities_take_endpoint(capabilities, endpoint);
        if (status != PYWATT_OK) {
            pywatt_endpoint_free(endpoint);
        }
    }
    return status;
}

enum pywatt_status pw_capabilities_add_message_type(struct pywatt_capabilities *capabilities,
                                                    struct pw_str message_type)
{
    enum pywatt_status status = pw_text_check(message_type, PYWATT_NAME_MAX, true);
    if (status == PYWATT_OK && !has_room(capabilities, 1)) {
        status = PYWATT_LIMIT;
    }
    if (status == PYWATT_OK) {
        status =
            pw_text_list_add(&capabilities->message_types, message_type, PYWATT_MESSAGE_TYPES_MAX);
    }
    capabilities->elements += status == PYWATT_OK ? 1 : 0;
    return status;
}

enum pywatt_status pywatt_capabilities_add_message_type(struct pywatt_capabilities *capabilities,
                                                        const char *message_type)
{
    if (capabilities == NULL || message_type == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return pw_capabilities_add_message_type(capabilities, pw_str_from(message_type));
}

enum pywatt_status pw_capabilities_set_json(struct pywatt_capabilities *capabilities,
                                            struct pw_str key, struct pw_str json_text)
{
    struct pw_str old;
    const bool is_there = pw_string_map_find(capabilities->additional, key, &old);
    const size_t gone = is_there ? additional_elements(old) : 0;
    const size_t come = additional_elements(json_text);
    if (come > gone && !has_room(capabilities, come - gone)) {
        return PYWATT_LIMIT;
    }
    const enum pywatt_status status =
        pw_string_map_put_json(&capabilities->additional, key, json_text);
    if (status == PYWATT_OK) {
        capabilities->elements += come;
        capabilities->elements -= gone;
    }
    return status;
}

enum pywatt_status pywatt_capabilities_set_capability(struct pywatt_capabilities *capabilities,
                                                      const char *key, const char *json_text)
{
    if (capabilities == NULL || key == NULL || json_text == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return pw_capabilities_set_json(capabilities, pw_str_from(key), pw_str_from(json_text));
}

static enum pywatt_status copy_endpoints(const struct pywatt_capabilities *from,
                                         struct pywatt_capabilities *copy)
{
    enum pywatt_status status =
        from->endpoint_count == 0 ? PYWATT_OK : set_endpoint_capacity(copy, from->endpoint_count);
    for (size_t i = 0; status == PYWATT_OK && i < from->endpoint_count; i++) {
        status = pywatt_capabilities_add_endpoint(copy, from->endpoints[i]);
    }
    return status;
}

enum pywatt_status pywatt_capabilities_copy(const struct pywatt_capabilities *from,
                                            struct pywatt_capabilities **out)
{
    if (from == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    struct pywatt_capabilities *copy = pywatt_capabilities_new();
    if (copy == NULL) {
        return PYWATT_NO_MEMORY;
    }
    enum pywatt_status status = copy_endpoints(from, copy);
    if (status == PYWATT_OK) {
        status = pw_text_list_copy(&from->message_types, &copy->message_types);
    }
    if (status == PYWATT_OK) {
        status = pw_string_map_copy(from->additional, &copy->additional);
        copy->elements = from->elements;
    }
    if (status != PYWATT_OK) {
        pywatt_capabilities_free(copy);
        return status;
    }
    *out = copy;
    return PYWATT_OK;
}

static bool endpoints_equal(const struct pywatt_capabilities *a,
                            const struct pywatt_capabilities *b)
{
    if (a->endpoint_count != b->endpoint_count) {
        return false;
    }
    for (size_t i = 0; i < a->endpoint_count; i++) {
        if (!pywatt_endpoint_equal(a->endpoints[i], b->endpoints[i])) {
            return false;
        }
    }
    return true;
}

bool pywatt_capabilities_equal(const struct pywatt_capabilities *a,
                               const struct pywatt_capabilities *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return endpoints_equal(a, b) && pw_text_list_equal(&a->message_types, &b->message_types) &&
           pywatt_string_map_equal(a->additional, b->additional);
}

size_t pywatt_capabilities_endpoint_count(const struct pywatt_capabilities *capabilities)
{
    return capabilities == NULL ? 0 : capabilities->endpoint_count;
}

const struct pywatt_endpoint *
pywatt_capabilities_endpoint(const struct pywatt_capabilities *capabilities, size_t index)
{
    return index < pywatt_capabilities_endpoint_count(capabilities) ? capabilities->endpoints[index]
                                                                    : NULL;
}

size_t pywatt_capabilities_message_type_count(const struct pywatt_capabilities *capabilities)
{
    return capabilities == NULL ? 0 : capabilities->message_types.count;
}

const char *pywatt_capabilities_message_type(const struct pywatt_capabilities *capabilities,
                                             size_t index)
{
    return capabilities == NULL ? NULL : pw_text_list_at(&capabilities->message_types, index);
}

const char *pywatt_capabilities_capability(const struct pywatt_capabilities *capabilities,
                                           const char *key)
{
    return capabilities == NULL ? NULL : pywatt_string_map_get(capabilities->additional, key);
}

const struct pywatt_string_map *
pywatt_capabilities_additional(const struct pywatt_capabilities *capabilities)
{
    return capabilities == NULL ? NULL : pw_string_map_or_null(capabilities->additional);
}

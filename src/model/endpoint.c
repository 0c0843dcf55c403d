/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * endpoint.c - one HTTP endpoint of a module. No lock: one thread at a time.
 */
#include "model/capabilities.h"
#include "model/string_map.h"
#include "model/text.h"
#include "model/text_list.h"

#include <stdlib.h>
#include <string.h>

struct pywatt_endpoint {
    struct pw_text_list methods;
    char *auth;                         /* NULL if none was set */
    struct pywatt_string_map *metadata; /* NULL if there never was any */
    char path[];
};

enum pywatt_status pw_endpoint_new(struct pw_str path, struct pywatt_endpoint **out)
{
    const enum pywatt_status status = pw_text_check(path, PYWATT_PATH_MAX, false);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_endpoint *endpoint = calloc(1, sizeof(*endpoint) + path.len + 1);
    if (endpoint == NULL) {
        return PYWATT_NO_MEMORY;
    }
    memcpy(endpoint->path, path.data, path.len);
    *out = endpoint;
    return PYWATT_OK;
}

enum pywatt_status pw_endpoint_add_method(struct pywatt_endpoint *endpoint, struct pw_str method)
{
    const enum pywatt_status status = pw_text_check(method, PYWATT_METHOD_MAX, false);
    return status == PYWATT_OK ? pw_text_list_add(&endpoint->methods, method, PYWATT_METHODS_MAX)
                               : status;
}

static enum pywatt_status add_methods(struct pywatt_endpoint *endpoint, const char *const *methods,
                                      size_t method_count)
{
    for (size_t i = 0; i < method_count; i++) {
        if (methods[i] == NULL) {
            return PYWATT_INVALID_ARGUMENT;
        }
        const enum pywatt_status status = pw_endpoint_add_method(endpoint, pw_str_from(methods[i]));
        if (status != PYWATT_OK) {
            return status;
        }
    }
    return PYWATT_OK;
}

enum pywatt_status pywatt_endpoint_new(const char *path, const char *const *methods,
                                       size_t method_count, struct pywatt_endpoint **out)
{
    if (path == NULL || (methods == NULL && method_count > 0) || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    struct pywatt_endpoint *endpoint = NULL;
    enum pywatt_status status = pw_endpoint_new(pw_str_from(path), &endpoint);
    if (status != PYWATT_OK) {
        return status;
    }
    status = add_methods(endpoint, methods, method_count);
    if (status != PYWATT_OK) {
        pywatt_endpoint_free(endpoint);
        return status;
    }
    *out = endpoint;
    return PYWATT_OK;
}

void pywatt_endpoint_free(struct pywatt_endpoint *endpoint)
{
    if (endpoint != NULL) {
        pw_text_list_destroy(&endpoint->methods);
        pywatt_string_map_free(endpoint->metadata);
        free(endpoint->auth);
        free(endpoint);
    }
}

static enum pywatt_status copy_parts(const struct pywatt_endpoint *from,
                                     struct pywatt_endpoint *copy)
{
    enum pywatt_status status = pw_text_list_copy(&from->methods, &copy->methods);
    if (status == PYWATT_OK) {
        status = pw_string_map_copy(from->metadata, &copy->metadata);
    }
    if (status == PYWATT_OK && from->auth != NULL) {
        copy->auth = pw_text_copy(pw_str_from(from->auth));
        status = copy->auth == NULL ? PYWATT_NO_MEMORY : PYWATT_OK;
    }
    return status;
}

enum pywatt_status pywatt_endpoint_copy(const struct pywatt_endpoint *endpoint,
                                        struct pywatt_endpoint **out)
{
    if (endpoint == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    struct pywatt_endpoint *copy = NULL;
    enum pywatt_status status = pw_endpoint_new(pw_str_from(endpoint->path), &copy);
    if (status != PYWATT_OK) {
        return status;
    }
    status = copy_parts(endpoint, copy);
    if (status != PYWATT_OK) {
        pywatt_endpoint_free(copy);
        return status;
    }
    *out = copy;
    return PYWATT_OK;
}

static bool schemes_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool pywatt_endpoint_equal(const struct pywatt_endpoint *a, const struct pywatt_endpoint *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return strcmp(a->path, b->path) == 0 && pw_text_list_equal(&a->methods, &b->methods) &&
           schemes_equal(a->auth, b->auth) && pywatt_string_map_equal(a->metadata, b->metadata);
}

enum pywatt_status pw_endpoint_set_auth(struct pywatt_endpoint *endpoint, struct pw_str scheme)
{
    const enum pywatt_status status = pw_text_check(scheme, PYWATT_NAME_MAX, true);
    if (status != PYWATT_OK) {
        return status;
    }
    char *auth = pw_text_copy(scheme);
    if (auth == NULL) {
        return PYWATT_NO_MEMORY;
    }
    free(endpoint->auth);
    endpoint->auth = auth;
    return PYWATT_OK;
}

enum pywatt_status pywatt_endpoint_set_auth(struct pywatt_endpoint *endpoint,
                                            const char *auth_scheme)
{
    if (endpoint == NULL || auth_scheme == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return pw_endpoint_set_auth(endpoint, pw_str_from(auth_scheme));
}

enum pywatt_status pw_endpoint_set_metadata(struct pywatt_endpoint *endpoint, struct pw_str key,
                                            struct pw_str value)
{
    return pw_string_map_put(&endpoint->metadata, key, value);
}

enum pywatt_status pywatt_endpoint_set_metadata(struct pywatt_endpoint *endpoint, const char *key,
                                                const char *value)
{
    if (endpoint == NULL || key == NULL || value == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return pw_endpoint_set_metadata(endpoint, pw_str_from(key), pw_str_from(value));
}

const char *pywatt_endpoint_path(const struct pywatt_endpoint *endpoint)
{
    return endpoint == NULL ? NULL : endpoint->path;
}

size_t pywatt_endpoint_method_count(const struct pywatt_endpoint *endpoint)
{
    return endpoint == NULL ? 0 : endpoint->methods.count;
}

const char *pywatt_endpoint_method(const struct pywatt_endpoint *endpoint, size_t index)
{
    return endpoint == NULL ? NULL : pw_text_list_at(&endpoint->methods, index);
}

const char *pywatt_endpoint_auth(const struct pywatt_endpoint *endpoint)
{
    return endpoint == NULL ? NULL : endpoint->auth;
}

const struct pywatt_string_map *pywatt_endpoint_metadata(const struct pywatt_endpoint *endpoint)
{
    return endpoint == NULL ? NULL : pw_string_map_or_null(endpoint->metadata);
}

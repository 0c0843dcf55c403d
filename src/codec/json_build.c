/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_build.c - registrations and capabilities as cJSON trees, printed to the message. No state;
 * any thread. Not for beats.
 *
 * A function that adds to a tree returns false when memory is out; the tree's maker then deletes
 * all of it. Values that may be any JSON are put in as they are spelled: they are not parsed again.
 */
#include "codec/json_build.h"

#include <cjson/cJSON.h>

/* ---- Members ------------------------------------------------------------------------------ */

/* Adds `item`, which is consumed; false if it is NULL or cannot be added. */
static bool add(cJSON *object, const char *key, cJSON *item)
{
    if (item != NULL && cJSON_AddItemToObject(object, key, item)) {
        return true;
    }
    cJSON_Delete(item);
    return false;
}

static bool append(cJSON *array, cJSON *item)
{
    if (item != NULL && cJSON_AddItemToArray(array, item)) {
        return true;
    }
    cJSON_Delete(item);
    return false;
}

static bool add_text(cJSON *object, const char *key, const char *text)
{
    return add(object, key, cJSON_CreateString(text));
}

static bool add_uuid(cJSON *object, const char *key, const struct pywatt_uuid *uuid)
{
    char text[PYWATT_UUID_TEXT_SIZE];
    pywatt_uuid_format(uuid, text);
    return add_text(object, key, text);
}

/* What stands for an absent member: null in the Python form, nothing in the other. */
static bool add_absent(cJSON *object, const char *key, enum pw_json_form form)
{
    return form == PW_JSON_RUST || add(object, key, cJSON_CreateNull());
}

static bool fill_from_map(cJSON *object, const struct pywatt_string_map *map, bool values_are_json)
{
    const char *key = NULL;
    const char *value = NULL;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        if (!add(object, key,
                 values_are_json ? cJSON_CreateRaw(value) : cJSON_CreateString(value))) {
            return false;
        }
    }
    return true;
}

/* Adds a map as an object; NULL and an empty one are absent. */
static bool add_map(cJSON *object, const char *key, const struct pywatt_string_map *map,
                    bool values_are_json, enum pw_json_form form)
{
    if (pywatt_string_map_count(map) == 0) {
        return add_absent(object, key, form);
    }
    cJSON *child = cJSON_CreateObject();
    if (child != NULL && !fill_from_map(child, map, values_are_json)) {
        cJSON_Delete(child);
        child = NULL;
    }
    return add(object, key, child);
}

/* ---- Objects ------------------------------------------------------------------------------ */

static bool fill_info(cJSON *object, const struct pywatt_module_info *info, enum pw_json_form form)
{
    const struct pywatt_uuid *id = pywatt_module_info_id(info);
    return add_text(object, "name", pywatt_module_info_name(info)) &&
           add_text(object, "version", pywatt_module_info_version(info)) &&
           add_text(object, "description", pywatt_module_info_description(info)) &&
           (id == NULL ? add_absent(object, "id", form) : add_uuid(object, "id", id)) &&
           add_map(object, "metadata", pywatt_module_info_metadata(info), false, form);
}

static cJSON *build_info(const struct pywatt_module_info *info, enum pw_json_form form)
{
    cJSON *object = cJSON_CreateObject();
    if (object != NULL && !fill_info(object, info, form)) {
        cJSON_Delete(object);
        object = NULL;
    }
    return object;
}

static cJSON *build_methods(const struct pywatt_endpoint *endpoint)
{
    cJSON *array = cJSON_CreateArray();
    const size_t count = pywatt_endpoint_method_count(endpoint);
    for (size_t i = 0; array != NULL && i < count; i++) {
        if (!append(array, cJSON_CreateString(pywatt_endpoint_method(endpoint, i)))) {
            cJSON_Delete(array);
            array = NULL;
        }
    }
    return array;
}

static bool fill_endpoint(cJSON *object, const struct pywatt_endpoint *endpoint,
                          enum pw_json_form form)
{
    const char *scheme = pywatt_endpoint_auth(endpoint);
    return add_text(object, "path", pywatt_endpoint_path(endpoint)) &&
           add(object, "methods", build_methods(endpoint)) &&
           (scheme == NULL ? add_absent(object, "auth", form) : add_text(object, "auth", scheme)) &&
           add_map(object, "metadata", pywatt_endpoint_metadata(endpoint), false, form);
}

static cJSON *build_endpoints(const struct pywatt_capabilities *capabilities,
                              enum pw_json_form form)
{
    cJSON *array = cJSON_CreateArray();
    const size_t count = pywatt_capabilities_endpoint_count(capabilities);
    for (size_t i = 0; array != NULL && i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        const bool filled =
            object != NULL &&
            fill_endpoint(object, pywatt_capabilities_endpoint(capabilities, i), form);
        if (!filled) {
            cJSON_Delete(object);
        }
        if (!filled || !append(array, object)) {
            cJSON_Delete(array);
            array = NULL;
        }
    }
    return array;
}

static cJSON *build_message_types(const struct pywatt_capabilities *capabilities)
{
    cJSON *array = cJSON_CreateArray();
    const size_t count = pywatt_capabilities_message_type_count(capabilities);
    for (size_t i = 0; array != NULL && i < count; i++) {
        const char *type = pywatt_capabilities_message_type(capabilities, i);
        if (!append(array, cJSON_CreateString(type))) {
            cJSON_Delete(array);
            array = NULL;
        }
    }
    return array;
}

static bool fill_capabilities(cJSON *object, const struct pywatt_capabilities *capabilities,
                              enum pw_json_form form)
{
    const bool types = pywatt_capabilities_message_type_count(capabilities) > 0;
    return add(object, "endpoints", build_endpoints(capabilities, form)) &&
           (types ? add(object, "message_types", build_message_types(capabilities))
                  : add_absent(object, "message_types", form)) &&
           add_map(object, "additional_capabilities", pywatt_capabilities_additional(capabilities),
                   true, form);
}

static bool fill_registration(cJSON *object, const struct pywatt_registration *registration,
                              enum pw_json_form form)
{
    return add(object, "info", build_info(pywatt_registration_info(registration), form)) &&
           add_uuid(object, "id", pywatt_registration_id(registration)) &&
           add_text(object, "token", pywatt_registration_token(registration)) &&
           add_text(object, "orchestrator_host",
                    pywatt_registration_orchestrator_host(registration)) &&
           add(object, "orchestrator_port",
               cJSON_CreateNumber(pywatt_registration_orchestrator_port(registration))) &&
           add_map(object, "env", pywatt_registration_env(registration), false, form) &&
           add_map(object, "additional_data", pywatt_registration_additional_data(registration),
                   true, form);
}

/* ---- Printing ----------------------------------------------------------------------------- */

/* Prints and deletes `tree`; NULL means that memory was out. */
static void put_tree(struct pw_json_out *out, cJSON *tree)
{
    char *text = tree == NULL ? NULL : cJSON_PrintUnformatted(tree);
    if (text != NULL) {
        pw_json_put_compact(out, pw_str_from(text));
    } else if (out->status == PYWATT_OK) {
        out->status = PYWATT_NO_MEMORY;
    }
    cJSON_free(text);
    cJSON_Delete(tree);
}

void pw_json_put_info(struct pw_json_out *out, const struct pywatt_module_info *info)
{
    put_tree(out, build_info(info, out->form));
}

void pw_json_put_capabilities(struct pw_json_out *out,
                              const struct pywatt_capabilities *capabilities)
{
    cJSON *object = cJSON_CreateObject();
    if (object != NULL && !fill_capabilities(object, capabilities, out->form)) {
        cJSON_Delete(object);
        object = NULL;
    }
    put_tree(out, object);
}

void pw_json_put_registration(struct pw_json_out *out,
                              const struct pywatt_registration *registration)
{
    cJSON *object = cJSON_CreateObject();
    if (object != NULL && !fill_registration(object, registration, out->form)) {
        cJSON_Delete(object);
        object = NULL;
    }
    put_tree(out, object);
}

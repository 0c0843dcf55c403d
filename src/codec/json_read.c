/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_read.c - texts, maps, module info and registrations out of a scanned JSON text. No state;
 * any thread.
 */
#include "codec/json_read.h"

#include "base/error.h"
#include "model/module_info.h"
#include "model/registration.h"
#include "model/string_map.h"

/* ---- Texts and maps ----------------------------------------------------------------------- */

enum pywatt_status pw_json_read_bounded(const struct pw_json_doc *doc,
                                        const struct pw_json_place *in, const char *name,
                                        uint32_t token, size_t max, bool may_be_empty,
                                        struct pw_str *out)
{
    enum pywatt_status status = pw_json_text(doc, in, name, token, out);
    if (status != PYWATT_OK) {
        return status;
    }
    if (out->len == 0 && !may_be_empty) {
        status = PYWATT_INVALID_ARGUMENT;
    } else if (out->len > max) {
        status = PYWATT_LIMIT;
    }
    return pw_json_from_model(doc, in, name, status);
}

/* The exact characters of a value of any type. */
static struct pw_str raw_value(const struct pw_json_doc *doc, uint32_t token)
{
    const struct pw_json_token *value = &doc->tokens[token];
    return (struct pw_str){(const char *)doc->text.data + value->offset, value->len};
}

static enum pywatt_status read_entry(const struct pw_json_doc *doc,
                                     const struct pw_json_place *entry, uint32_t key_token,
                                     const struct pw_json_map *map, void *target)
{
    struct pw_str key;
    struct pw_str value;
    enum pywatt_status status = pw_json_text(doc, entry, NULL, key_token, &key);
    if (status == PYWATT_OK && map->any_json) {
        value = raw_value(doc, key_token + 1);
    } else if (status == PYWATT_OK) {
        status = pw_json_text(doc, entry, NULL, key_token + 1, &value);
    }
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, entry, NULL, map->set(target, key, value));
    }
    return status;
}

enum pywatt_status pw_json_read_entries(const struct pw_json_doc *doc,
                                        const struct pw_json_place *in, const char *name,
                                        uint32_t token, const struct pw_json_map *map, void *target)
{
    enum pywatt_status status = pw_json_expect(doc, in, name, token, PW_JSON_OBJECT);
    if (status != PYWATT_OK) {
        return status;
    }
    const struct pw_json_place here = {.in = in, .name = name};
    struct pw_json_place entry = {.in = &here};
    const uint32_t end = doc->tokens[token].next;
    for (uint32_t key = token + 1; key < end && status == PYWATT_OK;
         key = doc->tokens[key + 1].next) {
        status = read_entry(doc, &entry, key, map, target);
        entry.index++;
        /* A key that was there got the new value, and the map did not grow. */
        if (status == PYWATT_OK && pywatt_string_map_count(map->get(target)) != entry.index) {
            status = pw_json_wrong(doc, &here, NULL, PYWATT_SERIALIZATION, "has a key twice");
        }
    }
    return status;
}

static enum pywatt_status set_in_map(void *map, struct pw_str key, struct pw_str value)
{
    return pw_string_map_set(map, key, value);
}

static const struct pywatt_string_map *get_map(const void *map)
{
    return map;
}

const struct pw_json_map pw_json_string_map = {.set = set_in_map, .get = get_map};

/* ---- Module info -------------------------------------------------------------------------- */

enum info_field {
    INFO_NAME,
    INFO_VERSION,
    INFO_DESCRIPTION,
    INFO_ID,
    INFO_METADATA,
    INFO_FIELDS
};

static const struct pw_str info_keys[INFO_FIELDS] = {
    [INFO_NAME] = PW_JSON_KEY("name"),
    [INFO_VERSION] = PW_JSON_KEY("version"),
    [INFO_DESCRIPTION] = PW_JSON_KEY("description"),
    [INFO_ID] = PW_JSON_KEY("id"),
    [INFO_METADATA] = PW_JSON_KEY("metadata"),
};

static enum pywatt_status read_info_texts(const struct pw_json_doc *doc,
                                          const struct pw_json_place *here,
                                          const uint32_t fields[INFO_FIELDS],
                                          struct pywatt_module_info **out)
{
    struct pw_str name;
    struct pw_str version;
    struct pw_str description;
    enum pywatt_status status =
        pw_json_read_bounded(doc, here, "name", fields[INFO_NAME], PYWATT_NAME_MAX, false, &name);
    if (status == PYWATT_OK) {
        status = pw_json_read_bounded(doc, here, "version", fields[INFO_VERSION],
                                      PYWATT_VERSION_MAX, true, &version);
    }
    if (status == PYWATT_OK) {
        status = pw_json_read_bounded(doc, here, "description", fields[INFO_DESCRIPTION],
                                      PYWATT_DESCRIPTION_MAX, true, &description);
    }
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, here, NULL,
                                    pw_module_info_new(name, version, description, out));
    }
    return status;
}

static enum pywatt_status set_info_metadata(void *info, struct pw_str key, struct pw_str value)
{
    return pw_module_info_set_metadata(info, key, value);
}

static const struct pywatt_string_map *get_info_metadata(const void *info)
{
    return pywatt_module_info_metadata(info);
}

static const struct pw_json_map info_metadata = {.set = set_info_metadata,
                                                 .get = get_info_metadata};

static enum pywatt_status read_info_options(const struct pw_json_doc *doc,
                                            const struct pw_json_place *here,
                                            const uint32_t fields[INFO_FIELDS],
                                            struct pywatt_module_info *info)
{
    enum pywatt_status status = PYWATT_OK;
    if (fields[INFO_ID] != PW_JSON_ABSENT) {
        struct pywatt_uuid id;
        status = pw_json_uuid(doc, here, "id", fields[INFO_ID], &id);
        if (status == PYWATT_OK && pywatt_uuid_is_nil(&id)) {
            status = pw_json_wrong(doc, here, "id", PYWATT_SERIALIZATION, "must not be nil");
        }
        if (status == PYWATT_OK) {
            status = pywatt_module_info_set_id(info, &id);
        }
    }
    if (status == PYWATT_OK && fields[INFO_METADATA] != PW_JSON_ABSENT) {
        status = pw_json_read_entries(doc, here, "metadata", fields[INFO_METADATA], &info_metadata,
                                      info);
    }
    return status;
}

enum pywatt_status pw_json_read_info(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                     const char *name, uint32_t token,
                                     struct pywatt_module_info **out)
{
    enum pywatt_status status = pw_json_expect(doc, in, name, token, PW_JSON_OBJECT);
    if (status != PYWATT_OK) {
        return status;
    }
    const struct pw_json_place here = {.in = in, .name = name};
    uint32_t fields[INFO_FIELDS];
    struct pywatt_module_info *info = NULL;
    pw_json_find(doc, token, info_keys, INFO_FIELDS, fields);
    status = read_info_texts(doc, &here, fields, &info);
    if (status == PYWATT_OK) {
        status = read_info_options(doc, &here, fields, info);
    }
    if (status != PYWATT_OK) {
        pywatt_module_info_free(info);
        return status;
    }
    *out = info;
    return PYWATT_OK;
}

/* ---- Registration ------------------------------------------------------------------------- */

enum module_field {
    MODULE_INFO,
    MODULE_ID,
    MODULE_TOKEN,
    MODULE_HOST,
    MODULE_PORT,
    MODULE_ENV,
    MODULE_DATA,
    MODULE_FIELDS
};

static const struct pw_str module_keys[MODULE_FIELDS] = {
    [MODULE_INFO] = PW_JSON_KEY("info"),
    [MODULE_ID] = PW_JSON_KEY("id"),
    [MODULE_TOKEN] = PW_JSON_KEY("token"),
    [MODULE_HOST] = PW_JSON_KEY("orchestrator_host"),
    [MODULE_PORT] = PW_JSON_KEY("orchestrator_port"),
    [MODULE_ENV] = PW_JSON_KEY("env"),
    [MODULE_DATA] = PW_JSON_KEY("additional_data"),
};

static enum pywatt_status read_token_and_host(const struct pw_json_doc *doc,
                                              const struct pw_json_place *here,
                                              const uint32_t fields[MODULE_FIELDS],
                                              struct pywatt_registration *registration)
{
    struct pw_str token;
    struct pw_str host;
    enum pywatt_status status = pw_json_read_bounded(doc, here, "token", fields[MODULE_TOKEN],
                                                     PYWATT_TOKEN_MAX, false, &token);
    if (status == PYWATT_OK) {
        status = pw_json_read_bounded(doc, here, "orchestrator_host", fields[MODULE_HOST],
                                      PYWATT_HOST_MAX, true, &host);
    }
    if (status == PYWATT_OK) {
        status =
            pw_json_from_model(doc, here, "token", pw_registration_set_token(registration, token));
    }
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, here, "orchestrator_host",
                                    pw_registration_set_host(registration, host));
    }
    return status;
}

static enum pywatt_status set_env(void *registration, struct pw_str key, struct pw_str value)
{
    return pw_string_map_put(&((struct pywatt_registration *)registration)->env, key, value);
}

static const struct pywatt_string_map *get_env(const void *registration)
{
    return pywatt_registration_env(registration);
}

static enum pywatt_status set_data(void *registration, struct pw_str key, struct pw_str json_text)
{
    return pw_string_map_put_json(&((struct pywatt_registration *)registration)->additional_data,
                                  key, json_text);
}

static const struct pywatt_string_map *get_data(const void *registration)
{
    return pywatt_registration_additional_data(registration);
}

static const struct pw_json_map env_map = {.set = set_env, .get = get_env};
static const struct pw_json_map data_map = {.set = set_data, .get = get_data, .any_json = true};

static enum pywatt_status read_registration_maps(const struct pw_json_doc *doc,
                                                 const struct pw_json_place *here,
                                                 const uint32_t fields[MODULE_FIELDS],
                                                 struct pywatt_registration *registration)
{
    enum pywatt_status status = PYWATT_OK;
    if (fields[MODULE_ENV] != PW_JSON_ABSENT) {
        status = pw_json_read_entries(doc, here, "env", fields[MODULE_ENV], &env_map, registration);
    }
    if (status == PYWATT_OK && fields[MODULE_DATA] != PW_JSON_ABSENT) {
        status = pw_json_read_entries(doc, here, "additional_data", fields[MODULE_DATA], &data_map,
                                      registration);
    }
    return status;
}

static enum pywatt_status fill_registration(const struct pw_json_doc *doc,
                                            const struct pw_json_place *here,
                                            const uint32_t fields[MODULE_FIELDS],
                                            struct pywatt_registration *registration)
{
    uint64_t port = 0;
    enum pywatt_status status =
        pw_json_read_info(doc, here, "info", fields[MODULE_INFO], &registration->info);
    if (status == PYWATT_OK) {
        status = pw_json_uuid(doc, here, "id", fields[MODULE_ID], &registration->id);
    }
    if (status == PYWATT_OK) {
        status = read_token_and_host(doc, here, fields, registration);
    }
    if (status == PYWATT_OK) {
        status = pw_json_whole(doc, here, "orchestrator_port", fields[MODULE_PORT], UINT16_MAX,
                               false, &port);
    }
    registration->port = (uint16_t)port;
    if (status == PYWATT_OK) {
        status = read_registration_maps(doc, here, fields, registration);
    }
    return status;
}

enum pywatt_status pw_json_read_registration(const struct pw_json_doc *doc,
                                             const struct pw_json_place *in, const char *name,
                                             uint32_t token, struct pywatt_registration **out)
{
    enum pywatt_status status = pw_json_expect(doc, in, name, token, PW_JSON_OBJECT);
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_registration *registration = pw_registration_new();
    if (registration == NULL) {
        return pw_error_no_memory(doc->error);
    }
    const struct pw_json_place here = {.in = in, .name = name};
    uint32_t fields[MODULE_FIELDS];
    pw_json_find(doc, token, module_keys, MODULE_FIELDS, fields);
    status = fill_registration(doc, &here, fields, registration);
    if (status != PYWATT_OK) {
        pywatt_registration_release(registration);
        return status;
    }
    pw_registration_seal(registration);
    *out = registration;
    return PYWATT_OK;
}

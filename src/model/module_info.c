/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module_info.c - the basic facts of a module. No lock: one thread at a time.
 *
 * An orchestrator may hold very many of these, so the three texts, which never change, stand in one
 * allocation with the object.
 */
#include "model/module_info.h"

#include "model/string_map.h"
#include "model/text.h"

#include <stdlib.h>
#include <string.h>

struct pywatt_module_info {
    struct pywatt_string_map *metadata; /* NULL if there never was any */
    struct pywatt_uuid id;
    uint16_t version_at; /* in texts; the name stands first */
    uint16_t description_at;
    bool has_id;
    char texts[];
};

_Static_assert(PYWATT_NAME_MAX + PYWATT_VERSION_MAX + 2 <= UINT16_MAX, "the offsets fit");

static char *put(char *to, struct pw_str text)
{
    if (text.len > 0) {
        memcpy(to, text.data, text.len);
    }
    to[text.len] = '\0';
    return to + text.len + 1;
}

enum pywatt_status pw_module_info_new(struct pw_str name, struct pw_str version,
                                      struct pw_str description, struct pywatt_module_info **out)
{
    enum pywatt_status status = pw_text_check(name, PYWATT_NAME_MAX, false);
    if (status == PYWATT_OK) {
        status = pw_text_check(version, PYWATT_VERSION_MAX, true);
    }
    if (status == PYWATT_OK) {
        status = pw_text_check(description, PYWATT_DESCRIPTION_MAX, true);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    struct pywatt_module_info *info =
        malloc(sizeof(*info) + name.len + version.len + description.len + 3);
    if (info == NULL) {
        return PYWATT_NO_MEMORY;
    }
    *info = (struct pywatt_module_info){.version_at = (uint16_t)(name.len + 1),
                                        .description_at = (uint16_t)(name.len + version.len + 2)};
    put(put(put(info->texts, name), version), description);
    *out = info;
    return PYWATT_OK;
}

enum pywatt_status pywatt_module_info_new(const char *name, const char *version,
                                          const char *description, struct pywatt_module_info **out)
{
    if (name == NULL || version == NULL || description == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return pw_module_info_new(pw_str_from(name), pw_str_from(version), pw_str_from(description),
                              out);
}

void pywatt_module_info_free(struct pywatt_module_info *info)
{
    if (info != NULL) {
        pywatt_string_map_free(info->metadata);
        free(info);
    }
}

enum pywatt_status pywatt_module_info_copy(const struct pywatt_module_info *info,
                                           struct pywatt_module_info **out)
{
    if (info == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    const size_t size =
        sizeof(*info) + info->description_at + strlen(pywatt_module_info_description(info)) + 1;
    struct pywatt_module_info *copy = malloc(size);
    if (copy == NULL) {
        return PYWATT_NO_MEMORY;
    }
    memcpy(copy, info, size);
    const enum pywatt_status status = pw_string_map_copy(info->metadata, &copy->metadata);
    if (status != PYWATT_OK) {
        free(copy);
        return status;
    }
    *out = copy;
    return PYWATT_OK;
}

static bool ids_equal(const struct pywatt_module_info *a, const struct pywatt_module_info *b)
{
    return a->has_id == b->has_id && (!a->has_id || pywatt_uuid_equal(&a->id, &b->id));
}

bool pywatt_module_info_equal(const struct pywatt_module_info *a,
                              const struct pywatt_module_info *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return strcmp(pywatt_module_info_name(a), pywatt_module_info_name(b)) == 0 &&
           strcmp(pywatt_module_info_version(a), pywatt_module_info_version(b)) == 0 &&
           strcmp(pywatt_module_info_description(a), pywatt_module_info_description(b)) == 0 &&
           ids_equal(a, b) && pywatt_string_map_equal(a->metadata, b->metadata);
}

enum pywatt_status pywatt_module_info_set_id(struct pywatt_module_info *info,
                                             const struct pywatt_uuid *id)
{
    if (info == NULL || id == NULL || pywatt_uuid_is_nil(id)) {
        return PYWATT_INVALID_ARGUMENT;
    }
    info->id = *id;
    info->has_id = true;
    return PYWATT_OK;
}

void pw_module_info_clear_id(struct pywatt_module_info *info)
{
    info->has_id = false;
}

enum pywatt_status pw_module_info_set_metadata(struct pywatt_module_info *info, struct pw_str key,
                                               struct pw_str value)
{
    return pw_string_map_put(&info->metadata, key, value);
}

enum pywatt_status pywatt_module_info_set_metadata(struct pywatt_module_info *info, const char *key,
                                                   const char *value)
{
    if (info == NULL || key == NULL || value == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return pw_module_info_set_metadata(info, pw_str_from(key), pw_str_from(value));
}

void pw_module_info_remove_metadata(struct pywatt_module_info *info, const char *key)
{
    pywatt_string_map_remove(info->metadata, key);
}

const char *pywatt_module_info_name(const struct pywatt_module_info *info)
{
    return info == NULL ? NULL : info->texts;
}

const char *pywatt_module_info_version(const struct pywatt_module_info *info)
{
    return info == NULL ? NULL : info->texts + info->version_at;
}

const char *pywatt_module_info_description(const struct pywatt_module_info *info)
{
    return info == NULL ? NULL : info->texts + info->description_at;
}

const struct pywatt_uuid *pywatt_module_info_id(const struct pywatt_module_info *info)
{
    return info == NULL || !info->has_id ? NULL : &info->id;
}

const struct pywatt_string_map *pywatt_module_info_metadata(const struct pywatt_module_info *info)
{
    return info == NULL ? NULL : pw_string_map_or_null(info->metadata);
}

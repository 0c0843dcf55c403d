/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * string_map.h - the string map as the codecs fill it: from text without a NUL, with other bounds
 * where the values are JSON. No lock: one thread at a time.
 */
#ifndef PW_MODEL_STRING_MAP_H
#define PW_MODEL_STRING_MAP_H

#include "base/bytes.h"

#include <pywatt/model.h>

/* As pywatt_string_map_set, for views. */
enum pywatt_status pw_string_map_set(struct pywatt_string_map *map, struct pw_str key,
                                     struct pw_str value);

/* As pw_string_map_set, and makes the map if *map is NULL; on failure *map stays as it was. */
enum pywatt_status pw_string_map_put(struct pywatt_string_map **map, struct pw_str key,
                                     struct pw_str value);

/*
 * Sets `key` to a JSON value: checks that it is one, stores it without white space. The bound of
 * PYWATT_JSON_VALUE_MAX is one of what is stored; with its white space the text may have four times
 * as much. Adds PYWATT_SERIALIZATION to the statuses.
 */
enum pywatt_status pw_string_map_set_json(struct pywatt_string_map *map, struct pw_str key,
                                          struct pw_str json_text);

/* As pw_string_map_set_json, and makes the map if *map is NULL; on failure *map stays as it was. */
enum pywatt_status pw_string_map_put_json(struct pywatt_string_map **map, struct pw_str key,
                                          struct pw_str json_text);

/* Whether there is such a key; then *value is what it has, borrowed. `map` may be NULL. */
bool pw_string_map_find(const struct pywatt_string_map *map, struct pw_str key,
                        struct pw_str *value);

/* `map`, or NULL if it is empty: getters say so that there is none. */
static inline const struct pywatt_string_map *
pw_string_map_or_null(const struct pywatt_string_map *map)
{
    return pywatt_string_map_count(map) == 0 ? NULL : map;
}

/* A deep copy, in *out; NULL for a NULL or empty map. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_string_map_copy(const struct pywatt_string_map *map,
                                      struct pywatt_string_map **out);

/* Makes *map hold the same as `from` (NULL: nothing), reusing its memory. */
enum pywatt_status pw_string_map_assign(struct pywatt_string_map *map,
                                        const struct pywatt_string_map *from);

/* Heap bytes that the map holds. */
size_t pw_string_map_footprint(const struct pywatt_string_map *map);

#endif

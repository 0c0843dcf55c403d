/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * string_map.h - the string map as the codecs fill it: from text without a NUL, with other bounds
 * where the values are JSON. No lock: one thread at a time.
 */
#ifndef PW_MODEL_STRING_MAP_H
#define PW_MODEL_STRING_MAP_H

#include "base/bytes.h"

#include <pywatt/model.h>

/* As pywatt_string_map_set, for views. Neither may point into `map` itself. */
enum pywatt_status pw_string_map_set(struct pywatt_string_map *map, struct pw_str key,
                                     struct pw_str value);

/*
 * Sets `key` to a JSON value: checks it strictly, stores it without white space. Adds
 * PYWATT_SERIALIZATION to the statuses.
 */
enum pywatt_status pw_string_map_set_json(struct pywatt_string_map *map, struct pw_str key,
                                          struct pw_str json_text);

/* A deep copy, in *out; NULL for a NULL or empty map. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_string_map_copy(const struct pywatt_string_map *map,
                                      struct pywatt_string_map **out);

/* Makes *map hold the same as `from` (NULL: nothing), reusing its memory. */
enum pywatt_status pw_string_map_assign(struct pywatt_string_map *map,
                                        const struct pywatt_string_map *from);

/* Heap bytes that the map holds. */
size_t pw_string_map_footprint(const struct pywatt_string_map *map);

#endif

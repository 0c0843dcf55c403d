/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * string_map.c - a small map from text to text, in the order of first setting. No lock: one thread
 * at a time.
 *
 * All characters stand in one block, and one array says where. A map is filled, sent, cleared and
 * filled again at every beat, and that allocates nothing once it has its size. Look-up goes through
 * all keys: there are at most 128. A value that outgrows its place goes to the end and leaves a
 * hole; the holes are closed when the block has no room left, and it grows only if that would not
 * give enough.
 */
#include "model/string_map.h"

#include "base/json_scan.h"
#include "model/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_ENTRIES = 4,
    FIRST_TEXT_CAPACITY = 64,
    JSON_TEXT_MAX = 4 * PYWATT_JSON_VALUE_MAX,
    STACK_TOKENS = 64,
    /* A token takes one byte, and but for the last one a separator or a bracket beside it. */
    TOKENS_MAX = PYWATT_JSON_VALUE_MAX / 2 + 1
};

struct entry {
    uint32_t key; /* offsets into the characters */
    uint32_t value;
    uint16_t key_len;
    uint16_t value_len;
    uint16_t value_room; /* the longest value that fits its place */
};

_Static_assert(PYWATT_JSON_VALUE_MAX <= UINT16_MAX && PYWATT_VALUE_MAX <= UINT16_MAX,
               "a value's length fits its field");

struct pywatt_string_map {
    char *text;
    struct entry *entries;
    uint32_t text_len;
    uint32_t text_capacity;
    uint32_t live_len; /* of text_len, without the holes */
    uint16_t count;
    uint16_t capacity;
};

static struct pw_str key_of(const struct pywatt_string_map *map, const struct entry *entry)
{
    return (struct pw_str){map->text + entry->key, entry->key_len};
}

static struct pw_str value_of(const struct pywatt_string_map *map, const struct entry *entry)
{
    return (struct pw_str){map->text + entry->value, entry->value_len};
}

static struct entry *find(const struct pywatt_string_map *map, struct pw_str key)
{
    for (size_t i = 0; i < map->count; i++) {
        if (pw_str_equal(key_of(map, &map->entries[i]), key)) {
            return &map->entries[i];
        }
    }
    return NULL;
}

/* ---- Room ---- */

static void put_text(char *to, struct pw_str text)
{
    if (text.len > 0) {
        memmove(to, text.data, text.len);
    }
    to[text.len] = '\0';
}

/* Writes the texts of `map` to `text` without holes, and where they are to `entries`. */
static uint32_t write_live(const struct pywatt_string_map *map, char *text, struct entry *entries)
{
    uint32_t at = 0;
    for (size_t i = 0; i < map->count; i++) {
        const struct pw_str key = key_of(map, &map->entries[i]);
        const struct pw_str value = value_of(map, &map->entries[i]);
        put_text(text + at, key);
        put_text(text + at + key.len + 1, value);
        entries[i] = (struct entry){.key = at,
                                    .value = at + (uint32_t)key.len + 1,
                                    .key_len = (uint16_t)key.len,
                                    .value_len = (uint16_t)value.len,
                                    .value_room = (uint16_t)value.len};
        at += (uint32_t)(key.len + value.len) + 2;
    }
    return at;
}

static enum pywatt_status make_room_for_entry(struct pywatt_string_map *map)
{
    if (map->count == PYWATT_MAP_ITEMS_MAX) {
        return PYWATT_LIMIT;
    }
    if (map->count < map->capacity) {
        return PYWATT_OK;
    }
    const uint16_t capacity =
        map->capacity == 0 ? (uint16_t)FIRST_ENTRIES : (uint16_t)(map->capacity * 2);
    struct entry *entries = realloc(map->entries, capacity * sizeof(*entries));
    if (entries == NULL) {
        return PYWATT_NO_MEMORY;
    }
    map->entries = entries;
    map->capacity = capacity;
    return PYWATT_OK;
}

/*
 * Room for `needed` more characters. If that takes a new block, *old gets the one before: it is
 * freed by the caller, once what may point into it is copied.
 */
static enum pywatt_status make_room_for_text(struct pywatt_string_map *map, uint32_t needed,
                                             char **old)
{
    if (map->text_capacity - map->text_len >= needed) {
        return PYWATT_OK;
    }
    const uint32_t wanted = map->live_len + needed;
    uint32_t capacity = map->text_capacity;
    /* A quarter stays free, so that the holes are not closed again at the next setting. */
    if (wanted > capacity - capacity / 4) {
        capacity = capacity == 0 ? FIRST_TEXT_CAPACITY : capacity * 2;
    }
    if (capacity < wanted) {
        capacity = wanted;
    }
    char *text = malloc(capacity);
    if (text == NULL) {
        return PYWATT_NO_MEMORY;
    }
    map->text_len = write_live(map, text, map->entries);
    map->live_len = map->text_len;
    *old = map->text;
    map->text = text;
    map->text_capacity = capacity;
    return PYWATT_OK;
}

static uint32_t append_text(struct pywatt_string_map *map, struct pw_str text)
{
    const uint32_t at = map->text_len;
    put_text(map->text + at, text);
    map->text_len += (uint32_t)text.len + 1;
    map->live_len += (uint32_t)text.len + 1;
    return at;
}

/* ---- Changes ---- */

static void replace_in_place(struct pywatt_string_map *map, struct entry *entry,
                             struct pw_str value)
{
    put_text(map->text + entry->value, value);
    map->live_len = map->live_len - entry->value_len + (uint32_t)value.len;
    entry->value_len = (uint16_t)value.len;
}

/* Stores what was checked. `key` and `value` may point into the map. */
static enum pywatt_status store(struct pywatt_string_map *map, struct pw_str key,
                                struct pw_str value)
{
    struct entry *entry = find(map, key);
    if (entry != NULL && value.len <= entry->value_room) {
        replace_in_place(map, entry, value);
        return PYWATT_OK;
    }
    const bool is_new = entry == NULL;
    char *old = NULL;
    enum pywatt_status status = is_new ? make_room_for_entry(map) : PYWATT_OK;
    if (status == PYWATT_OK) {
        const size_t needed = value.len + 1 + (is_new ? key.len + 1 : 0);
        status = make_room_for_text(map, (uint32_t)needed, &old);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    if (is_new) {
        entry = &map->entries[map->count++];
        entry->key = append_text(map, key);
        entry->key_len = (uint16_t)key.len;
    } else {
        map->live_len -= entry->value_len + 1u;
    }
    entry->value = append_text(map, value);
    entry->value_len = (uint16_t)value.len;
    entry->value_room = (uint16_t)value.len;
    free(old);
    return PYWATT_OK;
}

enum pywatt_status pw_string_map_set(struct pywatt_string_map *map, struct pw_str key,
                                     struct pw_str value)
{
    if (map == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    enum pywatt_status status = pw_text_check(key, PYWATT_KEY_MAX, true);
    if (status == PYWATT_OK) {
        status = pw_text_check(value, PYWATT_VALUE_MAX, true);
    }
    return status == PYWATT_OK ? store(map, key, value) : status;
}

enum pywatt_status pywatt_string_map_set(struct pywatt_string_map *map, const char *key,
                                         const char *value)
{
    if (key == NULL || value == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    return pw_string_map_set(map, pw_str_from(key), pw_str_from(value));
}

/* Stores the value that the tokens describe, without its white space. */
static enum pywatt_status store_compact(struct pywatt_string_map *map, struct pw_str key,
                                        struct pw_span json, const struct pw_json_token *tokens)
{
    char *compact = malloc(json.len);
    if (compact == NULL) {
        return PYWATT_NO_MEMORY;
    }
    const size_t len = pw_json_compact(json, tokens, 0, compact);
    const enum pywatt_status status =
        len > PYWATT_JSON_VALUE_MAX ? PYWATT_LIMIT : store(map, key, (struct pw_str){compact, len});
    free(compact);
    return status;
}

enum pywatt_status pw_string_map_set_json(struct pywatt_string_map *map, struct pw_str key,
                                          struct pw_str json_text)
{
    if (map == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    enum pywatt_status status = pw_text_check(key, PYWATT_KEY_MAX, true);
    if (status != PYWATT_OK) {
        return status;
    }
    if (json_text.len > JSON_TEXT_MAX) {
        return PYWATT_LIMIT;
    }
    const size_t possible = json_text.len / 2 + 1;
    const uint32_t capacity = possible < TOKENS_MAX ? (uint32_t)possible : TOKENS_MAX;
    struct pw_json_token few[STACK_TOKENS];
    struct pw_json_token *tokens = few;
    if (capacity > STACK_TOKENS) {
        tokens = malloc(capacity * sizeof(*tokens));
        if (tokens == NULL) {
            return PYWATT_NO_MEMORY;
        }
    }
    const struct pw_json_limits limits = {.max_depth = PYWATT_JSON_DEPTH_MAX,
                                          .max_tokens = capacity,
                                          .max_string_len = PYWATT_JSON_VALUE_MAX};
    const struct pw_span json = {(const uint8_t *)json_text.data, json_text.len};
    uint32_t count = 0;
    status = pw_json_scan(json, &limits, tokens, capacity, &count, NULL);
    if (status == PYWATT_OK) {
        status = store_compact(map, key, json, tokens);
    }
    if (tokens != few) {
        free(tokens);
    }
    return status;
}

typedef enum pywatt_status (*setter)(struct pywatt_string_map *map, struct pw_str key,
                                     struct pw_str value);

static enum pywatt_status make_and_set(struct pywatt_string_map **map, struct pw_str key,
                                       struct pw_str value, setter set)
{
    if (*map != NULL) {
        return set(*map, key, value);
    }
    struct pywatt_string_map *made = pywatt_string_map_new();
    if (made == NULL) {
        return PYWATT_NO_MEMORY;
    }
    const enum pywatt_status status = set(made, key, value);
    if (status != PYWATT_OK) {
        pywatt_string_map_free(made);
        return status;
    }
    *map = made;
    return PYWATT_OK;
}

enum pywatt_status pw_string_map_put(struct pywatt_string_map **map, struct pw_str key,
                                     struct pw_str value)
{
    return make_and_set(map, key, value, pw_string_map_set);
}

enum pywatt_status pw_string_map_put_json(struct pywatt_string_map **map, struct pw_str key,
                                          struct pw_str json_text)
{
    return make_and_set(map, key, json_text, pw_string_map_set_json);
}

void pywatt_string_map_remove(struct pywatt_string_map *map, const char *key)
{
    if (map == NULL || key == NULL) {
        return;
    }
    struct entry *entry = find(map, pw_str_from(key));
    if (entry == NULL) {
        return;
    }
    /* It may be a secret that is taken out. */
    explicit_bzero(map->text + entry->value, entry->value_room);
    map->live_len -= (uint32_t)entry->key_len + entry->value_len + 2;
    const size_t index = (size_t)(entry - map->entries);
    map->count--;
    memmove(entry, entry + 1, (map->count - index) * sizeof(*entry));
}

void pywatt_string_map_clear(struct pywatt_string_map *map)
{
    if (map != NULL) {
        map->count = 0;
        map->text_len = 0;
        map->live_len = 0;
    }
}

/* ---- The whole map ---- */

struct pywatt_string_map *pywatt_string_map_new(void)
{
    return calloc(1, sizeof(struct pywatt_string_map));
}

void pywatt_string_map_free(struct pywatt_string_map *map)
{
    if (map != NULL) {
        free(map->text);
        free(map->entries);
        free(map);
    }
}

enum pywatt_status pw_string_map_copy(const struct pywatt_string_map *map,
                                      struct pywatt_string_map **out)
{
    struct pywatt_string_map *copy = NULL;
    if (pywatt_string_map_count(map) > 0) {
        copy = pywatt_string_map_new();
        if (copy == NULL) {
            return PYWATT_NO_MEMORY;
        }
        const enum pywatt_status status = pw_string_map_assign(copy, map);
        if (status != PYWATT_OK) {
            pywatt_string_map_free(copy);
            return status;
        }
    }
    *out = copy;
    return PYWATT_OK;
}

/* Larger blocks where `from` needs them. Nothing is changed when one cannot be had. */
static enum pywatt_status fit_to(struct pywatt_string_map *map,
                                 const struct pywatt_string_map *from)
{
    const bool more_text = map->text_capacity < from->live_len;
    const bool more_entries = map->capacity < from->count;
    char *text = more_text ? malloc(from->live_len) : NULL;
    struct entry *entries = more_entries ? malloc(from->count * sizeof(*entries)) : NULL;
    if ((more_text && text == NULL) || (more_entries && entries == NULL)) {
        free(text);
        free(entries);
        return PYWATT_NO_MEMORY;
    }
    if (more_text) {
        free(map->text);
        map->text = text;
        map->text_capacity = from->live_len;
    }
    if (more_entries) {
        free(map->entries);
        map->entries = entries;
        map->capacity = from->count;
    }
    return PYWATT_OK;
}

enum pywatt_status pw_string_map_assign(struct pywatt_string_map *map,
                                        const struct pywatt_string_map *from)
{
    if (from == map) {
        return PYWATT_OK;
    }
    if (pywatt_string_map_count(from) == 0) {
        pywatt_string_map_clear(map);
        return PYWATT_OK;
    }
    const enum pywatt_status status = fit_to(map, from);
    if (status == PYWATT_OK) {
        map->text_len = write_live(from, map->text, map->entries);
        map->live_len = map->text_len;
        map->count = from->count;
    }
    return status;
}

size_t pw_string_map_footprint(const struct pywatt_string_map *map)
{
    return map == NULL ? 0
                       : sizeof(*map) + map->text_capacity + map->capacity * sizeof(struct entry);
}

/* ---- Reading ---- */

bool pw_string_map_find(const struct pywatt_string_map *map, struct pw_str key,
                        struct pw_str *value)
{
    const struct entry *entry = map == NULL ? NULL : find(map, key);
    if (entry != NULL) {
        *value = value_of(map, entry);
    }
    return entry != NULL;
}

const char *pywatt_string_map_get(const struct pywatt_string_map *map, const char *key)
{
    if (map == NULL || key == NULL) {
        return NULL;
    }
    const struct entry *entry = find(map, pw_str_from(key));
    return entry == NULL ? NULL : map->text + entry->value;
}

size_t pywatt_string_map_count(const struct pywatt_string_map *map)
{
    return map == NULL ? 0 : map->count;
}

bool pywatt_string_map_at(const struct pywatt_string_map *map, size_t index, const char **key,
                          const char **value)
{
    if (index >= pywatt_string_map_count(map)) {
        return false;
    }
    const struct entry *entry = &map->entries[index];
    if (key != NULL) {
        *key = map->text + entry->key;
    }
    if (value != NULL) {
        *value = map->text + entry->value;
    }
    return true;
}

bool pywatt_string_map_equal(const struct pywatt_string_map *a, const struct pywatt_string_map *b)
{
    const size_t count = pywatt_string_map_count(a);
    if (count != pywatt_string_map_count(b)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct entry *other = find(b, key_of(a, &a->entries[i]));
        if (other == NULL || !pw_str_equal(value_of(a, &a->entries[i]), value_of(b, other))) {
            return false;
        }
    }
    return true;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * map.c - the intrusive hash map. No lock of its own: its owner's guards it.
 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_BUCKETS ((size_t)16)
#define BUCKETS_MAX ((SIZE_MAX / 2 + 1) / sizeof(struct pw_map_node *))

/* Buckets that an insertion moves: more than one, so that all are moved before it grows again. */
#define MOVED_AT_ONCE ((size_t)4)

void pw_map_init(struct pw_map *map)
{
    *map = (struct pw_map){0};
}

void pw_map_destroy(struct pw_map *map)
{
    free(map->buckets);
    free(map->old_buckets);
    pw_map_init(map);
}

/* The one bucket in which a node of this hash stands, or is to stand. */
static struct pw_map_node **bucket_of(const struct pw_map *map, uint64_t hash)
{
    if (map->old_buckets != NULL) {
        const size_t old = hash & (map->old_count - 1);
        if (old >= map->moved) {
            return &map->old_buckets[old];
        }
    }
    return &map->buckets[hash & (map->bucket_count - 1)];
}

static void link_node(struct pw_map *map, struct pw_map_node *node)
{
    struct pw_map_node **bucket = bucket_of(map, node->hash);
    node->next = *bucket;
    *bucket = node;
}

static void move_buckets(struct pw_map *map, size_t at_most)
{
    for (; map->old_buckets != NULL && at_most > 0; at_most--) {
        struct pw_map_node *node = map->old_buckets[map->moved++];
        while (node != NULL) {
            struct pw_map_node *next = node->next;
            link_node(map, node);
            node = next;
        }
        if (map->moved == map->old_count) {
            free(map->old_buckets);
            map->old_buckets = NULL;
        }
    }
}

enum pywatt_status pw_map_reserve(struct pw_map *map, size_t count)
{
    if (count <= map->bucket_count) {
        return PYWATT_OK;
    }
    if (count > BUCKETS_MAX) {
        return PYWATT_NO_MEMORY;
    }
    size_t bucket_count = map->bucket_count == 0 ? FIRST_BUCKETS : map->bucket_count;
    while (bucket_count < count) {
        bucket_count *= 2;
    }
    struct pw_map_node **buckets = calloc(bucket_count, sizeof(struct pw_map_node *));
    if (buckets == NULL) {
        return PYWATT_NO_MEMORY;
    }
    move_buckets(map, SIZE_MAX);
    map->old_buckets = map->buckets;
    map->old_count = map->bucket_count;
    map->moved = 0;
    map->buckets = buckets;
    map->bucket_count = bucket_count;
    return PYWATT_OK;
}

enum pywatt_status pw_map_insert(struct pw_map *map, struct pw_map_node *node, uint64_t hash)
{
    if (pw_map_reserve(map, map->count + 1) != PYWATT_OK && map->bucket_count == 0) {
        return PYWATT_NO_MEMORY;
    }
    move_buckets(map, MOVED_AT_ONCE);
    node->hash = hash;
    link_node(map, node);
    map->count++;
    return PYWATT_OK;
}

static struct pw_map_node *skip_others(struct pw_map_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash) {
        node = node->next;
    }
    return node;
}

struct pw_map_node *pw_map_first(const struct pw_map *map, uint64_t hash)
{
    return map->bucket_count == 0 ? NULL : skip_others(*bucket_of(map, hash), hash);
}

const struct pw_map_node *pw_map_glance(const struct pw_map *map, uint64_t hash)
{
    return map->bucket_count == 0 ? NULL : *bucket_of(map, hash);
}

struct pw_map_node *pw_map_next(const struct pw_map_node *node)
{
    return skip_others(node->next, node->hash);
}

void pw_map_remove(struct pw_map *map, struct pw_map_node *node)
{
    struct pw_map_node **link = bucket_of(map, node->hash);
    while (*link != node) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->count--;
}

/* The old buckets that are not moved come first. */
static struct pw_map_node *bucket_at(const struct pw_map *map, size_t index)
{
    const size_t old = map->old_buckets == NULL ? 0 : map->old_count;
    return index < old ? map->old_buckets[index] : map->buckets[index - old];
}

struct pw_map_node *pw_map_walk(const struct pw_map *map, size_t *bucket, struct pw_map_node *node)
{
    if (node != NULL && node->next != NULL) {
        return node->next;
    }
    const size_t old = map->old_buckets == NULL ? 0 : map->old_count;
    if (*bucket < map->moved && old > 0) {
        *bucket = map->moved;
    }
    while (*bucket < old + map->bucket_count) {
        struct pw_map_node *first = bucket_at(map, (*bucket)++);
        if (first != NULL) {
            return first;
        }
    }
    return NULL;
}

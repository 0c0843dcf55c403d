/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * map.c - the intrusive hash map. No lock of its own: its owner's guards it.
 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_BUCKETS ((size_t)16)
#define BUCKETS_MAX ((SIZE_MAX / 2 + 1) / sizeof(struct pw_map_node *))

void pw_map_init(struct pw_map *map)
{
    *map = (struct pw_map){0};
}

void pw_map_destroy(struct pw_map *map)
{
    free(map->buckets);
    pw_map_init(map);
}

static struct pw_map_node **bucket_of(const struct pw_map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->bucket_count - 1)];
}

static void link_node(struct pw_map *map, struct pw_map_node *node)
{
    struct pw_map_node **bucket = bucket_of(map, node->hash);
    node->next = *bucket;
    *bucket = node;
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
    const struct pw_map old = *map;
    map->buckets = buckets;
    map->bucket_count = bucket_count;
    for (size_t i = 0; i < old.bucket_count; i++) {
        struct pw_map_node *node = old.buckets[i];
        while (node != NULL) {
            struct pw_map_node *next = node->next;
            link_node(map, node);
            node = next;
        }
    }
    free(old.buckets);
    return PYWATT_OK;
}

enum pywatt_status pw_map_insert(struct pw_map *map, struct pw_map_node *node, uint64_t hash)
{
    if (pw_map_reserve(map, map->count + 1) != PYWATT_OK && map->bucket_count == 0) {
        return PYWATT_NO_MEMORY;
    }
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

struct pw_map_node *pw_map_walk(const struct pw_map *map, size_t *bucket, struct pw_map_node *node)
{
    if (node != NULL && node->next != NULL) {
        return node->next;
    }
    while (*bucket < map->bucket_count) {
        struct pw_map_node *first = map->buckets[(*bucket)++];
        if (first != NULL) {
            return first;
        }
    }
    return NULL;
}

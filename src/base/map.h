/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * map.h - a hash map whose links stand in the items: open chaining, power-of-two buckets, grows at
 * one item a bucket and never shrinks. No lock of its own, no malloc but when it grows. It grows
 * little by little: whoever inserts moves a few buckets, so that nobody waits for all of them.
 *
 * The caller computes the hash and compares: one map serves ids, names and request numbers.
 */
#ifndef PW_BASE_MAP_H
#define PW_BASE_MAP_H

#include "base/bytes.h"

#include <pywatt/status.h>
#include <pywatt/uuid.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_map_node {
    struct pw_map_node *next;
    uint64_t hash;
};

struct pw_map {
    struct pw_map_node **buckets;
    size_t bucket_count; /* 0 or a power of two */
    size_t count;
    /* While it grows: the buckets before, of which those below `moved` are empty. Else NULL. */
    struct pw_map_node **old_buckets;
    size_t old_count;
    size_t moved;
};

void pw_map_init(struct pw_map *map);

/* Frees the buckets; the items are the caller's. */
void pw_map_destroy(struct pw_map *map);

/*
 * Makes room for `count` items, so that inserting up to there does not allocate. PYWATT_OK or
 * PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_map_reserve(struct pw_map *map, size_t count);

/*
 * Inserts; the caller has made sure that the key is not there. If growing fails for want of memory
 * the map gets slower instead; only the very first insertion can fail, with PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_map_insert(struct pw_map *map, struct pw_map_node *node, uint64_t hash);

/* The first node with this hash, or NULL; pw_map_next gives the next one with the same hash. */
struct pw_map_node *pw_map_first(const struct pw_map *map, uint64_t hash);
struct pw_map_node *pw_map_next(const struct pw_map_node *node);

/*
 * The first item of the bucket where one with this hash would be, or NULL: for asking for its memory
 * before it is looked up.
 */
const struct pw_map_node *pw_map_glance(const struct pw_map *map, uint64_t hash);

/* Takes `node` out; it must be in. */
void pw_map_remove(struct pw_map *map, struct pw_map_node *node);

/*
 * Walks all nodes: start with *bucket = 0 and node = NULL; ends with NULL. The map must not change
 * meanwhile, except that the node returned before may have been removed if `next` was read first.
 */
struct pw_map_node *pw_map_walk(const struct pw_map *map, size_t *bucket, struct pw_map_node *node);

/* Hashes with a secret of the process, so that a peer cannot choose keys that collide. */
uint64_t pw_hash_bytes(const void *data, size_t len);
uint64_t pw_hash_uuid(const struct pywatt_uuid *uuid);
uint64_t pw_hash_u64(uint64_t value);

#endif

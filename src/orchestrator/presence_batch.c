/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * presence_batch.c - beats of many modules at once. On the workers' threads; the shard's mutex
 * guards the modules.
 *
 * With many modules nearly every beat finds its module outside of the caches, and what it then waits
 * for is memory. So all of it is asked for before any is used: the buckets without a lock, then the
 * modules, then they are served. The beats are put in the order of the shards first, so that a lock
 * is taken once, or, where there are so many modules that it pays, twice.
 */
#include "orchestrator/presence.h"

/* More modules than this are mostly not in the caches. */
#define MANY_MODULES 4000

struct batch {
    struct pw_module_table *table;
    const struct pw_batched_beat *beats;
    struct pw_beat_outcome *outcomes;
    struct pw_beat beat; /* what all have in common is filled in */
    bool expected;       /* the memory of all modules was asked for */
    uint64_t hashes[PW_BATCH_MAX];
    uint16_t order[PW_BATCH_MAX]; /* indexes of beats, by shard, else as they came */
    uint16_t ends[PW_SHARD_COUNT];
};

static unsigned shard_of(uint64_t hash)
{
    return (unsigned)(hash >> (64 - PW_SHARD_BITS));
}

static void sort_by_shard(struct batch *batch, uint32_t count)
{
    uint16_t counts[PW_SHARD_COUNT] = {0};
    uint16_t begin = 0;
    for (uint32_t i = 0; i < count; i++) {
        batch->hashes[i] = pw_hash_uuid(&batch->beats[i].module_id);
        pw_table_expect(&batch->table->shards[shard_of(batch->hashes[i])], batch->hashes[i]);
        counts[shard_of(batch->hashes[i])]++;
    }
    for (unsigned i = 0; i < PW_SHARD_COUNT; i++) {
        batch->ends[i] = begin;
        begin = (uint16_t)(begin + counts[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        batch->order[batch->ends[shard_of(batch->hashes[i])]++] = (uint16_t)i;
    }
}

static void ask_for_module(const struct pw_shard *shard, uint64_t hash)
{
    const struct pw_map_node *node = pw_map_glance(&shard->modules, hash);
    if (node != NULL) {
        const uint8_t *module = (const uint8_t *)node - offsetof(struct pw_module, by_id);
        __builtin_prefetch(module, 1);
        __builtin_prefetch(module + PW_CACHE_LINE, 1);
    }
}

static void serve_locked(struct batch *batch, const struct pw_shard *shard, uint16_t index)
{
    const struct pw_batched_beat *from = &batch->beats[index];
    struct pw_beat_outcome *outcome = &batch->outcomes[index];
    struct pw_module *module = pw_table_find_locked(shard, &from->module_id, batch->hashes[index]);
    outcome->health = from->health;
    if (module == NULL) {
        outcome->status = PYWATT_MODULE_NOT_FOUND;
        return;
    }
    batch->beat.module_id = &from->module_id;
    batch->beat.token = from->token;
    batch->beat.generation = from->generation;
    batch->beat.health = from->health;
    outcome->status = pw_presence_beat_locked(batch->table, module, &batch->beat, &outcome->health,
                                              &outcome->generation);
}

/* The beats `at` to `end` - 1 in the order of the shards are those of one shard. */
static void expect_locked(const struct batch *batch, const struct pw_shard *shard, uint32_t at,
                          uint32_t end)
{
    for (; at < end; at++) {
        ask_for_module(shard, batch->hashes[batch->order[at]]);
    }
}

static void expect_shard(struct batch *batch, struct pw_shard *shard, uint32_t at, uint32_t end)
{
    pw_mutex_lock(&shard->mutex);
    expect_locked(batch, shard, at, end);
    pw_mutex_unlock(&shard->mutex);
}

static void serve_shard(struct batch *batch, struct pw_shard *shard, uint32_t at, uint32_t end)
{
    pw_mutex_lock(&shard->mutex);
    if (!batch->expected) {
        expect_locked(batch, shard, at, end);
    }
    for (; at < end; at++) {
        serve_locked(batch, shard, batch->order[at]);
    }
    pw_mutex_unlock(&shard->mutex);
}

static void for_each_shard(struct batch *batch,
                           void (*handle)(struct batch *, struct pw_shard *, uint32_t, uint32_t))
{
    uint32_t at = 0;
    for (unsigned i = 0; i < PW_SHARD_COUNT; i++) {
        if (at < batch->ends[i]) {
            handle(batch, &batch->table->shards[i], at, batch->ends[i]);
        }
        at = batch->ends[i];
    }
}

void pw_presence_batch(struct pw_module_table *table, const struct pw_batched_beat *beats,
                       uint32_t count, struct pw_binding *binding, uint64_t now_ns,
                       struct pw_beat_outcome *outcomes)
{
    struct batch batch;
    batch.table = table;
    batch.beats = beats;
    batch.outcomes = outcomes;
    batch.beat = (struct pw_beat){.binding = binding, .now_ns = now_ns};
    batch.expected = atomic_load_explicit(&table->count, memory_order_relaxed) > MANY_MODULES;
    sort_by_shard(&batch, count);
    if (batch.expected) {
        for_each_shard(&batch, expect_shard);
    }
    for_each_shard(&batch, serve_shard);
}

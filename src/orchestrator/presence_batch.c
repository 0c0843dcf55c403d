/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * presence_batch.c - beats of many modules at once. On the workers' threads; the shard's mutex
 * guards the modules.
 *
 * With many modules nearly every beat finds its module outside of the caches. So the batch is first
 * put in the order of the shards, and in each shard the memory of the beats ahead is asked for
 * while the one at hand is served: first the bucket, then the module.
 */
#include "orchestrator/presence.h"

/* How many beats ahead memory is asked for. */
enum {
    AHEAD_BUCKET = 12,
    AHEAD_MODULE = 6
};

struct batch {
    struct pw_module_table *table;
    const struct pw_batched_beat *beats;
    struct pw_beat_outcome *outcomes;
    struct pw_beat beat; /* what all have in common is filled in */
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
        __builtin_prefetch(module + offsetof(struct pw_module, details), 1);
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

static void serve_shard(struct batch *batch, struct pw_shard *shard, uint32_t at, uint32_t end)
{
    const uint16_t *order = batch->order;
    const uint64_t *hashes = batch->hashes;
    pw_mutex_lock(&shard->mutex);
    for (uint32_t i = at; i < end && i < at + AHEAD_BUCKET; i++) {
        pw_map_expect(&shard->modules, hashes[order[i]]);
    }
    for (uint32_t i = at; i < end && i < at + AHEAD_MODULE; i++) {
        ask_for_module(shard, hashes[order[i]]);
    }
    for (; at < end; at++) {
        if (at + AHEAD_BUCKET < end) {
            pw_map_expect(&shard->modules, hashes[order[at + AHEAD_BUCKET]]);
        }
        if (at + AHEAD_MODULE < end) {
            ask_for_module(shard, hashes[order[at + AHEAD_MODULE]]);
        }
        serve_locked(batch, shard, order[at]);
    }
    pw_mutex_unlock(&shard->mutex);
}

void pw_presence_batch(struct pw_module_table *table, const struct pw_batched_beat *beats,
                       uint32_t count, struct pw_binding *binding, uint64_t now_ns,
                       struct pw_beat_outcome *outcomes)
{
    struct batch batch;
    uint32_t at = 0;
    batch.table = table;
    batch.beats = beats;
    batch.outcomes = outcomes;
    batch.beat = (struct pw_beat){.binding = binding, .now_ns = now_ns};
    sort_by_shard(&batch, count);
    for (unsigned i = 0; i < PW_SHARD_COUNT; i++) {
        if (at < batch.ends[i]) {
            serve_shard(&batch, &table->shards[i], at, batch.ends[i]);
        }
        at = batch.ends[i];
    }
}

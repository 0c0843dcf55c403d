/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * presence_batch.c - beats of many modules at once. On the workers' threads; the shard's mutex
 * guards the modules.
 *
 * By ids. With many modules nearly every beat finds its module outside of the caches, and what it then waits
 * for is memory. So all of it is asked for before any is used: the buckets without a lock, then the
 * modules, then they are served. The beats are put in the order of the shards first, so that a lock
 * is taken once, or, where there are so many modules that it pays, twice.
 *
 * By aliases. These say where the module is, and in which shard, so its memory is asked for while the
 * beats are put in order, and no id is hashed, looked up or compared, and no token.
 */
#include "orchestrator/presence.h"

/* More modules than this are mostly not in the caches. */
#define MANY_MODULES 4000

/* In place of a shard: a beat that is not to be served. */
#define NO_SHARD PW_SHARD_COUNT

struct batch {
    struct pw_module_table *table;
    const struct pw_beat_origin *origin;
    const struct pw_batched_beat *beats; /* or: */
    const pw_short_beat *short_beats;
    uint32_t count;
    struct pw_beat_outcome *outcomes;
    struct pw_beat beat; /* what all have in common is filled in */
    bool expected;       /* the memory of all modules was asked for */
    uint8_t shards[PW_BATCH_MAX];
    uint16_t order[PW_BATCH_MAX]; /* indexes of beats, by shard, else as they came */
    uint16_t ends[PW_SHARD_COUNT + 1];
    uint64_t hashes[PW_BATCH_MAX];               /* of ids */
    struct pw_alias_place proven[PW_BATCH_MAX];  /* what aliases are to stand for */
    struct pw_alias_place *places[PW_BATCH_MAX]; /* what they stand for */
};

static void begin(struct batch *batch, struct pw_module_table *table, uint32_t count,
                  const struct pw_beat_origin *origin, struct pw_beat_outcome *outcomes)
{
    batch->table = table;
    batch->origin = origin;
    batch->count = count;
    batch->outcomes = outcomes;
    batch->beat = (struct pw_beat){
        .grant = origin->grant, .binding = origin->binding, .now_ns = origin->now_ns};
}

/* ---- By shards ---- */

static void sort_by_shard(struct batch *batch)
{
    uint16_t counts[PW_SHARD_COUNT + 1] = {0};
    uint16_t first = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        counts[batch->shards[i]]++;
    }
    for (unsigned i = 0; i <= PW_SHARD_COUNT; i++) {
        batch->ends[i] = first;
        first = (uint16_t)(first + counts[i]);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->order[batch->ends[batch->shards[i]]++] = (uint16_t)i;
    }
}

/* With the beats `at` to `end` - 1 in the order of the shards, which are those of one shard. */
typedef void (*shard_fn)(struct batch *batch, struct pw_shard *shard, uint32_t at, uint32_t end);

static void for_each_shard(struct batch *batch, shard_fn handle_locked)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < PW_SHARD_COUNT; i++) {
        struct pw_shard *shard = &batch->table->shards[i];
        if (at < batch->ends[i]) {
            pw_mutex_lock(&shard->mutex);
            handle_locked(batch, shard, at, batch->ends[i]);
            pw_mutex_unlock(&shard->mutex);
        }
        at = batch->ends[i];
    }
}

/* ---- By ids ---- */

static void ask_for_lines(const void *module)
{
    __builtin_prefetch(module, 1);
    __builtin_prefetch((const uint8_t *)module + PW_CACHE_LINE, 1);
}

static void find_shards(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const uint64_t hash = pw_hash_uuid(&batch->beats[i].module_id);
        const unsigned shard = pw_module_shard_of_hash(hash);
        pw_table_expect(&batch->table->shards[shard], hash);
        batch->hashes[i] = hash;
        batch->shards[i] = (uint8_t)shard;
    }
}

static void expect_locked(struct batch *batch, struct pw_shard *shard, uint32_t at, uint32_t end)
{
    for (; at < end; at++) {
        const struct pw_map_node *node =
            pw_map_glance(&shard->modules, batch->hashes[batch->order[at]]);
        if (node != NULL) {
            ask_for_lines((const uint8_t *)node - offsetof(struct pw_module, by_id));
        }
    }
}

static void serve_one_locked(struct batch *batch, const struct pw_shard *shard, uint16_t index)
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
    if (from->alias != 0) {
        batch->proven[index] = pw_alias_place_of(module);
    }
}

static void serve_locked(struct batch *batch, struct pw_shard *shard, uint32_t at, uint32_t end)
{
    if (!batch->expected) {
        expect_locked(batch, shard, at, end);
    }
    for (; at < end; at++) {
        serve_one_locked(batch, shard, batch->order[at]);
    }
}

static void give_aliases(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct pw_batched_beat *from = &batch->beats[i];
        if (from->alias != 0 && batch->outcomes[i].status == PYWATT_OK) {
            const struct pw_alias_name name = {from->module_id, from->generation,
                                               batch->origin->order};
            pw_aliases_give(batch->origin->aliases, from->alias, &batch->proven[i], &name);
        }
    }
}

void pw_presence_batch(struct pw_module_table *table, const struct pw_batched_beat *beats,
                       uint32_t count, const struct pw_beat_origin *origin,
                       struct pw_beat_outcome *outcomes)
{
    struct batch batch;
    begin(&batch, table, count, origin, outcomes);
    batch.beats = beats;
    batch.expected = atomic_load_explicit(&table->count, memory_order_relaxed) > MANY_MODULES;
    find_shards(&batch);
    sort_by_shard(&batch);
    if (batch.expected) {
        for_each_shard(&batch, expect_locked);
    }
    for_each_shard(&batch, serve_locked);
    if (origin->aliases != NULL) {
        give_aliases(&batch);
    }
}

/* ---- By aliases ---- */

static void find_places(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const pw_short_beat beat = batch->short_beats[i];
        struct pw_alias_place *place =
            pw_aliases_find(batch->origin->aliases, pw_short_beat_alias(beat));
        struct pw_beat_outcome *outcome = &batch->outcomes[i];
        outcome->health = pw_short_beat_health(beat);
        batch->places[i] = place;
        if (place != NULL) {
            ask_for_lines(place->module);
            batch->shards[i] = (uint8_t)pw_module_shard_of_serial(place->serial);
        } else {
            outcome->status = PYWATT_INVALID_ARGUMENT;
            batch->shards[i] = NO_SHARD;
        }
    }
}

/* The module is another one, or was registered again, since the alias was given. */
static enum pywatt_status look_again_locked(const struct pw_shard *shard,
                                            struct pw_alias_place *place,
                                            const struct pw_alias_name *name,
                                            const struct pw_grant *grant, uint64_t *generation)
{
    struct pw_module *module = pw_table_find_locked(shard, &name->id, pw_hash_uuid(&name->id));
    if (module == NULL) {
        return PYWATT_MODULE_NOT_FOUND;
    }
    if (module->fence != PYWATT_OK) {
        return (enum pywatt_status)module->fence;
    }
    if (place->serial < module->token_serial) {
        return PYWATT_INVALID_TOKEN;
    }
    if (!pw_grant_allows(grant, pw_module_name(module))) {
        return PYWATT_REJECTED;
    }
    const enum pywatt_status status =
        pw_module_check_generation(module, name->generation, generation);
    if (status == PYWATT_OK) {
        *place = pw_alias_place_of(module);
    }
    return status;
}

/* Whether it is still the same module, with the same token and generation. */
static inline bool is_as_given_locked(const struct pw_alias_place *place)
{
    return pw_module_serial(place->module) == place->serial;
}

/* Serves a beat that reports `outcome->health`, if it is to be served. */
static inline void take_place_locked(struct pw_module_table *table,
                                     const struct pw_alias_place *place, struct pw_beat *beat,
                                     struct pw_beat_outcome *outcome)
{
    if (outcome->status == PYWATT_OK) {
        beat->health = outcome->health;
        pw_presence_take_locked(table, place->module, beat, &outcome->health);
    }
}

static void serve_shorts_locked(struct batch *batch, struct pw_shard *shard, uint32_t at,
                                uint32_t end)
{
    for (; at < end; at++) {
        const uint16_t i = batch->order[at];
        struct pw_alias_place *place = batch->places[i];
        struct pw_beat_outcome *outcome = &batch->outcomes[i];
        if (is_as_given_locked(place)) {
            outcome->status = (enum pywatt_status)place->module->fence;
        } else {
            const struct pw_alias_name *name =
                pw_aliases_name(batch->origin->aliases, pw_short_beat_alias(batch->short_beats[i]));
            outcome->status =
                look_again_locked(shard, place, name, batch->origin->grant, &outcome->generation);
        }
        take_place_locked(batch->table, place, &batch->beat, outcome);
    }
}

void pw_presence_short_batch(struct pw_module_table *table, const pw_short_beat *beats,
                             uint32_t count, const struct pw_beat_origin *origin,
                             struct pw_beat_outcome *outcomes)
{
    struct batch batch;
    begin(&batch, table, count, origin, outcomes);
    batch.short_beats = beats;
    find_places(&batch);
    sort_by_shard(&batch);
    for_each_shard(&batch, serve_shorts_locked);
}

void pw_presence_short_beat(struct pw_module_table *table, struct pw_alias_place *place,
                            const struct pw_alias_name *name, const struct pw_beat_origin *origin,
                            struct pw_beat_outcome *outcome)
{
    struct pw_shard *shard = &table->shards[pw_module_shard_of_serial(place->serial)];
    struct pw_beat beat = {.binding = origin->binding, .now_ns = origin->now_ns};
    pw_mutex_lock(&shard->mutex);
    outcome->status =
        is_as_given_locked(place)
            ? (enum pywatt_status)place->module->fence
            : look_again_locked(shard, place, name, origin->grant, &outcome->generation);
    take_place_locked(table, place, &beat, outcome);
    pw_mutex_unlock(&shard->mutex);
}

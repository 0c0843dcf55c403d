/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch_fill.c - beats into the rows of a frame. The calling thread; modules are read from their
 * cards, without a lock.
 */
#include "registry/batch_impl.h"

#include "registry/module.h"

enum {
    /* How many beats ahead the memory of their modules is asked for. */
    AHEAD = 8
};

static bool is_health(enum pywatt_health health)
{
    return (int)health >= PYWATT_HEALTHY && (int)health <= PYWATT_UNHEALTHY;
}

/* The first one always does. */
static bool fits(const struct pw_batch *batch, size_t bytes)
{
    return batch->filled == 0 || batch->frame_bytes + bytes <= batch->most_bytes;
}

static void put(struct pw_batch *batch, size_t index, uint32_t alias, pw_alias_use use)
{
    batch->uses[index] = use;
    batch->short_beats[batch->filled++] = pw_short_beat_of(alias, batch->beats[index].health);
    batch->frame_bytes += sizeof(pw_short_beat);
}

/*
 * Copies what the module beats with into the next row, and, `together`, gives it an alias, which comes
 * first: see alias.h. False if it does not fit any more.
 */
static bool add_row(struct pw_batch *batch, size_t index, bool together)
{
    if (batch->full_count == PW_BEAT_FRAME_MAX) {
        return false;
    }
    struct pywatt_module *module = batch->beats[index].module;
    struct pw_batched_beat *row = &batch->rows[batch->full_count];
    char *token = batch->tokens + batch->token_bytes;
    row->alias =
        together ? pw_alias_assign(&batch->client->aliases, &module->alias, batch->alias_epoch) : 0;
    const size_t len =
        pw_handle_card(module, row, token, PW_BATCH_TOKEN_BYTES - batch->token_bytes);
    const size_t bytes = PW_BEAT_OVERHEAD + len;
    if (len == 0 || !fits(batch, sizeof(pw_short_beat) + bytes)) {
        return false;
    }
    row->token = (struct pw_str){token, len};
    row->health = batch->beats[index].health;
    batch->fresh |= row->alias != 0 || atomic_load_explicit(&module->success_epoch,
                                                            memory_order_relaxed) != batch->epoch;
    batch->token_bytes += len;
    batch->frame_bytes += bytes;
    batch->full_count++;
    put(batch, index, 0, row->alias);
    return true;
}

/* Whether beat `index` can go into a frame at all; else it has its status already. */
static bool may_go(struct pw_batch *batch, size_t index)
{
    struct pywatt_beat *beat = &batch->beats[index];
    if (!pw_beat_is_pending(beat)) {
        return false;
    }
    if (beat->module == NULL || beat->module->client != batch->client || !is_health(beat->health)) {
        pw_batch_refuse(batch, index, PYWATT_INVALID_ARGUMENT,
                        beat->module == NULL ? "the module is NULL"
                        : beat->module->client != batch->client
                            ? "the module belongs to another client"
                            : "its health is none of the three");
        return false;
    }
    if (pw_handle_unwell(beat->module)) {
        pw_batch_refuse(batch, index, PYWATT_MODULE_NOT_FOUND,
                        "it has to be registered again first");
        return false;
    }
    return true;
}

/* Adds a beat that may go; false if it does not fit. */
static bool add(struct pw_batch *batch, size_t index, bool together)
{
    const struct pywatt_beat *beat = &batch->beats[index];
    if (batch->filled == batch->most_beats) {
        return false;
    }
    const bool may_be_short = together && beat->status == PW_BEAT_PENDING;
    const uint32_t alias = may_be_short ? pw_alias_of(&beat->module->alias, batch->alias_epoch) : 0;
    if (alias == 0) {
        return add_row(batch, index, together);
    }
    if (!fits(batch, sizeof(pw_short_beat))) {
        return false;
    }
    put(batch, index, alias, pw_alias_used(alias));
    return true;
}

/*
 * To ask for what is not there does no harm, but there is no address behind that. Inlined for sure: gcc
 * takes a function that only does this for one that does nothing.
 */
__attribute__((always_inline)) static inline void ask_for_module(const struct pw_batch *batch,
                                                                 size_t index)
{
    if (index < batch->count) {
        const uintptr_t module = (uintptr_t)batch->beats[index].module;
        __builtin_prefetch((const void *)module);
        if (batch->full_count > 0) {
            __builtin_prefetch((const void *)(module + PW_CACHE_LINE));
        }
    }
}

static void begin(struct pw_batch *batch, bool together)
{
    const uint32_t max_frame_bytes = batch->client->settings.max_frame_bytes;
    const uint32_t most = pw_beat_frame_most_beats(max_frame_bytes);
    batch->filled = 0;
    batch->full_count = 0;
    batch->fresh = false;
    batch->token_bytes = 0;
    batch->frame_bytes = 0;
    batch->most_beats = !together ? 1 : most < PW_BATCH_MAX ? most : PW_BATCH_MAX;
    batch->most_bytes = pw_beat_frame_most_bytes(max_frame_bytes);
}

size_t pw_batch_fill(struct pw_batch *batch, size_t first, bool together)
{
    begin(batch, together);
    for (size_t at = first; at < batch->count; at++) {
        ask_for_module(batch, at + AHEAD);
        if (!may_go(batch, at)) {
            return at + 1;
        }
        if (!add(batch, at, together)) {
            if (batch->filled > 0) {
                return at;
            }
            pw_batch_refuse(batch, at, PYWATT_CLOSED, "the module is unregistered");
            return at + 1;
        }
    }
    return batch->count;
}

struct pw_request pw_batch_request(const struct pw_batch *batch, bool together)
{
    const struct pw_batched_beat *row = &batch->rows[0];
    const bool any_short = batch->full_count < batch->filled;
    /* One by itself that has no alias goes as what it is, which is shorter. */
    if (together && (batch->filled > 1 || any_short || row->alias != 0)) {
        return (struct pw_request){.operation = PW_OP_HEARTBEAT_BATCH,
                                   .beats = batch->rows,
                                   .short_beats = any_short ? batch->short_beats : NULL,
                                   .beat_count = batch->filled,
                                   .full_count = batch->full_count,
                                   .only_epoch = batch->epoch};
    }
    return (struct pw_request){.operation = PW_OP_HEARTBEAT,
                               .module_id = row->module_id,
                               .token = row->token,
                               .generation = row->generation,
                               .health = row->health};
}

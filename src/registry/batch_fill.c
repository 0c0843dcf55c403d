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

/* Copies what the module beats with into the next row; false if it does not fit any more. */
static bool add_row(struct pw_batch *batch, struct pywatt_beat *beat)
{
    struct pw_batched_beat *row = &batch->rows[batch->filled];
    char *token = batch->tokens + batch->token_bytes;
    const size_t len =
        pw_handle_card(beat->module, row, token, PW_BATCH_TOKEN_BYTES - batch->token_bytes);
    const size_t bytes = PW_BEAT_OVERHEAD + len;
    if (len == 0 ||
        (batch->filled > 0 && !pw_beat_frame_fits(batch->client->settings.max_frame_bytes,
                                                  batch->filled + 1, batch->frame_bytes + bytes))) {
        return false;
    }
    row->token = (struct pw_str){token, len};
    row->health = beat->health;
    batch->fresh |=
        atomic_load_explicit(&beat->module->success_epoch, memory_order_relaxed) != batch->epoch;
    batch->token_bytes += len;
    batch->frame_bytes += bytes;
    batch->filled++;
    return true;
}

/* Whether beat `index` can go into a frame at all; else it has its status already. */
static bool may_go(struct pw_batch *batch, size_t index)
{
    struct pywatt_beat *beat = &batch->beats[index];
    if (beat->status != PW_BEAT_PENDING) {
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

size_t pw_batch_fill(struct pw_batch *batch, size_t first, uint32_t most)
{
    batch->filled = 0;
    batch->fresh = false;
    batch->token_bytes = 0;
    batch->frame_bytes = 0;
    size_t at = first;
    while (at < batch->count && batch->filled < most) {
        if (at + AHEAD < batch->count) {
            const uint8_t *ahead = (const uint8_t *)batch->beats[at + AHEAD].module;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + PW_CACHE_LINE);
        }
        if (!may_go(batch, at)) {
            return at + 1;
        }
        if (!add_row(batch, &batch->beats[at])) {
            if (batch->filled > 0) {
                return at;
            }
            pw_batch_refuse(batch, at, PYWATT_CLOSED, "the module is unregistered");
            return at + 1;
        }
        at++;
    }
    return at;
}

struct pw_request pw_batch_request(const struct pw_batch *batch, bool as_batch)
{
    const struct pw_batched_beat *row = &batch->rows[0];
    if (as_batch) {
        return (struct pw_request){
            .operation = PW_OP_HEARTBEAT_BATCH, .beats = batch->rows, .beat_count = batch->filled};
    }
    return (struct pw_request){.operation = PW_OP_HEARTBEAT,
                               .module_id = row->module_id,
                               .token = row->token,
                               .generation = row->generation,
                               .health = row->health};
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * held_batch.c - see held_batch.h. The worker's thread; no lock.
 */
#include "orchestrator/held_batch.h"

#include "orchestrator/token.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sets of ids ---- */

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct pywatt_uuid));
}

size_t pw_id_set_make(struct pywatt_uuid *ids, size_t count)
{
    size_t kept = 0;
    if (count > 0) {
        qsort(ids, count, sizeof(*ids), compare);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !pywatt_uuid_equal(&ids[kept - 1], &ids[i])) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

bool pw_id_set_has(const struct pywatt_uuid *ids, size_t count, const struct pywatt_uuid *id)
{
    return count > 0 && bsearch(id, ids, count, sizeof(*ids), compare) != NULL;
}

/* ---- The batch ---- */

static void take_full(struct pw_held_beat *beat, const struct pw_batched_beat *from, uint64_t order)
{
    beat->name = (struct pw_alias_name){from->module_id, from->generation, order};
    beat->by.token = from->token;
    beat->alias = from->alias;
    beat->health = (uint8_t)from->health;
}

static void take_short(struct pw_held_beat *beat, pw_short_beat from,
                       const struct pw_aliases *aliases)
{
    const uint32_t alias = pw_short_beat_alias(from);
    const struct pw_alias_place *place = pw_aliases_find(aliases, alias);
    beat->is_short = true;
    beat->alias = alias;
    beat->health = (uint8_t)pw_short_beat_health(from);
    if (place != NULL) {
        beat->by.place = *place;
        beat->name = *pw_aliases_name(aliases, alias);
    } else {
        beat->by.place = (struct pw_alias_place){.module = NULL};
    }
}

struct pw_held_beat *pw_held_beats_of(const struct pw_request *request,
                                      const struct pw_aliases *aliases, struct pw_arena *arena)
{
    const struct pw_batched_beat *full = request->beats;
    struct pw_held_beat *beats = pw_arena_calloc(arena, request->beat_count, sizeof(*beats));
    for (uint32_t i = 0; beats != NULL && i < request->beat_count; i++) {
        beats[i].index = i;
        if (pw_request_is_full(request, i)) {
            take_full(&beats[i], full++, aliases->orders);
        } else {
            take_short(&beats[i], request->short_beats[i], aliases);
        }
        beats[i].outcome.health = (enum pywatt_health)beats[i].health;
    }
    return beats;
}

static bool is_kept(const struct pw_held_beat *beat)
{
    return beat->waits || pw_held_beat_is_exception(beat);
}

static size_t token_bytes(const struct pw_held_beat *beat)
{
    return beat->waits && !beat->is_short ? beat->by.token.len : 0;
}

_Static_assert(alignof(struct pw_held_beat) <= alignof(struct pw_held_batch) &&
                   alignof(struct pywatt_uuid) <= alignof(struct pw_held_beat),
               "the parts stand behind each other");

static struct pw_held_batch *new_with_room(uint32_t held_count, uint32_t waiting, size_t text_len,
                                           char **text)
{
    const size_t size = sizeof(struct pw_held_batch) + held_count * sizeof(struct pw_held_beat) +
                        waiting * sizeof(struct pywatt_uuid) + text_len;
    struct pw_held_batch *held = malloc(size);
    if (held != NULL) {
        *held = (struct pw_held_batch){.size = size};
        held->held = (struct pw_held_beat *)(held + 1);
        held->ids = (struct pywatt_uuid *)(held->held + held_count);
        *text = (char *)(held->ids + waiting);
    }
    return held;
}

static void keep(struct pw_held_batch *held, const struct pw_held_beat *beat, char **text)
{
    struct pw_held_beat *kept = &held->held[held->held_count++];
    *kept = *beat;
    if (beat->waits) {
        held->ids[held->id_count++] = beat->name.id;
    }
    if (!beat->is_short) {
        const size_t len = token_bytes(beat);
        memcpy(*text, beat->by.token.data, len);
        kept->by.token = (struct pw_str){*text, len};
        *text += len;
    }
}

struct pw_held_batch *pw_held_batch_new(const struct pw_held_beat *beats, uint32_t count)
{
    uint32_t held_count = 0;
    uint32_t waiting = 0;
    size_t text_len = 0;
    char *text = NULL;
    for (uint32_t i = 0; i < count; i++) {
        held_count += is_kept(&beats[i]) ? 1 : 0;
        waiting += beats[i].waits ? 1 : 0;
        text_len += token_bytes(&beats[i]);
    }
    struct pw_held_batch *held = new_with_room(held_count, waiting, text_len, &text);
    if (held == NULL) {
        return NULL;
    }
    held->beat_count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (is_kept(&beats[i])) {
            keep(held, &beats[i], &text);
        }
    }
    held->id_count = pw_id_set_make(held->ids, held->id_count);
    return held;
}

void pw_held_batch_free(struct pw_held_batch *held)
{
    if (held != NULL) {
        pw_token_wipe(held, held->size);
        free(held);
    }
}

bool pw_held_batch_has(const struct pw_held_batch *held, const struct pywatt_uuid *id)
{
    return pw_id_set_has(held->ids, held->id_count, id);
}

bool pw_held_batches_meet(const struct pw_held_batch *a, const struct pw_held_batch *b)
{
    size_t i = 0;
    size_t j = 0;
    while (i < a->id_count && j < b->id_count) {
        const int order = compare(&a->ids[i], &b->ids[j]);
        if (order == 0) {
            return true;
        }
        i += order < 0 ? 1 : 0;
        j += order > 0 ? 1 : 0;
    }
    return false;
}

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

static size_t token_bytes(const struct pw_request *request)
{
    size_t total = 0;
    for (uint32_t i = 0; request->short_beats == NULL && i < request->beat_count; i++) {
        total += request->beats[i].token.len;
    }
    return total;
}

static void copy_beats(struct pw_held_batch *held, const struct pw_batched_beat *beats, char *text)
{
    for (uint32_t i = 0; i < held->count; i++) {
        const struct pw_str token = beats[i].token;
        held->beats[i] = beats[i];
        if (token.len > 0) {
            memcpy(text, token.data, token.len);
        }
        held->beats[i].token = (struct pw_str){text, token.len};
        text += token.len;
    }
}

_Static_assert(alignof(struct pw_batched_beat) <= alignof(struct pw_held_batch) &&
                   alignof(struct pw_beat_outcome) <= alignof(struct pw_batched_beat) &&
                   alignof(pw_short_beat) <= alignof(struct pw_beat_outcome) &&
                   sizeof(pw_short_beat) <= sizeof(struct pw_batched_beat),
               "the parts stand behind each other, the long beats or the short ones first");

struct pw_held_batch *pw_held_batch_new(const struct pw_request *request, const bool *waits,
                                        const struct pywatt_uuid *ids, size_t id_count)
{
    const uint32_t count = request->beat_count;
    const size_t each = sizeof(struct pw_batched_beat) + sizeof(struct pw_beat_outcome) +
                        sizeof(struct pywatt_uuid) + sizeof(bool);
    const size_t size = sizeof(struct pw_held_batch) + count * each + token_bytes(request);
    struct pw_held_batch *held = malloc(size);
    if (held == NULL) {
        return NULL;
    }
    *held = (struct pw_held_batch){.count = count, .size = size};
    held->beats = (struct pw_batched_beat *)(held + 1);
    held->outcomes = (struct pw_beat_outcome *)(held->beats + count);
    held->ids = (struct pywatt_uuid *)(held->outcomes + count);
    held->waits = (bool *)(held->ids + count);
    memcpy(held->waits, waits, count * sizeof(*waits));
    memcpy(held->ids, ids, id_count * sizeof(*ids));
    held->id_count = pw_id_set_make(held->ids, id_count);
    if (request->short_beats == NULL) {
        copy_beats(held, request->beats, (char *)(held->waits + count));
    } else {
        held->short_beats = (pw_short_beat *)(held + 1);
        memcpy(held->short_beats, request->short_beats, count * sizeof(*held->short_beats));
        held->beats = NULL;
    }
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

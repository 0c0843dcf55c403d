/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * held_batch.h - a batch of beats of which some have to wait, since earlier requests of the same
 * connection that touch their modules are not done. The others have been served: their outcomes are
 * kept until the reply to all of them can be made. Rare, so it may cost memory. The worker's thread.
 */
#ifndef PW_ORCHESTRATOR_HELD_BATCH_H
#define PW_ORCHESTRATOR_HELD_BATCH_H

#include "model/message.h"
#include "orchestrator/presence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_held_batch {
    uint32_t count;
    struct pw_batched_beat *beats; /* all of them, with tokens of their own; or: */
    pw_short_beat *short_beats;    /* NULL if it is `beats` */
    struct pw_beat_outcome *outcomes;
    bool *waits;
    struct pywatt_uuid *ids; /* of the modules whose beats wait, sorted, each once */
    size_t id_count;
    size_t size; /* of it all, which is one piece */
};

/*
 * Copies the beats of the request, of which those wait that are marked; `ids` are those of their
 * modules, in any order. NULL when memory is out.
 */
struct pw_held_batch *pw_held_batch_new(const struct pw_request *request, const bool *waits,
                                        const struct pywatt_uuid *ids, size_t id_count);

/* Wipes its tokens. NULL is allowed. */
void pw_held_batch_free(struct pw_held_batch *held);

/* Whether a beat of this module waits in it. */
bool pw_held_batch_has(const struct pw_held_batch *held, const struct pywatt_uuid *id);

/* Whether beats of one module wait in both. */
bool pw_held_batches_meet(const struct pw_held_batch *a, const struct pw_held_batch *b);

/* A set of ids: sorts them, and drops those that stand there twice. How many are left. */
size_t pw_id_set_make(struct pywatt_uuid *ids, size_t count);
bool pw_id_set_has(const struct pywatt_uuid *ids, size_t count, const struct pywatt_uuid *id);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * held_batch.h - a batch of beats of which some have to wait, since earlier requests of the same
 * connection that touch their modules are not done. The others have been served: their outcomes are
 * kept, if there is something to say to them, until the reply to all of them can be made. A beat by an
 * alias is that of the module that the alias stood for when it came. The worker's thread.
 */
#ifndef PW_ORCHESTRATOR_HELD_BATCH_H
#define PW_ORCHESTRATOR_HELD_BATCH_H

#include "base/arena.h"
#include "model/message.h"
#include "orchestrator/presence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A beat with all that its request and its connection knew of it when it came. */
struct pw_held_beat {
    struct pw_alias_name name; /* of its module; of no use if it is by an alias for nothing */
    union {
        struct pw_str token;         /* in full */
        struct pw_alias_place place; /* by an alias; its module NULL if that stood for nothing */
    } by;
    struct pw_beat_outcome
        outcome;    /* once it is served; until then its health is what it reports */
    uint32_t index; /* in its batch */
    uint32_t alias; /* that it came by, or that it gives */
    uint8_t health; /* enum pywatt_health, that it reports */
    bool is_short;
    bool waits;
};

struct pw_held_batch {
    uint32_t beat_count; /* of the whole batch */
    uint32_t held_count;
    struct pw_held_beat *held;
    struct pywatt_uuid *ids; /* of the modules whose beats wait, sorted, each once */
    size_t id_count;
    size_t size; /* of it all, which is one piece */
};

/*
 * The beats of a batch, as they are now: request->beat_count of them, which borrow from the request. NULL
 * when memory is out.
 */
struct pw_held_beat *pw_held_beats_of(const struct pw_request *request,
                                      const struct pw_aliases *aliases, struct pw_arena *arena);

/* Whose module is known. */
static inline bool pw_held_beat_has_module(const struct pw_held_beat *beat)
{
    return !beat->is_short || beat->by.place.module != NULL;
}

/* Whether there is something to say to it: it was refused, or is seen otherwise. */
static inline bool pw_held_beat_is_exception(const struct pw_held_beat *beat)
{
    return beat->outcome.status != PYWATT_OK || (uint8_t)beat->outcome.health != beat->health;
}

/*
 * Copies of the `count` beats of a batch those that wait, and those that were served and to which there
 * is something to say. NULL when memory is out.
 */
struct pw_held_batch *pw_held_batch_new(const struct pw_held_beat *beats, uint32_t count);

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

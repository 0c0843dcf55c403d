/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * due_heap.h - what is due next: a pairing heap by absolute time whose links stand in the items, so
 * that nothing here allocates. Insertion is O(1), taking the earliest out or any other is O(log n)
 * over time. No lock of its own: its owner's.
 */
#ifndef PW_REGISTRY_DUE_HEAP_H
#define PW_REGISTRY_DUE_HEAP_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct pw_due {
    uint64_t at_ns;
    struct pw_due *child;   /* the first of those below, none of which is due earlier */
    struct pw_due *sibling; /* the next one with the same parent */
    struct pw_due **back;   /* what points here; NULL while in no heap */
};

struct pw_due_heap {
    struct pw_due *root;
};

static inline void pw_due_heap_init(struct pw_due_heap *heap)
{
    heap->root = NULL;
}

/* To be called once before an item's first use. */
static inline void pw_due_init(struct pw_due *item)
{
    item->back = NULL;
}

static inline bool pw_due_queued(const struct pw_due *item)
{
    return item->back != NULL;
}

/* Moves all of `from` into `to`, which must be empty. */
static inline void pw_due_heap_move(struct pw_due_heap *to, struct pw_due_heap *from)
{
    to->root = from->root;
    from->root = NULL;
    if (to->root != NULL) {
        to->root->back = &to->root;
    }
}

/* PW_DEADLINE_NEVER for an empty heap. */
static inline uint64_t pw_due_heap_next_ns(const struct pw_due_heap *heap)
{
    return heap->root == NULL ? PW_DEADLINE_NEVER : heap->root->at_ns;
}

/* Puts `item`, which must be in no heap, in; due `at_ns`. */
void pw_due_heap_insert(struct pw_due_heap *heap, struct pw_due *item, uint64_t at_ns);

/* Takes `item`, which must be in this heap, out. */
void pw_due_heap_remove(struct pw_due_heap *heap, struct pw_due *item);

/* Takes the earliest out if it is due at `now_ns`; else NULL. */
struct pw_due *pw_due_heap_pop(struct pw_due_heap *heap, uint64_t now_ns);

#endif

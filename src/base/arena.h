/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * arena.h - memory that is given back all at once, with a budget. No lock of its own.
 *
 * Decoders allocate from it: a message cannot take more than the budget, and a steady flow of
 * messages allocates nothing, as all blocks are kept over a reset.
 */
#ifndef PW_BASE_ARENA_H
#define PW_BASE_ARENA_H

#include "base/bytes.h"

#include <stddef.h>
#include <stdint.h>

struct pw_arena_block;

struct pw_arena {
    struct pw_arena_block *blocks; /* in the order of their use */
    struct pw_arena_block *current;
    uint8_t *at;
    uint8_t *end;
    size_t used;
    size_t budget;
    bool exhausted; /* an allocation failed for the budget, not for the system's memory */
};

/* No memory is taken before the first allocation. */
void pw_arena_init(struct pw_arena *arena, size_t budget);

/*
 * As pw_arena_init, and uses the caller's `storage` first, which must be aligned for any type and
 * live as long as the arena: small messages then need no heap at all.
 */
void pw_arena_init_with(struct pw_arena *arena, size_t budget, void *storage, size_t size);
void pw_arena_destroy(struct pw_arena *arena);

/* Everything allocated is gone; the memory stays, for the next ones. */
void pw_arena_reset(struct pw_arena *arena);

/* Aligned for any type, not zeroed; NULL when the budget or the memory is out. */
void *pw_arena_alloc(struct pw_arena *arena, size_t size);

/* The same, zeroed, for `count` items of `size`; NULL on overflow, too. */
void *pw_arena_calloc(struct pw_arena *arena, size_t count, size_t size);

/* A copy of `text` with a NUL behind it. */
char *pw_arena_strdup(struct pw_arena *arena, struct pw_str text);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * arena.c - memory that is given back all at once. No lock of its own: one thread at a time.
 *
 * The budget counts what was handed out. The heap holds at most twice as much: a block is left for
 * the next one only for an allocation that is larger than what is wasted in it, and no block is
 * larger than what the budget still allows. After a reset the same blocks are used again in the same
 * order, so that a message like the last one finds room for each of its allocations; a block that is
 * passed over as too small is freed, so there are never more of them than one message may take.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK_BYTES ((size_t)4096)
#define ALIGNMENT alignof(max_align_t)

struct pw_arena_block {
    alignas(max_align_t) struct pw_arena_block *next;
    size_t size;   /* of the bytes behind this header */
    bool borrowed; /* the caller's storage */
};

static uint8_t *block_bytes(struct pw_arena_block *block)
{
    return (uint8_t *)(block + 1);
}

static void use_block(struct pw_arena *arena, struct pw_arena_block *block)
{
    arena->current = block;
    arena->at = block_bytes(block);
    arena->end = block_bytes(block) + block->size;
}

void pw_arena_init(struct pw_arena *arena, size_t budget)
{
    *arena = (struct pw_arena){.budget = budget};
}

void pw_arena_init_with(struct pw_arena *arena, size_t budget, void *storage, size_t size)
{
    pw_arena_init(arena, budget);
    if (size > sizeof(struct pw_arena_block)) {
        struct pw_arena_block *block = storage;
        block->next = NULL;
        block->size = size - sizeof(*block);
        block->borrowed = true;
        arena->blocks = block;
        use_block(arena, block);
    }
}

void pw_arena_destroy(struct pw_arena *arena)
{
    struct pw_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct pw_arena_block *next = block->next;
        if (!block->borrowed) {
            free(block);
        }
        block = next;
    }
    pw_arena_init(arena, arena->budget);
}

void pw_arena_reset(struct pw_arena *arena)
{
    if (arena->blocks != NULL) {
        use_block(arena, arena->blocks);
    }
    arena->used = 0;
    arena->exhausted = false;
}

/* Goes on to a block that an earlier message has left, if one has room for `needed` bytes. */
static bool reuse_block(struct pw_arena *arena, size_t needed)
{
    struct pw_arena_block *const current = arena->current;
    while (current != NULL && current->next != NULL) {
        struct pw_arena_block *next = current->next;
        if (next->size >= needed) {
            use_block(arena, next);
            return true;
        }
        current->next = next->next;
        free(next);
    }
    return false;
}

/* A new block with room for `needed` bytes, which the budget allows; each time twice the last. */
static bool add_block(struct pw_arena *arena, size_t needed)
{
    size_t size = FIRST_BLOCK_BYTES;
    if (arena->current != NULL && arena->current->size > size / 2) {
        size = arena->current->size * 2;
    }
    const size_t left = arena->budget - arena->used;
    if (size > left) {
        size = left;
    }
    if (size < needed) {
        size = needed;
    }
    if (size > SIZE_MAX - sizeof(struct pw_arena_block)) {
        return false;
    }
    struct pw_arena_block *block = malloc(sizeof(*block) + size);
    if (block == NULL) {
        return false;
    }
    block->next = NULL;
    block->size = size;
    block->borrowed = false;
    if (arena->current == NULL) {
        arena->blocks = block;
    } else {
        arena->current->next = block;
    }
    use_block(arena, block);
    return true;
}

void *pw_arena_alloc(struct pw_arena *arena, size_t size)
{
    const size_t left = arena->budget - arena->used;
    /* At least a byte, so that allocations of nothing have addresses of their own, and an end. */
    const size_t asked = size == 0 ? 1 : size;
    if (asked > left) {
        arena->exhausted = true;
        return NULL;
    }
    if (asked > SIZE_MAX - ALIGNMENT) {
        return NULL;
    }
    const size_t needed = (asked + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (needed > (size_t)(arena->end - arena->at) && !reuse_block(arena, needed) &&
        !add_block(arena, needed)) {
        return NULL;
    }
    void *result = arena->at;
    arena->at += needed;
    /* The last one may end in the alignment's padding. */
    arena->used += needed > left ? left : needed;
    return result;
}

void *pw_arena_calloc(struct pw_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        arena->exhausted = true;
        return NULL;
    }
    void *result = pw_arena_alloc(arena, bytes);
    if (result != NULL) {
        memset(result, 0, bytes);
    }
    return result;
}

char *pw_arena_strdup(struct pw_arena *arena, struct pw_str text)
{
    if (text.len == SIZE_MAX) {
        arena->exhausted = true;
        return NULL;
    }
    char *copy = pw_arena_alloc(arena, text.len + 1);
    if (copy != NULL) {
        if (text.len > 0) {
            memcpy(copy, text.data, text.len);
        }
        copy[text.len] = '\0';
    }
    return copy;
}

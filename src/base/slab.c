/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * slab.c - items of one size from chunks that grow up to a huge page. Any thread; the slab's mutex
 * guards all of it.
 */
#include "base/slab.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define FIRST_CHUNK ((size_t)16 << 10)

/* Stands in the first line of its chunk. */
struct pw_slab_chunk {
    struct pw_slab_chunk *next;
};

struct pw_slab_item {
    struct pw_slab_item *next;
};

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

enum pywatt_status pw_slab_init(struct pw_slab *slab, size_t item_size)
{
    *slab = (struct pw_slab){.item_size = round_up(item_size, PW_CACHE_LINE)};
    return pw_mutex_init(&slab->mutex);
}

void pw_slab_destroy(struct pw_slab *slab)
{
    while (slab->chunks != NULL) {
        struct pw_slab_chunk *next = slab->chunks->next;
        free(slab->chunks);
        slab->chunks = next;
    }
    pw_mutex_destroy(&slab->mutex);
}

/* So that not much lies idle, and what is large is whole huge pages. */
static size_t next_chunk(const struct pw_slab *slab)
{
    const size_t share = slab->taken / 16;
    if (share >= HUGE_PAGE) {
        return HUGE_PAGE;
    }
    return share <= FIRST_CHUNK ? FIRST_CHUNK : round_up(share, PW_CACHE_LINE);
}

static bool add_chunk_locked(struct pw_slab *slab)
{
    const size_t size = next_chunk(slab);
    const size_t alignment = size < HUGE_PAGE ? PW_CACHE_LINE : HUGE_PAGE;
    char *memory = aligned_alloc(alignment, size);
    if (memory == NULL) {
        return false;
    }
    if (size >= HUGE_PAGE) {
        (void)madvise(memory, size, MADV_HUGEPAGE); /* without it they are only slower */
    }
    struct pw_slab_chunk *chunk = (struct pw_slab_chunk *)(void *)memory;
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    slab->fresh = memory + PW_CACHE_LINE;
    slab->fresh_end = memory + size;
    slab->taken += size;
    return true;
}

static void *take_locked(struct pw_slab *slab)
{
    struct pw_slab_item *item = slab->free;
    if (item != NULL) {
        slab->free = item->next;
        return item;
    }
    if ((size_t)(slab->fresh_end - slab->fresh) < slab->item_size && !add_chunk_locked(slab)) {
        return NULL;
    }
    void *fresh = slab->fresh;
    slab->fresh += slab->item_size;
    memset(fresh, 0, slab->item_size);
    return fresh;
}

void *pw_slab_take(struct pw_slab *slab)
{
    pw_mutex_lock(&slab->mutex);
    void *item = take_locked(slab);
    pw_mutex_unlock(&slab->mutex);
    return item;
}

void pw_slab_give(struct pw_slab *slab, void *item)
{
    struct pw_slab_item *given = item;
    if (given != NULL) {
        pw_mutex_lock(&slab->mutex);
        given->next = slab->free;
        slab->free = given;
        pw_mutex_unlock(&slab->mutex);
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * slab.h - many items of one size, close together: each starts a line of the cache, and where there
 * are many they stand in huge pages, so that an item that is looked up at random costs the processor
 * one miss and no walk through page tables. Its own lock; any thread.
 *
 * Memory is taken in chunks, of a sixteenth of what there is at most, and kept for the next items until
 * the slab is destroyed.
 */
#ifndef PW_BASE_SLAB_H
#define PW_BASE_SLAB_H

#include "base/sync.h"

#include <pywatt/status.h>

#include <stddef.h>

struct pw_slab_chunk;
struct pw_slab_item;

struct pw_slab {
    size_t item_size;
    struct pw_mutex mutex;
    /* mutex */
    struct pw_slab_chunk *chunks;
    struct pw_slab_item *free;
    char *fresh; /* what of the newest chunk was never used */
    char *fresh_end;
    size_t taken; /* in chunks */
};

/* PYWATT_OK or PYWATT_NO_MEMORY. Takes no memory for items yet. */
enum pywatt_status pw_slab_init(struct pw_slab *slab, size_t item_size);

/* All items are gone. */
void pw_slab_destroy(struct pw_slab *slab);

/*
 * What was never taken before is zeroed; what was given back is as it was then, but for the first
 * pointer's bytes. NULL when memory is out.
 */
void *pw_slab_take(struct pw_slab *slab);

/* NULL is allowed. */
void pw_slab_give(struct pw_slab *slab, void *item);

#endif

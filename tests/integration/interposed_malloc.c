/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * interposed_malloc.c - tests/support/malloc_fail.h once more, for all of the process: malloc and its
 * kin are defined here, in the program, so what shared libraries allocate (cJSON, protobuf-c, the C
 * library) can be made to fail, too. Not with sanitizers or Valgrind, which define them themselves.
 *
 * Any thread allocates; the state is atomic.
 */
#include "malloc_fail_counter.h"

#include <stdatomic.h>
#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

/* How many allocations have not been freed. */
long pw_live_allocations(void);

void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *old, size_t size);
void free(void *memory);

static atomic_long live;

static void *count(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    }
    return memory;
}

long pw_live_allocations(void)
{
    return atomic_load(&live);
}

void *malloc(size_t size)
{
    return pw_malloc_must_fail() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return pw_malloc_must_fail() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
    if (pw_malloc_must_fail()) {
        return NULL;
    }
    void *memory = __libc_realloc(old, size);
    return old == NULL ? count(memory) : memory;
}

void free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    }
    __libc_free(memory);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * heap_peak.c - counts what is allocated and freed, by the linker's --wrap. State of each thread.
 */
#include "heap_peak.h"

#include <malloc.h>
#include <stdbool.h>

static _Thread_local bool counting;
static _Thread_local size_t held;
static _Thread_local size_t peak;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);

static void count(size_t gone_size, void *come)
{
    if (!counting) {
        return;
    }
    held = held > gone_size ? held - gone_size : 0;
    held += come == NULL ? 0 : malloc_usable_size(come);
    peak = held > peak ? held : peak;
}

void *__wrap_malloc(size_t size)
{
    void *memory = __real_malloc(size);
    count(0, memory);
    return memory;
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *memory = __real_calloc(n, size);
    count(0, memory);
    return memory;
}

void *__wrap_realloc(void *old, size_t size)
{
    const size_t before = old == NULL ? 0 : malloc_usable_size(old);
    void *memory = __real_realloc(old, size);
    if (memory != NULL) {
        count(before, memory);
    }
    return memory;
}

void __wrap_free(void *memory)
{
    const size_t size = memory == NULL ? 0 : malloc_usable_size(memory);
    __real_free(memory);
    count(size, NULL);
}

void pw_heap_peak_start(void)
{
    held = 0;
    peak = 0;
    counting = true;
}

size_t pw_heap_peak_stop(void)
{
    counting = false;
    return peak;
}

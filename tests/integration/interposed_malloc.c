/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * interposed_malloc.c - tests/support/malloc_fail.h once more, for all of the process: malloc and its
 * kin are defined here, in the program, so what shared libraries allocate (cJSON, protobuf-c, the C
 * library) can be made to fail, too. Not with sanitizers or Valgrind, which define them themselves.
 *
 * Any thread allocates; the state is atomic or thread-local.
 */
#include "malloc_fail.h"

#include <errno.h>
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

enum mode {
    OFF,
    THIS_THREAD,
    ANY_THREAD,
    ANY_THREAD_AND_AFTER
};

static atomic_int mode;
static atomic_ulong target;
static atomic_ulong counted;
static atomic_bool fired;
static atomic_long live;
static _Thread_local bool armed_here;
static _Thread_local unsigned paused;

static void arm(enum mode how, unsigned long n)
{
    atomic_store(&mode, OFF);
    atomic_store(&target, n);
    atomic_store(&counted, 0);
    atomic_store(&fired, false);
    armed_here = how == THIS_THREAD;
    atomic_store(&mode, (int)how);
}

void pw_malloc_fail_at(unsigned long n)
{
    arm(THIS_THREAD, n);
}

void pw_malloc_fail_at_any_thread(unsigned long n)
{
    arm(ANY_THREAD, n);
}

void pw_malloc_fail_from(unsigned long n)
{
    arm(ANY_THREAD_AND_AFTER, n);
}

bool pw_malloc_fail_disarm(void)
{
    atomic_store(&mode, OFF);
    armed_here = false;
    return atomic_load(&fired);
}

bool pw_malloc_fail_fired(void)
{
    return atomic_load(&fired);
}

unsigned long pw_malloc_fail_count(void)
{
    return atomic_load(&counted);
}

void pw_malloc_fail_pause(void)
{
    paused++;
}

void pw_malloc_fail_resume(void)
{
    paused--;
}

static bool must_fail(void)
{
    const int how = atomic_load(&mode);
    if (how == OFF || paused != 0 || (how == THIS_THREAD && !armed_here)) {
        return false;
    }
    const unsigned long n = atomic_fetch_add(&counted, 1) + 1;
    const unsigned long at = atomic_load(&target);
    if (n != at && !(how == ANY_THREAD_AND_AFTER && n > at)) {
        return false;
    }
    atomic_store(&fired, true);
    errno = ENOMEM;
    return true;
}

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
    return must_fail() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
    if (must_fail()) {
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

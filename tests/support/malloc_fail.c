/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Allocation failure on demand, by the linker's --wrap. See malloc_fail.h.
 *
 * All state is atomic or thread-local: the counter is shared by every thread of the program, and the
 * functions here run on whichever thread allocates. There is no lock, since they must not change the
 * timing of what is tested more than an allocation does.
 */
#include "malloc_fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static _Thread_local bool armed_here;
static _Thread_local unsigned paused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
int __real_vasprintf(char **out, const char *format, va_list arguments);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_vasprintf(char **out, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

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

/* Counts one allocation; true if it is one that has to fail. */
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

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return must_fail() ? NULL : __real_reallocarray(old, n, size);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return must_fail() ? NULL : __real_strndup(text, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return must_fail() ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    return must_fail() ? ENOMEM : __real_posix_memalign(out, alignment, size);
}

int __wrap_vasprintf(char **out, const char *format, va_list arguments)
{
    if (must_fail()) {
        *out = NULL;
        return -1;
    }
    return __real_vasprintf(out, format, arguments);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int n = __wrap_vasprintf(out, format, arguments);
    va_end(arguments);
    return n;
}

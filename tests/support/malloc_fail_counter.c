/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * malloc_fail_counter.c - which allocation fails: the counter behind malloc_fail.h, whoever comes
 * between a program and its allocations.
 *
 * All state is atomic or thread-local: the counter is shared by every thread of the program, and the
 * functions here run on whichever thread allocates. There is no lock, since they must not change the
 * timing of what is tested more than an allocation does.
 */
#include "malloc_fail_counter.h"

#include "malloc_fail.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

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

bool pw_malloc_must_fail(void)
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

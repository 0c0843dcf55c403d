/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fork.c - counts the forks between this process and the first one that watched. The handler runs in
 * the child, on its only thread; it does what is allowed there, which is next to nothing.
 */
#include "base/fork.h"

#include "base/error.h"

#include <pthread.h>

_Atomic uint32_t pw_fork_process;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static enum pywatt_status watched;

static void in_child(void)
{
    atomic_fetch_add_explicit(&pw_fork_process, 1, memory_order_relaxed);
}

static void watch(void)
{
    watched = pthread_atfork(NULL, NULL, in_child) == 0 ? PYWATT_OK : PYWATT_NO_MEMORY;
}

enum pywatt_status pw_fork_watch(void)
{
    pthread_once(&once, watch);
    return watched;
}

enum pywatt_status pw_fork_refuse(const char *what, struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_FORKED,
                        "the %s belongs to the process that has forked this one: make one here",
                        what);
}

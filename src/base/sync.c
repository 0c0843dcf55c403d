/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sync.c - pthread's mutex, condition variable and thread, with the choices made once. Any thread.
 *
 * A call that fails here is a fault of ours (a lock that the thread has already, one that another
 * has), after which nothing guarded is safe: the process ends. Debug builds find such faults, with
 * mutexes that check their owner.
 */
#include "base/sync.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREAD_STACK_BYTES = 512 * 1024,
    THREAD_NAME_MAX = 15
};

static void must_be(int result, int expected, const char *what)
{
    if (__builtin_expect(result != expected, 0)) {
        fprintf(stderr, "pywatt: %s: error %d\n", what, result);
        abort();
    }
}

#ifdef PW_SYNC_CHECKS
#define MUTEX_TYPE PTHREAD_MUTEX_ERRORCHECK
#else
#define MUTEX_TYPE PTHREAD_MUTEX_DEFAULT
#endif

enum pywatt_status pw_mutex_init(struct pw_mutex *mutex)
{
    pthread_mutexattr_t attributes;
    int result = pthread_mutexattr_init(&attributes);
    if (result == 0) {
        pthread_mutexattr_settype(&attributes, MUTEX_TYPE);
        result = pthread_mutex_init(&mutex->handle, &attributes);
        pthread_mutexattr_destroy(&attributes);
    }
    return result == 0 ? PYWATT_OK : PYWATT_NO_MEMORY;
}

void pw_mutex_destroy(struct pw_mutex *mutex)
{
    must_be(pthread_mutex_destroy(&mutex->handle), 0, "a mutex in use was destroyed");
}

void pw_mutex_lock(struct pw_mutex *mutex)
{
    must_be(pthread_mutex_lock(&mutex->handle), 0, "a mutex cannot be locked");
}

void pw_mutex_unlock(struct pw_mutex *mutex)
{
    must_be(pthread_mutex_unlock(&mutex->handle), 0, "a mutex cannot be unlocked");
}

enum pywatt_status pw_cond_init(struct pw_cond *cond)
{
    pthread_condattr_t attributes;
    int result = pthread_condattr_init(&attributes);
    if (result == 0) {
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        result = pthread_cond_init(&cond->handle, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    return result == 0 ? PYWATT_OK : PYWATT_NO_MEMORY;
}

void pw_cond_destroy(struct pw_cond *cond)
{
    pthread_cond_destroy(&cond->handle);
}

void pw_cond_signal(struct pw_cond *cond)
{
    pthread_cond_signal(&cond->handle);
}

void pw_cond_broadcast(struct pw_cond *cond)
{
    pthread_cond_broadcast(&cond->handle);
}

void pw_cond_wait(struct pw_cond *cond, struct pw_mutex *mutex)
{
    must_be(pthread_cond_wait(&cond->handle, &mutex->handle), 0, "a condition cannot be awaited");
}

bool pw_cond_wait_until(struct pw_cond *cond, struct pw_mutex *mutex, uint64_t deadline_ns)
{
    if (deadline_ns == PW_DEADLINE_NEVER) {
        pw_cond_wait(cond, mutex);
        return true;
    }
    const struct timespec deadline = pw_deadline_timespec(deadline_ns);
    const int result = pthread_cond_timedwait(&cond->handle, &mutex->handle, &deadline);
    if (result == 0) {
        return true;
    }
    must_be(result, ETIMEDOUT, "a condition cannot be awaited");
    return false;
}

struct thread_start {
    void *(*main)(void *);
    void *arg;
    char name[THREAD_NAME_MAX + 1];
};

/* The new thread names itself: for its maker its handle may be stale by then. */
static void *thread_main(void *arg)
{
    const struct thread_start start = *(struct thread_start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), start.name);
    return start.main(start.arg);
}

static int create_with_signals_blocked(pthread_t *out, struct thread_start *start)
{
    pthread_attr_t attributes;
    int result = pthread_attr_init(&attributes);
    if (result != 0) {
        return result;
    }
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    /* A thread starts with its maker's mask, so there is no moment in which it has another. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(out, &attributes, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return result;
}

enum pywatt_status pw_thread_start(pthread_t *out, const char *name, void *(*main)(void *),
                                   void *arg)
{
    struct thread_start *start = malloc(sizeof(*start));
    if (start == NULL) {
        return PYWATT_NO_MEMORY;
    }
    start->main = main;
    start->arg = arg;
    const size_t len = strnlen(name, THREAD_NAME_MAX);
    memcpy(start->name, name, len);
    start->name[len] = '\0';
    if (create_with_signals_blocked(out, start) != 0) {
        free(start);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

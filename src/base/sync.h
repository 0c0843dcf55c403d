/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sync.h - mutexes, condition variables on the monotonic clock, threads with all signals blocked.
 */
#ifndef PW_BASE_SYNC_H
#define PW_BASE_SYNC_H

#include <pywatt/status.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pw_mutex {
    pthread_mutex_t handle;
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_mutex_init(struct pw_mutex *mutex);
void pw_mutex_destroy(struct pw_mutex *mutex);
void pw_mutex_lock(struct pw_mutex *mutex);
void pw_mutex_unlock(struct pw_mutex *mutex);

struct pw_cond {
    pthread_cond_t handle;
};

/* Waits on CLOCK_MONOTONIC. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_cond_init(struct pw_cond *cond);
void pw_cond_destroy(struct pw_cond *cond);
void pw_cond_signal(struct pw_cond *cond);
void pw_cond_broadcast(struct pw_cond *cond);
void pw_cond_wait(struct pw_cond *cond, struct pw_mutex *mutex);

/* False once the absolute deadline has passed; PW_DEADLINE_NEVER waits for ever. */
bool pw_cond_wait_until(struct pw_cond *cond, struct pw_mutex *mutex, uint64_t deadline_ns);

/*
 * Starts a thread with all signals blocked. `name` shows in ps(1), at most 15 bytes. PYWATT_OK or
 * PYWATT_NO_MEMORY (the system has no room for a thread).
 */
enum pywatt_status pw_thread_start(pthread_t *out, const char *name, void *(*main)(void *),
                                   void *arg);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * waiter.h - the one place where `pywattctl run` sleeps: until a signal comes, an asynchronous call
 * has ended, or a time is reached.
 *
 * The main thread owns the waiter and blocks the signals before any other thread exists. What the
 * dispatcher thread tells it is guarded by `lock`, and comes with a write to `wake_fd`.
 */
#ifndef CTL_WAITER_H
#define CTL_WAITER_H

#include <pywatt/pywatt.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define WAITER_FOREVER UINT64_MAX

struct waiter {
    int signal_fd;
    int wake_fd;

    /* Only the main thread. */
    int stops;        /* how often SIGINT or SIGTERM came */
    int health_steps; /* SIGUSR1 counts up, SIGUSR2 down */

    pthread_mutex_t lock;
    /* Guarded by lock. */
    bool call_done;
    struct pywatt_error call_error;    /* its status is PYWATT_OK on success */
    struct pywatt_module *call_module; /* what a registration gave; taken by who waits */
    bool ended;                        /* waiter_end was called */
};

/* Returns 0, or an exit code after it has said why. */
int waiter_init(struct waiter *waiter);
void waiter_destroy(struct waiter *waiter);

/* Monotonic now in nanoseconds, and the moment that lies `ms` ahead. */
uint64_t waiter_now_ns(void);
uint64_t waiter_after_ms(uint64_t ms);

/* Sleeps until something comes or `deadline_ns`, and takes note of what came. */
void waiter_sleep(struct waiter *waiter, uint64_t deadline_ns);

/* Makes the main thread stop as if Ctrl-C had come. Any thread. */
void waiter_end(struct waiter *waiter);

/* True once it has to stop. */
bool waiter_ended(struct waiter *waiter);

/* ---- One asynchronous call at a time -------------------------------------------------------- */

/* Before the call. */
void waiter_call_begin(struct waiter *waiter);

/* Callbacks of asynchronous calls, with the waiter as their user. */
void waiter_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                       struct pywatt_module *module);
void waiter_done(void *user, enum pywatt_status status, const struct pywatt_error *error);

/*
 * Waits for the call's end: true, with its outcome in *error and *module (which may be NULL). False
 * if `stops` signals to stop have come, or the time is up, before.
 */
bool waiter_call_wait(struct waiter *waiter, int stops, uint64_t deadline_ns,
                      struct pywatt_error *error, struct pywatt_module **module);

#endif

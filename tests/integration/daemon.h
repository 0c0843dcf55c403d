/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * daemon.h - pywatt-orchestrator as a process of its own, which can be killed and started again at
 * the same address. It dies with the test. Functions assert: main thread.
 */
#ifndef PW_TESTS_DAEMON_H
#define PW_TESTS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon {
    char url[128];
    pid_t pid; /* 0 while it does not run */
};

void daemon_init(struct daemon *daemon, const char *scheme);

/* Starts it, and waits until it says where it listens. `options` ends with NULL, or is NULL. */
void daemon_start(struct daemon *daemon, const char *const *options);

/* Sends a signal; does not wait. */
void daemon_signal(struct daemon *daemon, int number);

/* Stops it with SIGSTOP, and waits until none of its threads runs any more. */
void daemon_stop(struct daemon *daemon);

/* Waits until it has ended. True if it did so by exit(0). Asserts that it ends at all. */
bool daemon_wait(struct daemon *daemon);

/* Its memory in KiB now, and at most since daemon_forget_peak. */
long daemon_memory_kib(const struct daemon *daemon);
long daemon_peak_kib(const struct daemon *daemon);
void daemon_forget_peak(const struct daemon *daemon);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * run.h - what the two halves of `pywattctl run` share: the life of the module (run.c), and what is
 * told about it while it beats (run_watch.c).
 */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include "pywattctl/common.h"
#include "pywattctl/waiter.h"

#include <stdatomic.h>

struct run {
    const struct ctl_common *common;
    struct waiter waiter;
    struct pywatt_client *client;
    struct pywatt_module *module;
    atomic_bool output_failed;

    /* Only the dispatcher thread, from the loop's start on, and the main thread after its end. */
    bool failing;
    enum pywatt_status failing_with;
    bool has_verdict;
    enum pywatt_health verdict;
    /* Why the run has to end, if beating on makes no sense. */
    struct pywatt_error fatal;
};

/* The watcher of the module's beats, with the struct run as its user. Prints what changes. */
void run_watch(void *user, struct pywatt_module *module,
               const struct pywatt_heartbeat_event *event);

/* Prints a record; if stdout is gone, the run ends. Any thread. */
void run_print(struct run *run, struct ctl_record *record);

/* Prints the counts of the client's beats. */
void run_print_summary(struct run *run);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * host.h - a real orchestrator in this process that can be stopped and started again at the same
 * address, and counts what happens to each module. Functions assert: main thread, except
 * host_module, which any thread may call.
 */
#ifndef PW_TESTS_HOST_H
#define PW_TESTS_HOST_H

#include "pw_test.h"

#include <pywatt/orchestrator.h>

#include <pthread.h>

enum {
    HOST_MODULES_MAX = 512
};

/* What was told of a module since the orchestrator was started last. */
struct host_module {
    struct pywatt_uuid id;
    unsigned registered;
    unsigned reregistered;
    unsigned advertised;
    unsigned unregistered;
};

struct host {
    char url[128];
    struct pywatt_orchestrator_options options; /* may be changed before a start */
    struct pywatt_orchestrator *orchestrator;   /* NULL while it is stopped */
    pthread_mutex_t mutex;
    /* Guarded by mutex. */
    struct host_module modules[HOST_MODULES_MAX];
    size_t module_count;
};

/* At a place of this scheme; two workers. Then started, stopped, started ... and destroyed. */
void host_init(struct host *host, const char *scheme);
void host_start(struct host *host);
void host_stop(struct host *host);
void host_destroy(struct host *host);

/* host_init, host_start. */
void host_begin(struct host *host, const char *scheme);

/* What was told of this module; all zero if nothing was. */
struct host_module host_module(struct host *host, const struct pywatt_uuid *id);

struct pywatt_orchestrator_stats host_stats(struct host *host);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scenarios.h - what an application does with a client and an orchestrator, one thing each, for tests
 * that let it fail. Each runs on the main thread; what it finds is made by stage_set.
 */
#ifndef PW_TESTS_SCENARIOS_H
#define PW_TESTS_SCENARIOS_H

#include "host.h"

#include <pywatt/pywatt.h>

#include <semaphore.h>

/* What a scenario finds when it begins. */
struct stage {
    struct host host;
    const char *codec;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pywatt_module_info *info; /* with a name that was never used */
    struct pywatt_capabilities *capabilities;
    struct pywatt_string_map *details;
    unsigned round;
    /* What an asynchronous operation ended with. */
    sem_t told;
    enum pywatt_status told_status;
};

struct scenario {
    const char *name;
    enum pywatt_status (*run)(struct stage *stage);
    bool allocates; /* in the calling thread, for sure; in some thread all of them do */
};

/* All of them. */
extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* A client, a module and arguments, all fresh; the host runs already. And away with them. */
void stage_set(struct stage *stage);
void stage_strike(struct stage *stage);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cook.h - a thread that does at random whatever an application may do to clients, modules, loops and
 * orchestrators, and what such threads share: see soup.c. What is drawn comes from each one's seed.
 *
 * Clients and orchestrators are shared: a client is taken by reference count, as an application would
 * have to do it, since what is freed must not be used any more. Modules and loops belong to the
 * thread that made them.
 */
#ifndef PW_TESTS_COOK_H
#define PW_TESTS_COOK_H

#include <pywatt/orchestrator.h>
#include <pywatt/pywatt.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    KITCHEN_CLIENTS = 3,
    KITCHEN_HOSTS = 2,
    COOK_MODULES = 6
};

struct shared_client {
    struct pywatt_client *client;
    unsigned users; /* guarded by the kitchen's lock */
};

struct kitchen {
    char urls[KITCHEN_HOSTS][128];
    pthread_mutex_t host_locks[KITCHEN_HOSTS];
    struct pywatt_orchestrator *hosts[KITCHEN_HOSTS]; /* each guarded by its lock */
    pthread_mutex_t lock;
    struct shared_client *clients[KITCHEN_CLIENTS]; /* guarded by lock */
    atomic_uint accepted;                           /* asynchronous operations */
    atomic_uint told;
    atomic_uint strange; /* statuses that none may have */
    atomic_uint beats;   /* that were answered */
};

struct cook {
    struct kitchen *kitchen;
    unsigned seed;
    unsigned number;
    unsigned names;
    pthread_t thread;
    struct {
        struct shared_client *of;
        struct pywatt_module *module;
        struct pywatt_heartbeat_loop *loop;
    } modules[COOK_MODULES];
};

/* What a cook does, for pthread_create; `arg` is the cook. It gives back all that it made. */
void *cook_stir(void *arg);

/* A client of the kitchen's orchestrators, with one user; and gives one user's share back. */
struct shared_client *cook_new_client(struct cook *cook);
void kitchen_give_client(struct kitchen *kitchen, struct shared_client *client);

/* Starts an orchestrator at its place; the first time, the place gets its port. Aborts if it fails. */
void kitchen_start_host(struct kitchen *kitchen, unsigned i, bool first);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cook.c - see the header. Callbacks run on the clients' dispatchers and heartbeat threads, and only
 * count.
 */
#include "cook.h"

#include "client.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_MS = 200
};

static unsigned steps(void)
{
    const unsigned factor = pw_test_slow_factor();
    return factor == 1 ? 600 : factor <= 10 ? 200 : 60;
}

static unsigned draw(struct cook *cook, unsigned below)
{
    return (unsigned)rand_r(&cook->seed) % below;
}

struct shared_client *cook_new_client(struct cook *cook)
{
    char urls[300];
    struct pywatt_client_options options;
    struct shared_client *made = calloc(1, sizeof(*made));
    const unsigned first = draw(cook, KITCHEN_HOSTS);
    snprintf(urls, sizeof(urls), "%s,%s", cook->kitchen->urls[first],
             cook->kitchen->urls[(first + 1) % KITCHEN_HOSTS]);
    client_options(&options, urls, client_codecs[draw(cook, 2)]);
    options.timeout_ms = TIMEOUT_MS * pw_test_slow_factor();
    options.reconnect = (enum pywatt_reconnect)draw(cook, 3);
    options.reconnect_max_delay_ms = 5;
    options.max_in_flight = 1 + draw(cook, 64);
    if (made == NULL || pywatt_client_open(&options, &made->client, NULL) != PYWATT_OK) {
        abort();
    }
    made->users = 1;
    return made;
}

static struct shared_client *take_client(struct cook *cook)
{
    struct kitchen *kitchen = cook->kitchen;
    pthread_mutex_lock(&kitchen->lock);
    struct shared_client *client = kitchen->clients[draw(cook, KITCHEN_CLIENTS)];
    client->users++;
    pthread_mutex_unlock(&kitchen->lock);
    return client;
}

void kitchen_give_client(struct kitchen *kitchen, struct shared_client *client)
{
    pthread_mutex_lock(&kitchen->lock);
    const bool last = --client->users == 0;
    pthread_mutex_unlock(&kitchen->lock);
    if (last) {
        pywatt_client_free(client->client);
        free(client);
    }
}

static void note(struct cook *cook, enum pywatt_status status)
{
    switch (status) {
    case PYWATT_OK:
    case PYWATT_CONNECTION:
    case PYWATT_CHANNEL:
    case PYWATT_TIMEOUT:
    case PYWATT_CLOSED:
    case PYWATT_LIMIT:
    case PYWATT_MODULE_NOT_FOUND:
    case PYWATT_INVALID_TOKEN:
    case PYWATT_NAME_TAKEN:
    case PYWATT_STALE_GENERATION:
    case PYWATT_INVALID_ARGUMENT: break; /* a second loop for a module */
    default:
        fprintf(stderr, "strange: %s\n", pywatt_status_name(status));
        atomic_fetch_add(&cook->kitchen->strange, 1);
        break;
    }
}

/* ---- What may be done ------------------------------------------------------------------------- */

static void tell(void *user, enum pywatt_status status, const struct pywatt_error *error)
{
    struct cook *cook = user;
    (void)error;
    note(cook, status);
    atomic_fetch_add(&cook->kitchen->told, 1);
}

static void tell_beat(void *user, enum pywatt_status status, const struct pywatt_error *error,
                      enum pywatt_health verdict)
{
    (void)verdict;
    tell(user, status, error);
}

/* Some of those that come this way are freed at once, from inside the callback. */
static void tell_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                            struct pywatt_module *module)
{
    if (module != NULL) {
        pywatt_start_heartbeat_loop(module, 1, NULL, NULL, NULL, NULL);
    }
    pywatt_module_free(module);
    tell(user, status, error);
}

static void watch(void *user, struct pywatt_module *module,
                  const struct pywatt_heartbeat_event *event)
{
    struct cook *cook = user;
    pywatt_module_set_health(module, event->verdict);
    if (event->status == PYWATT_OK) {
        atomic_fetch_add(&cook->kitchen->beats, 1);
    }
}

static enum pywatt_health provide(void *user, struct pywatt_string_map *details)
{
    (void)user;
    pywatt_string_map_set(details, "load", "0.5");
    return PYWATT_DEGRADED;
}

static void drop_module(struct cook *cook, unsigned i)
{
    if (cook->modules[i].module == NULL) {
        return;
    }
    if (draw(cook, 2) == 0) {
        pywatt_heartbeat_loop_stop(cook->modules[i].loop);
        pywatt_module_free(cook->modules[i].module);
    } else {
        pywatt_module_free(cook->modules[i].module);
        pywatt_heartbeat_loop_stop(cook->modules[i].loop);
    }
    kitchen_give_client(cook->kitchen, cook->modules[i].of);
    memset(&cook->modules[i], 0, sizeof(cook->modules[i]));
}

static void make_module(struct cook *cook, unsigned i)
{
    char name[64];
    struct pywatt_module_info *info = NULL;
    struct shared_client *client = take_client(cook);
    drop_module(cook, i);
    snprintf(name, sizeof(name), "%u of cook %u", cook->names++ % 40, cook->number);
    if (pywatt_module_info_new(name, "1", "", &info) != PYWATT_OK) {
        abort();
    }
    if (draw(cook, 4) == 0) {
        const enum pywatt_status status =
            pywatt_register_module_async(client->client, info, tell_registered, cook, NULL);
        atomic_fetch_add(&cook->kitchen->accepted, status == PYWATT_OK);
        note(cook, status);
    } else {
        note(cook, pywatt_register_module(client->client, info, &cook->modules[i].module, NULL));
    }
    pywatt_module_info_free(info);
    if (cook->modules[i].module != NULL) {
        cook->modules[i].of = client;
        pywatt_module_set_watcher(cook->modules[i].module, watch, cook);
    } else {
        kitchen_give_client(cook->kitchen, client);
    }
}

static void beat_or_advertise(struct cook *cook, struct pywatt_module *module)
{
    enum pywatt_status status;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    pywatt_capabilities_add_message_type(capabilities, "job");
    switch (draw(cook, 4)) {
    case 0: status = pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL); break;
    case 1:
        status = pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, tell_beat, cook, NULL);
        atomic_fetch_add(&cook->kitchen->accepted, status == PYWATT_OK);
        break;
    case 2: status = pywatt_advertise_capabilities(module, capabilities, NULL); break;
    default:
        status = pywatt_advertise_capabilities_async(module, capabilities, tell, cook, NULL);
        atomic_fetch_add(&cook->kitchen->accepted, status == PYWATT_OK);
        break;
    }
    note(cook, status);
    pywatt_capabilities_free(capabilities);
}

static void loop_or_unregister(struct cook *cook, unsigned i)
{
    struct pywatt_module *module = cook->modules[i].module;
    enum pywatt_status status = PYWATT_OK;
    switch (draw(cook, 5)) {
    case 0:
        pywatt_heartbeat_loop_stop(cook->modules[i].loop);
        cook->modules[i].loop = NULL;
        break;
    case 1: pywatt_module_set_watcher(module, draw(cook, 2) == 0 ? watch : NULL, cook); break;
    case 2:
        if (draw(cook, 2) == 0) {
            status = pywatt_unregister_module(module, NULL);
        } else {
            status = pywatt_unregister_module_async(module, tell, cook, NULL);
            atomic_fetch_add(&cook->kitchen->accepted, status == PYWATT_OK);
        }
        break;
    default:
        if (cook->modules[i].loop == NULL) {
            status = pywatt_start_heartbeat_loop(module, 1 + draw(cook, 5),
                                                 draw(cook, 2) == 0 ? provide : NULL, cook,
                                                 &cook->modules[i].loop, NULL);
        }
        break;
    }
    note(cook, status);
}

/* A client is closed, stopped, or freed under those who still use it; another takes its place. */
static void replace_client(struct cook *cook)
{
    struct kitchen *kitchen = cook->kitchen;
    struct shared_client *made = cook_new_client(cook);
    pthread_mutex_lock(&kitchen->lock);
    const unsigned i = draw(cook, KITCHEN_CLIENTS);
    struct shared_client *old = kitchen->clients[i];
    kitchen->clients[i] = made;
    pthread_mutex_unlock(&kitchen->lock);
    switch (draw(cook, 3)) {
    case 0: pywatt_client_close(old->client); break;
    case 1: pywatt_client_stop(old->client); break;
    default: break;
    }
    kitchen_give_client(kitchen, old);
}

void kitchen_start_host(struct kitchen *kitchen, unsigned i, bool first)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_error error = {.text = ""};
    char *bound = first ? kitchen->urls[i] : NULL;
    const size_t size = first ? sizeof(kitchen->urls[i]) : 0;
    pywatt_orchestrator_options_init(&options);
    options.workers = 2;
    if (pywatt_orchestrator_new(&options, &kitchen->hosts[i], &error) != PYWATT_OK ||
        pywatt_orchestrator_listen(kitchen->hosts[i], kitchen->urls[i], bound, size, &error) !=
            PYWATT_OK ||
        pywatt_orchestrator_start(kitchen->hosts[i], &error) != PYWATT_OK) {
        fprintf(stderr, "no orchestrator: %s\n", error.text);
        abort();
    }
}

static void restart_host(struct cook *cook)
{
    struct kitchen *kitchen = cook->kitchen;
    const unsigned i = draw(cook, KITCHEN_HOSTS);
    pthread_mutex_lock(&kitchen->host_locks[i]);
    if (draw(cook, 2) == 0) {
        pywatt_orchestrator_stop(kitchen->hosts[i]);
    }
    pywatt_orchestrator_free(kitchen->hosts[i]);
    kitchen_start_host(kitchen, i, false);
    pthread_mutex_unlock(&kitchen->host_locks[i]);
}

/* ---- Ends from within, and handles that outlive their client ---------------------------------- */

struct guest {
    struct cook *cook;
    struct shared_client *client;
    sem_t may_leave;
};

/* The client's end comes from its own callback. */
static void leave(void *user, enum pywatt_status status, const struct pywatt_error *error,
                  struct pywatt_module *module)
{
    struct guest *guest = user;
    sem_wait(&guest->may_leave); /* until nobody else is in the client */
    pywatt_start_heartbeat_loop(module, 1, NULL, NULL, NULL, NULL);
    pywatt_client_free(guest->client->client);
    pywatt_module_free(module);
    tell(guest->cook, status, error);
    sem_destroy(&guest->may_leave);
    free(guest->client);
    free(guest);
}

static void invite_guest(struct cook *cook)
{
    struct pywatt_module_info *info = NULL;
    struct guest *guest = calloc(1, sizeof(*guest));
    if (guest == NULL || pywatt_module_info_new("guest", "1", "", &info) != PYWATT_OK) {
        abort();
    }
    guest->cook = cook;
    guest->client = cook_new_client(cook);
    sem_init(&guest->may_leave, 0, 0);
    if (pywatt_register_module_async(guest->client->client, info, leave, guest, NULL) !=
        PYWATT_OK) {
        abort();
    }
    pywatt_module_info_free(info);
    atomic_fetch_add(&cook->kitchen->accepted, 1);
    sem_post(&guest->may_leave);
}

static void outlive_client(struct cook *cook)
{
    struct shared_client *client = cook_new_client(cook);
    struct pywatt_module *module = NULL;
    struct pywatt_heartbeat_loop *loop = NULL;
    struct pywatt_uuid id;
    pywatt_uuid_generate(&id);
    note(cook, pywatt_attach_module(client->client, NULL, &id, "token", &module, NULL));
    note(cook, pywatt_start_heartbeat_loop(module, 1, provide, cook, &loop, NULL));
    pywatt_client_free(client->client);
    free(client);
    if (pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL) != PYWATT_CLOSED) {
        atomic_fetch_add(&cook->kitchen->strange, 1);
    }
    pywatt_module_free(module);
    pywatt_heartbeat_loop_stop(loop);
}

void *cook_stir(void *arg)
{
    struct cook *cook = arg;
    for (unsigned step = 0; step < steps(); step++) {
        const unsigned what = draw(cook, 100);
        const unsigned i = draw(cook, COOK_MODULES);
        if (what < 2) {
            restart_host(cook);
        } else if (what < 5) {
            replace_client(cook);
        } else if (what < 7) {
            (draw(cook, 2) == 0 ? invite_guest : outlive_client)(cook);
        } else if (what < 20 || cook->modules[i].module == NULL) {
            make_module(cook, i);
        } else if (what < 25) {
            drop_module(cook, i);
        } else if (what < 60) {
            loop_or_unregister(cook, i);
        } else {
            pywatt_module_set_health(cook->modules[i].module, PYWATT_UNHEALTHY);
            beat_or_advertise(cook, cook->modules[i].module);
        }
    }
    for (unsigned i = 0; i < COOK_MODULES; i++) {
        drop_module(cook, i);
    }
    return NULL;
}

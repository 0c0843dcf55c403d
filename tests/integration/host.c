/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * host.c - see the header. `mutex` guards the counts, which the orchestrator's event thread writes.
 */
#include "host.h"

#include "place.h"

#include <string.h>

static struct host_module *find_locked(struct host *host, const struct pywatt_uuid *id)
{
    for (size_t i = 0; i < host->module_count; i++) {
        if (pywatt_uuid_equal(&host->modules[i].id, id)) {
            return &host->modules[i];
        }
    }
    return NULL;
}

static void on_event(void *user, const struct pywatt_event *event)
{
    struct host *host = user;
    pthread_mutex_lock(&host->mutex);
    struct host_module *module = find_locked(host, &event->module_id);
    if (module == NULL && host->module_count < HOST_MODULES_MAX) {
        module = &host->modules[host->module_count++];
        *module = (struct host_module){.id = event->module_id};
    }
    if (module != NULL) {
        module->registered += event->kind == PYWATT_EVENT_REGISTERED;
        module->reregistered += event->kind == PYWATT_EVENT_REREGISTERED;
        module->advertised += event->kind == PYWATT_EVENT_ADVERTISED;
        module->unregistered += event->kind == PYWATT_EVENT_UNREGISTERED;
    }
    pthread_mutex_unlock(&host->mutex);
}

void host_init(struct host *host, const char *scheme)
{
    memset(host, 0, sizeof(*host));
    place_choose(scheme, host->url, sizeof(host->url));
    pywatt_orchestrator_options_init(&host->options);
    host->options.workers = 2;
    host->options.on_event = on_event;
    host->options.event_user = host;
    /* A slow machine is no slow peer. */
    host->options.first_frame_timeout_ms = 600000;
    host->options.unproven_idle_timeout_ms = 0;
    pthread_mutex_init(&host->mutex, NULL);
}

void host_start(struct host *host)
{
    struct pywatt_error error = {.text = ""};
    char bound[sizeof(host->url)];
    host->module_count = 0;
    if (pywatt_orchestrator_new(&host->options, &host->orchestrator, &error) != PYWATT_OK ||
        pywatt_orchestrator_listen(host->orchestrator, host->url, bound, sizeof(bound), &error) !=
            PYWATT_OK ||
        pywatt_orchestrator_start(host->orchestrator, &error) != PYWATT_OK) {
        fail_msg("no orchestrator at %s: %s", host->url, error.text);
    }
    memcpy(host->url, bound, sizeof(bound));
}

void host_stop(struct host *host)
{
    pywatt_orchestrator_free(host->orchestrator);
    host->orchestrator = NULL;
}

void host_destroy(struct host *host)
{
    host_stop(host);
    pthread_mutex_destroy(&host->mutex);
}

void host_begin(struct host *host, const char *scheme)
{
    host_init(host, scheme);
    host_start(host);
}

struct host_module host_module(struct host *host, const struct pywatt_uuid *id)
{
    struct host_module result = {.registered = 0};
    pthread_mutex_lock(&host->mutex);
    const struct host_module *module = find_locked(host, id);
    if (module != NULL) {
        result = *module;
    }
    pthread_mutex_unlock(&host->mutex);
    return result;
}

struct pywatt_orchestrator_stats host_stats(struct host *host)
{
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
    assert_int_equal(pywatt_orchestrator_get_stats(host->orchestrator, &stats), PYWATT_OK);
    return stats;
}

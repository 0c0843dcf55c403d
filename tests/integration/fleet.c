/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fleet.c - see the header. Watchers run on the client's dispatcher, and store in atomics.
 */
#include "fleet.h"

#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_MS = 20000
};

static void watch(void *user, struct pywatt_module *module,
                  const struct pywatt_heartbeat_event *event)
{
    struct ship *ship = user;
    (void)module;
    if (event->reregistered) {
        atomic_fetch_add(&ship->reregistered, 1);
    }
    if (event->status == PYWATT_OK) {
        atomic_fetch_add(&ship->healthy, 1);
    } else {
        atomic_store(&ship->last_failure, event->status);
        atomic_fetch_add(&ship->failing, 1);
    }
}

void fleet_launch(struct fleet *fleet, struct pywatt_client *client, unsigned count,
                  unsigned interval_ms)
{
    /* Whoever waits for beats waits for as long as this; whoever beats has less to do than that. */
    const unsigned slow = pw_test_slow_factor();
    const unsigned factor = slow > 10 ? slow / 3 : slow;
    memset(fleet, 0, sizeof(*fleet));
    fleet->client = client;
    fleet->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct ship *ship = &fleet->ships[i];
        struct pywatt_error error;
        snprintf(ship->name, sizeof(ship->name), "ship %u", i);
        ship->module = client_register_advertised(client, ship->name);
        ship->id = *pywatt_module_id(ship->module);
        pywatt_module_set_watcher(ship->module, watch, ship);
        if (pywatt_start_heartbeat_loop(ship->module, interval_ms * factor, NULL, NULL, NULL,
                                        &error) != PYWATT_OK) {
            fail_msg("%s has no loop: %s", ship->name, error.text);
        }
    }
}

void fleet_end(struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->count; i++) {
        pywatt_module_free(fleet->ships[i].module);
    }
}

/* ---- Waiting ---------------------------------------------------------------------------------- */

struct wanted {
    struct fleet *fleet;
    struct host *host;
    unsigned times;
    unsigned missing; /* the first that is not so far */
};

static bool is_there(struct host *host, const struct ship *ship)
{
    struct pywatt_module_view *view = NULL;
    if (pywatt_orchestrator_find(host->orchestrator, &ship->id, &view) != PYWATT_OK) {
        return false;
    }
    const struct pywatt_capabilities *capabilities = pywatt_module_view_capabilities(view);
    const bool there =
        strcmp(pywatt_module_info_name(pywatt_module_view_info(view)), ship->name) == 0 &&
        capabilities != NULL && pywatt_capabilities_endpoint_count(capabilities) == 1 &&
        pywatt_module_view_beats(view) > 1 && pywatt_module_view_liveness(view) == PYWATT_ALIVE;
    pywatt_module_view_free(view);
    return there && host_module(host, &ship->id).advertised > 0;
}

static bool are_there(void *user)
{
    struct wanted *wanted = user;
    while (wanted->missing < wanted->fleet->count &&
           is_there(wanted->host, &wanted->fleet->ships[wanted->missing])) {
        wanted->missing++;
    }
    return wanted->missing == wanted->fleet->count;
}

void fleet_await_in(struct fleet *fleet, struct host *host)
{
    struct wanted wanted = {.fleet = fleet, .host = host};
    if (!pw_test_wait_until(are_there, &wanted, PATIENCE_MS)) {
        const struct ship *ship = &fleet->ships[wanted.missing];
        fail_msg("%s is not there; its last failure was %s", ship->name,
                 pywatt_status_name(atomic_load(&ship->last_failure)));
    }
    for (unsigned i = 0; i < fleet->count; i++) {
        const struct host_module told = host_module(host, &fleet->ships[i].id);
        assert_int_equal(told.registered, 1);
        assert_int_equal(told.reregistered, 0);
        assert_int_equal(told.advertised, 1);
    }
    const struct pywatt_orchestrator_stats stats = host_stats(host);
    assert_int_equal(stats.registrations, fleet->count);
    assert_int_equal(stats.modules, fleet->count);
}

static bool are_reregistered(void *user)
{
    struct wanted *wanted = user;
    while (wanted->missing < wanted->fleet->count &&
           atomic_load(&wanted->fleet->ships[wanted->missing].reregistered) >= wanted->times) {
        wanted->missing++;
    }
    return wanted->missing == wanted->fleet->count;
}

void fleet_await_reregistered(struct fleet *fleet, unsigned times)
{
    struct wanted wanted = {.fleet = fleet, .times = times};
    if (!pw_test_wait_until(are_reregistered, &wanted, PATIENCE_MS)) {
        fail_msg("%s is not told that it is registered again", fleet->ships[wanted.missing].name);
    }
    for (unsigned i = 0; i < fleet->count; i++) {
        assert_int_equal(atomic_load(&fleet->ships[i].reregistered), times);
    }
}

void fleet_await_beats(struct fleet *fleet)
{
    client_await_beats(fleet->client,
                       client_stats(fleet->client).beats_answered + 2 * (uint64_t)fleet->count);
}

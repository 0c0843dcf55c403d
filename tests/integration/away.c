/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The orchestrator goes away under running heartbeat loops, and comes back, here or elsewhere: all
 * modules come back by themselves, with the same ids, their capabilities told again, and registered
 * once each.
 */
#include "daemon.h"
#include "fleet.h"
#include "place.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODULES = 100,
    INTERVAL_MS = 20,
    PATIENCE_MS = 20000
};

static unsigned fleet_size(void)
{
    return pw_test_slow_factor() <= 4 ? MODULES : 25;
}

struct notice {
    struct pywatt_client *client;
    uint64_t failures_before;
};

static bool has_noticed(void *user)
{
    const struct notice *notice = user;
    return client_stats(notice->client).connect_failures >= notice->failures_before + 3;
}

static void await_notice(struct pywatt_client *client)
{
    struct notice notice = {client, client_stats(client).connect_failures};
    if (!pw_test_wait_until(has_noticed, &notice, PATIENCE_MS)) {
        fail_msg("the client does not notice that its orchestrator is away");
    }
}

static void end(struct fleet *fleet, struct pywatt_client *client)
{
    fleet_end(fleet);
    pywatt_client_free(client);
    free(fleet);
}

/* ---- In this process -------------------------------------------------------------------------- */

static void modules_come_back_when_it_is_started_again(void **state)
{
    const char *const *how = *state;
    struct host host;
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    host_begin(&host, how[0]);
    struct pywatt_client *client = client_open(host.url, how[1]);
    fleet_launch(fleet, client, fleet_size(), INTERVAL_MS);
    fleet_await_in(fleet, &host);
    for (unsigned life = 1; life <= 2; life++) {
        host_stop(&host);
        await_notice(client);
        host_start(&host);
        fleet_await_in(fleet, &host);
        fleet_await_reregistered(fleet, life);
        assert_int_equal(client_stats(client).reregistrations, life * fleet_size());
    }
    fleet_await_beats(fleet);
    end(fleet, client);
    host_destroy(&host);
}

/* No sooner is it back than it is away again. */
static void modules_come_back_after_many_restarts_in_a_row(void **state)
{
    const char *const *how = *state;
    struct host host;
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    host_begin(&host, how[0]);
    struct pywatt_client *client = client_open(host.url, how[1]);
    fleet_launch(fleet, client, fleet_size(), INTERVAL_MS);
    for (unsigned i = 0; i < 10; i++) {
        host_stop(&host);
        host_start(&host);
    }
    fleet_await_in(fleet, &host);
    fleet_await_beats(fleet);
    fleet_await_in(fleet, &host);
    end(fleet, client);
    host_destroy(&host);
}

/* ---- As a process ----------------------------------------------------------------------------- */

static bool all_came_back(void *user)
{
    const struct fleet *fleet = user;
    return client_stats(fleet->client).reregistrations >= fleet->count;
}

static void modules_come_back_when_its_process_was_killed(void **state)
{
    const char *const *how = *state;
    struct daemon daemon;
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    daemon_init(&daemon, how[0]);
    daemon_start(&daemon, NULL);
    struct pywatt_client *client = client_open(daemon.url, how[1]);
    fleet_launch(fleet, client, fleet_size(), INTERVAL_MS);
    daemon_signal(&daemon, SIGKILL);
    assert_false(daemon_wait(&daemon));
    await_notice(client);
    daemon_start(&daemon, NULL);
    if (!pw_test_wait_until(all_came_back, fleet, PATIENCE_MS)) {
        fail_msg("%llu modules came back",
                 (unsigned long long)client_stats(client).reregistrations);
    }
    fleet_await_reregistered(fleet, 1);
    fleet_await_beats(fleet);
    assert_int_equal(client_stats(client).reregistrations, fleet->count);
    for (unsigned i = 0; i < fleet->count; i++) {
        struct pywatt_registration *now = pywatt_module_registration(fleet->ships[i].module);
        assert_true(pywatt_uuid_equal(pywatt_registration_id(now), &fleet->ships[i].id));
        assert_int_equal(pywatt_registration_generation(now), 1);
        pywatt_registration_release(now);
        assert_int_equal(pywatt_unregister_module(fleet->ships[i].module, NULL), PYWATT_OK);
    }
    end(fleet, client);
    daemon_signal(&daemon, SIGTERM);
    assert_true(daemon_wait(&daemon));
}

/* ---- Elsewhere -------------------------------------------------------------------------------- */

static void modules_go_to_the_next_endpoint_and_back(void **state)
{
    const char *const *how = *state;
    struct host hosts[2];
    char urls[300];
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    host_begin(&hosts[0], how[0]);
    host_begin(&hosts[1], "unix");
    snprintf(urls, sizeof(urls), "%s, %s", hosts[0].url, hosts[1].url);
    struct pywatt_client *client = client_open(urls, how[1]);
    fleet_launch(fleet, client, fleet_size() / 2, INTERVAL_MS);
    fleet_await_in(fleet, &hosts[0]);
    assert_int_equal(host_stats(&hosts[1]).connections_accepted, 0);

    host_stop(&hosts[0]);
    fleet_await_in(fleet, &hosts[1]);
    fleet_await_reregistered(fleet, 1);

    host_start(&hosts[0]);
    host_stop(&hosts[1]);
    fleet_await_in(fleet, &hosts[0]);
    fleet_await_reregistered(fleet, 2);
    assert_int_equal(client_stats(client).connects, 3);
    end(fleet, client);
    host_destroy(&hosts[0]);
    host_destroy(&hosts[1]);
}

#define CASE(test, scheme, codec)                                 \
    {                                                             \
        .name = #test " " scheme " " codec, .test_func = (test),  \
        .initial_state = (void *)(uintptr_t)(const char *const[]) \
        {                                                         \
            (scheme), (codec)                                     \
        }                                                         \
    }

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(modules_come_back_when_it_is_started_again, "tcp", "json"),
        CASE(modules_come_back_when_it_is_started_again, "unix", "protobuf"),
        CASE(modules_come_back_when_it_is_started_again, "memory", "json"),
        CASE(modules_come_back_when_it_is_started_again, "memory", "protobuf"),
        CASE(modules_come_back_after_many_restarts_in_a_row, "tcp", "protobuf"),
        CASE(modules_come_back_after_many_restarts_in_a_row, "unix", "json"),
        CASE(modules_come_back_after_many_restarts_in_a_row, "memory", "protobuf"),
        CASE(modules_come_back_when_its_process_was_killed, "tcp", "json"),
        CASE(modules_come_back_when_its_process_was_killed, "unix", "protobuf"),
        CASE(modules_go_to_the_next_endpoint_and_back, "tcp", "json"),
        CASE(modules_go_to_the_next_endpoint_and_back, "memory", "protobuf"),
    };
    return PW_TEST_RUN(cases);
}

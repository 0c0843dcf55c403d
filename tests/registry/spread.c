/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Clients that have lost the same orchestrator do not all come to the same one at the same moment: the
 * first attempt of loops is spread over time, and endpoints may be tried in any order.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

enum {
    DAY_MS = 86400000,
    HOUR_MS = 3600000
};

static void over_an_hour(struct pywatt_client_options *options)
{
    options->reconnect_spread_ms = HOUR_MS;
}

struct patience {
    struct pw_fake *fake;
    uint64_t before;
};

static bool is_back(void *user)
{
    const struct patience *patience = user;
    return pw_fake_connections(patience->fake) > patience->before;
}

/* And the client does not come back, though it has heard of it and could. */
static void lose_the_connection(struct place *place)
{
    struct patience patience = {place->fake, pw_fake_connections(place->fake)};
    pw_fake_disconnect(place->fake);
    assert_false(pw_test_wait_until(is_back, &patience, 100));
}

/* The heartbeat thread has seen all that was handed to it. */
static void go_round(struct place *place)
{
    const uint64_t before = box_count(&place->box);
    assert_int_equal(submit_async(place, place->module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place->box, before + 1));
}

/* The box is not to be moved once something may be put in. */
static void open_with_slow_loop(struct place *place)
{
    *place = open_place_with_module("json", over_an_hour);
    box_init(&place->box);
    start_loop(place->module, DAY_MS);
    go_round(place);
}

static void close_all(struct place *place)
{
    close_place(place);
    box_destroy(&place->box);
}

static void loops_come_back_some_time_later(void **state)
{
    (void)state;
    struct place place;
    open_with_slow_loop(&place);
    lose_the_connection(&place);
    assert_int_equal(STAT(place.client, connects), 1);
    close_all(&place);
}

static void a_call_does_not_wait_for_that(void **state)
{
    (void)state;
    struct place place;
    open_with_slow_loop(&place);
    lose_the_connection(&place);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_int_equal(STAT(place.client, connects), 2);
    close_all(&place);
}

static void an_asynchronous_operation_does_not_wait_for_that(void **state)
{
    (void)state;
    struct place place;
    open_with_slow_loop(&place);
    lose_the_connection(&place);
    go_round(&place);
    assert_int_equal(place.box.told[1].status, PYWATT_OK);
    close_all(&place);
}

static void the_shortest_interval_of_the_loops_is_the_most(void **state)
{
    (void)state;
    struct place place;
    open_with_slow_loop(&place);
    struct pywatt_module *quick = register_named(place.client, "quick");
    struct pywatt_module *slow = register_named(place.client, "slow");
    start_loop(quick, 5);
    start_loop(slow, DAY_MS);
    go_round(&place);
    pw_fake_disconnect(place.fake);
    assert_true(WAIT_STAT(place.client, connects, 2));
    /* Without it, there is time again. */
    pywatt_module_free(quick);
    go_round(&place);
    lose_the_connection(&place);
    pywatt_module_free(slow);
    close_all(&place);
}

static enum pw_fake_action hang_up(void *user, const struct pw_request *request,
                                   struct pw_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    return PW_FAKE_DISCONNECT;
}

/* That is the reconnect policy's, which has pauses of its own. */
static void a_connection_that_never_worked_is_made_again_as_before(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_client *other = open_client(place.fake, "json", over_an_hour);
    struct pywatt_registration *registration = pywatt_module_registration(place.module);
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(other, NULL, pywatt_module_id(place.module),
                                          pywatt_registration_token(registration), &attached, NULL),
                     PYWATT_OK);
    pw_fake_handle(place.fake, PW_OP_HEARTBEAT, hang_up, NULL);
    start_loop(attached, DAY_MS);
    assert_true(WAIT_STAT(other, connects, 4));
    pywatt_registration_release(registration);
    pywatt_module_free(attached);
    pywatt_client_free(other);
    close_place(&place);
}

/* ---- Endpoints ---- */

enum {
    ENDPOINTS = 3,
    CLIENTS = 60
};

static char urls[ENDPOINTS * 80];

static void all_endpoints(struct pywatt_client_options *options)
{
    options->endpoints = urls;
}

static void all_endpoints_in_any_order(struct pywatt_client_options *options)
{
    options->endpoints = urls;
    options->shuffle_endpoints = true;
}

/* How many of many clients come to each endpoint first. */
static void count_first(tune_fn tune, uint64_t first[ENDPOINTS])
{
    struct pw_fake *fakes[ENDPOINTS];
    for (int i = 0; i < ENDPOINTS; i++) {
        fakes[i] = pw_fake_start();
        const size_t used = i == 0 ? 0 : strlen(urls);
        snprintf(urls + used, sizeof(urls) - used, "%s%s", i == 0 ? "" : ",",
                 pw_fake_url(fakes[i]));
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct pywatt_client *client = open_client(fakes[0], "json", tune);
        pywatt_module_free(register_named(client, "alpha"));
        pywatt_client_free(client);
    }
    for (int i = 0; i < ENDPOINTS; i++) {
        first[i] = pw_fake_connections(fakes[i]);
        pw_fake_free(fakes[i]);
    }
}

static void endpoints_are_tried_in_their_order(void **state)
{
    (void)state;
    uint64_t first[ENDPOINTS];
    count_first(all_endpoints, first);
    assert_int_equal(first[0], CLIENTS);
    assert_int_equal(first[1] + first[2], 0);
}

static void shuffled_endpoints_all_come_first_sometimes(void **state)
{
    (void)state;
    uint64_t first[ENDPOINTS];
    count_first(all_endpoints_in_any_order, first);
    /* A third of them each; so few are less likely than one in ten million. */
    for (int i = 0; i < ENDPOINTS; i++) {
        assert_true(first[i] > 3);
    }
    assert_int_equal(first[0] + first[1] + first[2], CLIENTS);
}

static void shuffled_endpoints_are_all_tried(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    snprintf(urls, sizeof(urls), "memory:nobody,%s,memory:nobody-else", pw_fake_url(fake));
    for (int i = 0; i < CLIENTS; i++) {
        struct pywatt_client *client = open_client(fake, "json", all_endpoints_in_any_order);
        pywatt_module_free(register_named(client, "alpha"));
        pywatt_client_free(client);
    }
    assert_int_equal(pw_fake_connections(fake), CLIENTS);
    pw_fake_free(fake);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(loops_come_back_some_time_later),
        cmocka_unit_test(a_call_does_not_wait_for_that),
        cmocka_unit_test(an_asynchronous_operation_does_not_wait_for_that),
        cmocka_unit_test(the_shortest_interval_of_the_loops_is_the_most),
        cmocka_unit_test(a_connection_that_never_worked_is_made_again_as_before),
        cmocka_unit_test(endpoints_are_tried_in_their_order),
        cmocka_unit_test(shuffled_endpoints_all_come_first_sometimes),
        cmocka_unit_test(shuffled_endpoints_are_all_tried),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that goes away: beats and asynchronous operations go on when it is back, or with
 * the next one.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static void fixed_pauses(struct pywatt_client_options *options)
{
    options->reconnect = PYWATT_RECONNECT_FIXED;
    options->reconnect_max_attempts = 3;
}

static void goes_away_and_comes_back(tune_fn tune)
{
    struct place place = open_place_with_module("json", tune);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start_loop(place.module, 1);
    assert_true(box_wait(&place.box, 1));
    pw_fake_go_away(place.fake);
    assert_true(box_wait(&place.box, 2));
    const enum pywatt_status status = place.box.told[1].status;
    assert_true(status == PYWATT_CHANNEL || status == PYWATT_CONNECTION);
    assert_true(place.box.told[1].text[0] != '\0');
    assert_true(WAIT_STAT(place.client, connect_failures, 1));
    assert_true(WAIT_STAT(place.client, beats_skipped, 10));
    pw_fake_come_back(place.fake);
    assert_true(box_wait(&place.box, 3));
    assert_int_equal(place.box.told[2].status, PYWATT_OK);
    wait_beats(&place, 20);
    assert_int_equal(box_count(&place.box), 3);
    assert_int_equal(STAT(place.client, reregistrations), 0);
    close_place(&place);
    box_destroy(&place.box);
}

static void beats_go_on_when_the_orchestrator_is_back(void **state)
{
    (void)state;
    goes_away_and_comes_back(NULL);
    goes_away_and_comes_back(no_retries);
    goes_away_and_comes_back(fixed_pauses);
}

static void a_loop_connects_by_itself_in_the_first_place(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct pywatt_client *other = open_client(fake, "json", NULL);
    struct pywatt_module *module = register_named(client, "alpha");
    struct pywatt_registration *registration = pywatt_module_registration(module);
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(other, NULL, pywatt_module_id(module),
                                          pywatt_registration_token(registration), &attached, NULL),
                     PYWATT_OK);
    start_loop(attached, 1);
    assert_true(pw_fake_wait(fake, PW_OP_HEARTBEAT, 5));
    pywatt_registration_release(registration);
    pywatt_module_free(attached);
    pywatt_module_free(module);
    pywatt_client_free(other);
    pywatt_client_free(client);
    pw_fake_free(fake);
}

/* ---- One that hangs ------------------------------------------------------------------------------ */

static char two_urls[200];

static void two_endpoints(struct pywatt_client_options *options)
{
    short_timeout(options);
    options->endpoints = two_urls;
}

static void a_loop_leaves_a_hung_orchestrator_for_the_next(void **state)
{
    (void)state;
    struct pw_fake *next = pw_fake_start();
    struct place place = {.fake = pw_fake_start()};
    snprintf(two_urls, sizeof(two_urls), "%s,%s", pw_fake_url(place.fake), pw_fake_url(next));
    place.client = open_client(place.fake, "json", two_endpoints);
    place.module = register_named(place.client, "alpha");
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    start_loop(place.module, 20);
    assert_true(pw_fake_wait_health(next, pywatt_module_id(place.module), PYWATT_HEALTHY));
    assert_int_equal(pw_fake_count(place.fake, PW_OP_HEARTBEAT), 2);
    assert_int_equal(STAT(place.client, timeouts), 2);
    assert_int_equal(pw_fake_connections(place.fake), 1);
    close_place(&place);
    pw_fake_free(next);
}

/* ---- One that goes while nobody asks it anything ------------------------------------------------ */

static void a_loop_connects_again_between_two_beats(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start_loop(place.module, 86400000);
    for (size_t i = 1; i <= 20; i++) {
        pw_fake_disconnect(place.fake);
        assert_true(WAIT_STAT(place.client, connects, i + 1));
        /* One beat shows who has come, long before it is due. */
        assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, i));
        assert_true(WAIT_STAT(place.client, beats_answered, i));
        assert_int_equal(STAT(place.client, beats_sent), i);
        assert_int_equal(STAT(place.client, beats_skipped), 0);
    }
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_OK);
    close_place(&place);
    box_destroy(&place.box);
}

/* A connection that was looked at only just now is believed to stand. */
static bool has_come(void *user)
{
    return pw_test_now_ns() >= *(const int64_t *)user;
}

static void an_operation_is_not_lost_with_a_connection_that_died_unused(void **state)
{
    (void)state;
    for (int threads = 0; threads < 2; threads++) {
        struct place place = open_place_with_module("json", NULL);
        box_init(&place.box);
        if (threads == 1) {
            pywatt_module_set_watcher(place.module, on_event, &place.box);
        }
        pw_fake_disconnect(place.fake);
        const int64_t quiet_ns = pw_test_now_ns() + 50000000;
        assert_true(pw_test_wait_until(has_come, (void *)(uintptr_t)&quiet_ns, 10000));
        assert_int_equal(pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL, on_heartbeat,
                                                &place.box, NULL),
                         PYWATT_OK);
        assert_true(box_wait(&place.box, 1));
        assert_int_equal(place.box.told[0].status, PYWATT_OK);
        assert_int_equal(pw_fake_connections(place.fake), 2);
        close_place(&place);
        box_destroy(&place.box);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(beats_go_on_when_the_orchestrator_is_back),
        cmocka_unit_test(a_loop_connects_by_itself_in_the_first_place),
        cmocka_unit_test(a_loop_leaves_a_hung_orchestrator_for_the_next),
        cmocka_unit_test(a_loop_connects_again_between_two_beats),
        cmocka_unit_test(an_operation_is_not_lost_with_a_connection_that_died_unused),
    };
    return PW_TEST_RUN(cases);
}

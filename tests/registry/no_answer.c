/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Operations, blocking and asynchronous, that get no answer: nobody is there, or says nothing, or
 * goes away meanwhile.
 */
#include "fixture.h"

#include <string.h>

static uint32_t hasty_ms;

static void hasty(struct pywatt_client_options *options)
{
    options->timeout_ms = hasty_ms;
}

/* JSON goes back to one that has not answered over another connection, for which there must be time. */
static bool has_been_connected(enum pywatt_status status)
{
    return status != PYWATT_CONNECTION;
}

static bool try_without_reply(void)
{
    struct place place = open_place("json", NULL);
    struct pywatt_client *client = open_client(place.fake, "json", hasty);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_registration *registration = pywatt_module_registration(module);
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(client, NULL, pywatt_registration_id(registration),
                                          pywatt_registration_token(registration), &attached, NULL),
                     PYWATT_OK);
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    struct pywatt_error error;
    const enum pywatt_status status =
        pywatt_heartbeat(attached, PYWATT_HEALTHY, NULL, NULL, &error);
    assert_int_equal(submit_async(&place, attached, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    const struct told *told = &place.box.told[0];
    const bool connected = has_been_connected(status) && has_been_connected(told->status);
    if (connected) {
        char id[PYWATT_UUID_TEXT_SIZE];
        pywatt_uuid_format(pywatt_module_id(attached), id);
        assert_int_equal(status, PYWATT_TIMEOUT);
        assert_non_null(strstr(error.text, "heartbeat of "));
        assert_non_null(strstr(error.text, id));
        assert_int_equal(told->status, PYWATT_TIMEOUT);
        assert_non_null(strstr(told->text, id));
        assert_int_equal(STAT(client, timeouts), 2);
    }
    pywatt_registration_release(registration);
    pywatt_module_free(attached);
    pywatt_module_free(module);
    pywatt_client_free(client);
    close_place(&place);
    box_destroy(&place.box);
    return connected;
}

static void no_reply_is_a_timeout(void **state)
{
    (void)state;
    hasty_ms = 100 * pw_test_slow_factor();
    while (!try_without_reply()) {
        hasty_ms *= 4;
        assert_true(hasty_ms < 100000 * pw_test_slow_factor());
    }
}

static void nobody_there(tune_fn tune)
{
    struct place place = open_place("json", tune);
    box_init(&place.box);
    pw_fake_go_away(place.fake);
    struct pywatt_error error;
    assert_int_equal(run_blocking(&place, NULL, PW_OP_REGISTER, &error), PYWATT_CONNECTION);
    assert_int_equal(strncmp(error.text, "register module 'beta': ", 24), 0);
    assert_non_null(strstr(error.text, pw_fake_url(place.fake)));
    assert_int_equal(submit_async(&place, NULL, PW_OP_REGISTER), PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_CONNECTION);
    assert_int_equal(strncmp(place.box.told[0].text, "register module 'beta': ", 24), 0);
    close_place(&place);
    box_destroy(&place.box);
}

static void nobody_there_is_a_connection_error(void **state)
{
    (void)state;
    nobody_there(no_retries);
    nobody_there(short_timeout);
}

static void a_connection_that_breaks_under_a_request_is_a_channel_error(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    assert_int_equal(submit_async(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, 1));
    pw_fake_disconnect(place.fake);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_CHANNEL);
    /* The next one finds a new connection. */
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, false);
    assert_int_equal(submit_async(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 2));
    assert_int_equal(place.box.told[1].status, PYWATT_OK);
    assert_int_equal(pw_fake_connections(place.fake), 2);
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(no_reply_is_a_timeout),
        cmocka_unit_test(nobody_there_is_a_connection_error),
        cmocka_unit_test(a_connection_that_breaks_under_a_request_is_a_channel_error),
    };
    return PW_TEST_RUN(cases);
}

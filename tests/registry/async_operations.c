/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Asynchronous operations: their life, many of them, where there is no room, and how many there may
 * be.
 */
#include "fixture.h"
#include "registry/client.h"

#include <stdatomic.h>
#include <string.h>

static void async_life_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    box_init(&place.box);
    struct pw_fake_module seen;

    /* The first of all is asynchronous: it has to be connected for. */
    assert_int_equal(submit_async(&place, NULL, PW_OP_REGISTER), PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_OK);
    assert_string_equal(place.box.told[0].text, "");
    struct pywatt_module *module = place.box.told[0].module;
    assert_non_null(module);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));

    assert_int_equal(submit_async(&place, module, PW_OP_CAPABILITIES), PYWATT_OK);
    assert_int_equal(submit_async(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 3));
    assert_int_equal(place.box.told[1].status, PYWATT_OK);
    assert_int_equal(place.box.told[2].status, PYWATT_OK);
    assert_int_equal(place.box.told[2].verdict, PYWATT_DEGRADED);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
    assert_string_equal(seen.capabilities, TOLD_CAPABILITIES);
    assert_string_equal(seen.details, "load=0.5,");

    assert_int_equal(submit_async(&place, module, PW_OP_UNREGISTER), PYWATT_OK);
    assert_true(box_wait(&place.box, 4));
    assert_int_equal(place.box.told[3].status, PYWATT_OK);
    assert_int_equal(submit_async(&place, module, PW_OP_UNREGISTER), PYWATT_CLOSED);
    assert_int_equal(submit_async(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 5));
    assert_int_equal(place.box.told[4].status, PYWATT_CLOSED);

    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void every_operation_works_asynchronously(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        async_life_over(all_codecs[i]);
    }
}

static void one_in_flight(struct pywatt_client_options *options)
{
    options->max_in_flight = 1;
}

static void many_asynchronous_beats(tune_fn tune, bool serial)
{
    enum {
        BEATS = 1000 /* more than go out in one round */
    };
    struct place place = open_place("json", tune);
    box_init(&place.box);
    if (serial) {
        pw_fake_omit_request_ids(place.fake);
    }
    struct pywatt_module *module = register_named(place.client, "alpha");
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &place.box, NULL),
            PYWATT_OK);
    }
    assert_true(box_wait(&place.box, BEATS));
    for (int i = 0; i < BOX_EVENTS_MAX; i++) {
        assert_int_equal(place.box.told[i].status, PYWATT_OK);
    }
    pywatt_module_free(module);
    close_place(&place);
    assert_int_equal(place.box.count, BEATS);
    box_destroy(&place.box);
}

static void operations_without_room_wait_for_it(void **state)
{
    (void)state;
    many_asynchronous_beats(NULL, false);
    many_asynchronous_beats(one_in_flight, false);
    many_asynchronous_beats(NULL, true);
}

static enum pw_fake_action hold_all_but_the_first(void *user, const struct pw_request *request,
                                                  struct pw_response *response)
{
    (void)request;
    (void)response;
    return atomic_exchange((atomic_bool *)user, true) ? PW_FAKE_HOLD : PW_FAKE_ANSWER;
}

static bool is_unconnected(void *user)
{
    return !pw_channel_connected(((struct pywatt_client *)user)->channel);
}

/* The fake goes, and the client's threads, which a watcher starts, see it though nobody asks. */
static void lose_connection(struct place *place, struct pywatt_module *module)
{
    pywatt_module_set_watcher(module, on_event, &place->box);
    pw_fake_go_away(place->fake);
    assert_true(pw_test_wait_until(is_unconnected, place->client, 10000));
}

static void a_crowd_of_operations_goes_out_in_order(void **state)
{
    (void)state;
    enum {
        BEATS = 2000
    };
    struct place place = open_place("protobuf", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    box_init(&place.box);
    /* They gather while there is no connection. The first reply shows that many may be under way. */
    atomic_bool answered = false;
    pw_fake_handle(place.fake, PW_OP_HEARTBEAT, hold_all_but_the_first, &answered);
    lose_connection(&place, module);
    for (int i = 0; i < BEATS; i++) {
        const enum pywatt_health health = i == BEATS - 1 ? PYWATT_UNHEALTHY : PYWATT_DEGRADED;
        assert_int_equal(
            pywatt_heartbeat_async(module, health, NULL, on_heartbeat, &place.box, NULL),
            PYWATT_OK);
    }
    pw_fake_come_back(place.fake);
    /* All go out, though no reply comes that would wake anybody. */
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, BEATS));
    pw_fake_handle(place.fake, PW_OP_HEARTBEAT, NULL, NULL);
    pw_fake_release(place.fake);
    assert_true(box_wait(&place.box, BEATS));
    for (int i = 0; i < BOX_EVENTS_MAX; i++) {
        assert_int_equal(place.box.told[i].status, PYWATT_OK);
    }
    assert_true(pw_fake_wait_health(place.fake, pywatt_module_id(module), PYWATT_UNHEALTHY));
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void too_many_waiting_operations_are_refused(void **state)
{
    (void)state;
    struct place place = open_place("json", one_in_flight);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    pw_fake_hold(place.fake, PW_OP_HEARTBEAT);
    enum pywatt_status status = PYWATT_OK;
    struct pywatt_error error;
    uint64_t taken = 0;
    while (taken < 10000 && status == PYWATT_OK) {
        status =
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat, &place.box, &error);
        taken += status == PYWATT_OK ? 1 : 0;
    }
    assert_int_equal(status, PYWATT_LIMIT);
    assert_non_null(strstr(error.text, "too many"));
    assert_int_equal(taken, 1024);
    pw_fake_release(place.fake);
    assert_true(box_wait(&place.box, taken));
    /* There is room again. */
    assert_int_equal(submit_async(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, taken + 1));
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void on_heartbeat_at_gate(void *user, enum pywatt_status status,
                                 const struct pywatt_error *error, enum pywatt_health verdict)
{
    on_heartbeat(user, status, error, verdict);
    box_gate_pass(user);
}

/* An application whose callbacks are slow does not pile up results without end. */
static void so_are_those_beyond_what_is_to_be_told(void **state)
{
    (void)state;
    struct place place = open_place("json", one_in_flight);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    uint64_t taken = 0;
    while (taken < 10000 &&
           pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, on_heartbeat_at_gate, &place.box,
                                  NULL) == PYWATT_OK) {
        taken++;
        assert_true(taken > 1 || box_gate_wait_for_one(&place.box));
    }
    assert_int_equal(taken, 1 + 1024);
    box_gate_open(&place.box);
    assert_true(box_wait(&place.box, 1025));
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void small_frames(struct pywatt_client_options *options)
{
    options->max_frame_bytes = 1024;
    options->max_in_flight = 1;
}

static void a_request_that_fits_no_frame_fails_and_holds_nobody_up(void **state)
{
    (void)state;
    struct place place = open_place("json", small_frames);
    box_init(&place.box);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_string_map *details = pywatt_string_map_new();
    char large[2000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    assert_int_equal(pywatt_string_map_set(details, "large", large), PYWATT_OK);
    struct pywatt_error error;
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, details, NULL, &error), PYWATT_LIMIT);
    assert_int_equal(strncmp(error.text, "heartbeat of ", 13), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            pywatt_heartbeat_async(module, PYWATT_HEALTHY, details, on_heartbeat, &place.box, NULL),
            PYWATT_OK);
        assert_int_equal(submit_async(&place, module, PW_OP_HEARTBEAT), PYWATT_OK);
    }
    assert_true(box_wait(&place.box, 6));
    int large_ones = 0;
    int small_ones = 0;
    for (int i = 0; i < 6; i++) {
        large_ones += place.box.told[i].status == PYWATT_LIMIT;
        small_ones += place.box.told[i].status == PYWATT_OK;
    }
    assert_int_equal(large_ones, 3);
    assert_int_equal(small_ones, 3);
    pywatt_string_map_free(details);
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_operation_works_asynchronously),
        cmocka_unit_test(operations_without_room_wait_for_it),
        cmocka_unit_test(a_crowd_of_operations_goes_out_in_order),
        cmocka_unit_test(too_many_waiting_operations_are_refused),
        cmocka_unit_test(so_are_those_beyond_what_is_to_be_told),
        cmocka_unit_test(a_request_that_fits_no_frame_fails_and_holds_nobody_up),
    };
    return PW_TEST_RUN(cases);
}

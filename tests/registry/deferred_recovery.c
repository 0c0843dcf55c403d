/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Modules that the orchestrator has forgotten, and does not let register again yet: they come at the
 * moment that it says, and whoever needs them waits within its own deadline. Loops, too, keep to it.
 */
#include "fixture.h"

#include "registry/client.h"
#include "registry/loop.h"
#include "registry/module.h"

#include <pthread.h>

enum {
    HOUR_MS = 3600000,
    /* Longer than the pause before a second attempt ever is. */
    WAIT_MS = 300
};

static void hours(struct pywatt_client_options *options)
{
    options->timeout_ms = 2 * HOUR_MS;
}

static void registering_again_in_the_background_keeps_to_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_that_told(all_codecs[i], NULL);
        box_init(&place.box);
        start_loop(place.module, 1);
        wait_beats(&place, 2);
        pw_fake_defer(place.fake, PW_OP_REGISTER, 2, WAIT_MS);
        pw_fake_defer(place.fake, PW_OP_CAPABILITIES, 1, WAIT_MS);
        const int64_t began_ns = pw_test_now_ns();
        pywatt_module_set_watcher(place.module, on_event, &place.box);
        pw_fake_forget(place.fake);
        assert_true(WAIT_STAT(place.client, reregistrations, 1));
        assert_true(WAIT_STAT(place.client, deferred, 3));
        assert_true(pw_fake_wait(place.fake, PW_OP_CAPABILITIES, 3));
        assert_true(pw_test_now_ns() - began_ns >= 3 * (int64_t)WAIT_MS * 1000000);
        /* The first time, twice for nothing, and once more: nobody asks in between. */
        assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 4);
        assert_int_equal(pw_fake_count(place.fake, PW_OP_CAPABILITIES), 3);
        wait_beats(&place, 5);
        assert_came_back(&place);
        close_place(&place);
        box_destroy(&place.box);
    }
}

static void one_that_has_to_wait_does_not_hold_up_the_others(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", hours);
    struct pywatt_module *other = register_named(place.client, "beta");
    start_loop(place.module, 1);
    start_loop(other, 1);
    wait_beats(&place, 4);
    pw_fake_defer(place.fake, PW_OP_REGISTER, 1, HOUR_MS);
    pw_fake_forget(place.fake);
    assert_true(WAIT_STAT(place.client, reregistrations, 1));
    assert_int_equal(STAT(place.client, deferred), 1);
    pywatt_module_free(other);
    close_place(&place);
}

/* ---- Those who need it ---- */

static void forget_and_defer(struct place *place, uint64_t times, uint32_t retry_after_ms)
{
    pw_fake_forget(place->fake);
    pw_fake_defer(place->fake, PW_OP_REGISTER, times, retry_after_ms);
}

struct caller {
    struct pywatt_module *module;
    pthread_t thread;
    enum pywatt_status status;
};

static void *beat(void *arg)
{
    struct caller *caller = arg;
    caller->status = pywatt_heartbeat(caller->module, PYWATT_HEALTHY, NULL, NULL, NULL);
    return NULL;
}

static void a_call_of_a_forgotten_module_waits_for_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_that_told(all_codecs[i], NULL);
        forget_and_defer(&place, 2, WAIT_MS);
        const int64_t began_ns = pw_test_now_ns();
        assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                         PYWATT_OK);
        assert_true(pw_test_now_ns() - began_ns >= 2 * (int64_t)WAIT_MS * 1000000);
        assert_came_back(&place);
        close_place(&place);
    }
}

static void asynchronous_operations_of_a_forgotten_module_wait_for_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_that_told(all_codecs[i], NULL);
        box_init(&place.box);
        forget_and_defer(&place, 2, WAIT_MS);
        const int64_t began_ns = pw_test_now_ns();
        assert_int_equal(submit_async(&place, place.module, PW_OP_HEARTBEAT), PYWATT_OK);
        assert_true(WAIT_STAT(place.client, deferred, 1));
        /* One that comes meanwhile does not make it ask too early. */
        assert_int_equal(submit_async(&place, place.module, PW_OP_HEARTBEAT), PYWATT_OK);
        assert_true(box_wait(&place.box, 2));
        assert_int_equal(place.box.told[0].status, PYWATT_OK);
        assert_int_equal(place.box.told[1].status, PYWATT_OK);
        assert_true(pw_test_now_ns() - began_ns >= 2 * (int64_t)WAIT_MS * 1000000);
        assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 4);
        assert_came_back(&place);
        close_place(&place);
        box_destroy(&place.box);
    }
}

static void who_has_no_time_to_wait_for_it_is_told_so_at_once(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_error error;
    box_init(&place.box);
    forget_and_defer(&place, 100, HOUR_MS);
    const int64_t began_ns = pw_test_now_ns();
    assert_int_equal(submit_async(&place, place.module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_says_how_long(place.box.told[0].status, place.box.told[0].text);
    /* It is known by now. */
    assert_int_equal(submit_async(&place, place.module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(box_wait(&place.box, 2));
    assert_says_how_long(place.box.told[1].status, place.box.told[1].text);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
    const enum pywatt_status status =
        pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, &error);
    assert_says_how_long(status, error.text);
    assert_true(pw_test_now_ns() - began_ns < (int64_t)pw_test_slow_factor() * 5000000000);
    close_place(&place);
    box_destroy(&place.box);
}

/* Who comes while another one waits is told the same moment, and asks nobody. */
static void a_module_is_asked_for_once_however_many_need_it(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", hours);
    struct caller caller = {.module = place.module};
    struct pywatt_error error;
    forget_and_defer(&place, 100, HOUR_MS);
    assert_int_equal(pthread_create(&caller.thread, NULL, beat, &caller), 0);
    assert_true(WAIT_STAT(place.client, deferred, 1));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pw_handle_recover(place.module, PW_DEADLINE_NEVER, false, &error),
                         PYWATT_UNAVAILABLE);
    }
    const uint64_t soon_ns = pw_deadline_after_ms(pw_clock_now_ns(&pw_clock_monotonic), 60000);
    assert_says_how_long(pw_handle_recover(place.module, soon_ns, true, &error), error.text);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
    assert_int_equal(STAT(place.client, deferred), 1);
    pywatt_client_close(place.client);
    pthread_join(caller.thread, NULL);
    close_place(&place);
}

/* ---- Unregistering meanwhile ---- */

static void a_module_that_waits_can_be_unregistered(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", hours);
    struct caller caller = {.module = place.module};
    forget_and_defer(&place, 1, HOUR_MS);
    assert_int_equal(pthread_create(&caller.thread, NULL, beat, &caller), 0);
    assert_true(WAIT_STAT(place.client, deferred, 1));
    /* There is nothing to unregister; what counts is that this does not wait for an hour. */
    assert_int_equal(pywatt_unregister_module(place.module, NULL), PYWATT_MODULE_NOT_FOUND);
    pywatt_client_close(place.client);
    pthread_join(caller.thread, NULL);
    assert_int_equal(caller.status, PYWATT_CLOSED);
    close_place(&place);
}

/* ---- Loops ---- */

enum {
    /* With shorter intervals several beats may be under way. */
    ONE_UNDER_WAY_MS = 20
};

static void coalesced(struct place *place, const char *codec)
{
    *place = open_place(codec, NULL);
    pw_fake_take_batches(place->fake, true);
    place->module = register_named(place->client, "alpha");
}

static void a_loop_skips_its_beats_until_then(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place;
        coalesced(&place, all_codecs[i]);
        box_init(&place.box);
        pywatt_module_set_watcher(place.module, on_event, &place.box);
        pw_fake_defer(place.fake, PW_OP_HEARTBEAT, 1, HOUR_MS);
        pw_fake_defer(place.fake, PW_OP_HEARTBEAT_BATCH, 1, HOUR_MS);
        start_loop(place.module, ONE_UNDER_WAY_MS);
        assert_true(WAIT_STAT(place.client, deferred, 1));
        const uint64_t skipped = STAT(place.client, beats_skipped);
        assert_true(WAIT_STAT(place.client, beats_skipped, skipped + 10));
        assert_int_equal(STAT(place.client, beats_sent), 1);
        assert_int_equal(STAT(place.client, beats_failed), 1);
        assert_true(box_wait(&place.box, 1));
        assert_int_equal(place.box.told[0].status, PYWATT_UNAVAILABLE);
        close_place(&place);
        box_destroy(&place.box);
    }
}

/* Several are under way when the first of them is refused. */
static void beats_that_are_refused_with_it_do_not_count(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    place.module = register_named(place.client, "alpha");
    pw_fake_defer(place.fake, PW_OP_HEARTBEAT, UINT64_MAX, HOUR_MS);
    pw_fake_hold(place.fake, PW_OP_HEARTBEAT);
    start_loop(place.module, 1);
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, PW_LOOP_UNDER_WAY_MAX));
    pw_fake_release(place.fake);
    assert_true(WAIT_STAT(place.client, beats_failed, PW_LOOP_UNDER_WAY_MAX));
    assert_int_equal(STAT(place.client, deferred), 1);
    assert_int_equal(STAT(place.client, beats_sent), PW_LOOP_UNDER_WAY_MAX);
    close_place(&place);
}

static void a_loop_beats_again_afterwards(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place;
        coalesced(&place, all_codecs[i]);
        pw_fake_defer(place.fake, PW_OP_HEARTBEAT, 3, 20);
        pw_fake_defer(place.fake, PW_OP_HEARTBEAT_BATCH, 3, 20);
        start_loop(place.module, ONE_UNDER_WAY_MS);
        assert_true(WAIT_STAT(place.client, deferred, 3));
        assert_true(WAIT_STAT(place.client, beats_answered, 10));
        close_place(&place);
    }
}

/* Beats that share a message are refused together. */
static void loops_whose_beats_are_refused_together_skip_together(void **state)
{
    (void)state;
    enum {
        LOOPS = 8
    };
    struct pywatt_module *modules[LOOPS];
    struct place place;
    coalesced(&place, "protobuf");
    for (int i = 0; i < LOOPS; i++) {
        char name[] = {'m', (char)('0' + i), '\0'};
        modules[i] = register_named(place.client, name);
    }
    pw_fake_defer(place.fake, PW_OP_HEARTBEAT_BATCH, UINT64_MAX, HOUR_MS);
    pw_fake_defer(place.fake, PW_OP_HEARTBEAT, UINT64_MAX, HOUR_MS);
    for (int i = 0; i < LOOPS; i++) {
        start_loop(modules[i], ONE_UNDER_WAY_MS);
    }
    /* Each is told once, and none asks again. */
    assert_true(WAIT_STAT(place.client, deferred, LOOPS));
    const uint64_t skipped = STAT(place.client, beats_skipped);
    assert_true(WAIT_STAT(place.client, beats_skipped, skipped + 10 * LOOPS));
    assert_int_equal(STAT(place.client, deferred), LOOPS);
    assert_int_equal(STAT(place.client, beats_sent), LOOPS);
    for (int i = 0; i < LOOPS; i++) {
        pywatt_module_free(modules[i]);
    }
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(registering_again_in_the_background_keeps_to_it),
        cmocka_unit_test(one_that_has_to_wait_does_not_hold_up_the_others),
        cmocka_unit_test(a_call_of_a_forgotten_module_waits_for_it),
        cmocka_unit_test(asynchronous_operations_of_a_forgotten_module_wait_for_it),
        cmocka_unit_test(who_has_no_time_to_wait_for_it_is_told_so_at_once),
        cmocka_unit_test(a_module_is_asked_for_once_however_many_need_it),
        cmocka_unit_test(a_module_that_waits_can_be_unregistered),
        cmocka_unit_test(a_loop_skips_its_beats_until_then),
        cmocka_unit_test(beats_that_are_refused_with_it_do_not_count),
        cmocka_unit_test(a_loop_beats_again_afterwards),
        cmocka_unit_test(loops_whose_beats_are_refused_together_skip_together),
    };
    return PW_TEST_RUN(cases);
}

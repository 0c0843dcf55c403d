/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How heartbeat loops end, against the fake orchestrator: what runs no more when a loop was stopped,
 * and what becomes of handles.
 */
#include "fixture.h"
#include "registry/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static void a_module_has_one_loop_at_a_time(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_heartbeat_loop *loop = NULL;
    struct pywatt_error error;
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, &loop, NULL),
                     PYWATT_OK);
    struct pywatt_heartbeat_loop *second = loop;
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, &second, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_null(second);
    assert_non_null(strstr(error.text, "one already"));
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 86400001, NULL, NULL, NULL, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "86400001"));
    pywatt_heartbeat_loop_stop(loop);
    start_loop(place.module, 1);
    wait_beats(&place, 5);
    close_place(&place);
}

static enum pywatt_health provide_at_gate(void *user, struct pywatt_string_map *details)
{
    (void)details;
    box_put(user, PYWATT_OK, PYWATT_HEALTHY, "", NULL, false);
    box_gate_pass(user);
    return PYWATT_HEALTHY;
}

struct stopper {
    struct pywatt_heartbeat_loop *loop;
    atomic_bool done;
};

static void *stop_loop(void *arg)
{
    struct stopper *stopper = arg;
    pywatt_heartbeat_loop_stop(stopper->loop);
    atomic_store(&stopper->done, true);
    return NULL;
}

static bool was_told_to_stop(void *user)
{
    const struct stopper *stopper = user;
    return pw_loop_stopped(stopper->loop);
}

static bool is_done(void *user)
{
    return atomic_load((atomic_bool *)user);
}

static void stopping_waits_for_the_provider_and_it_is_not_asked_again(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct stopper stopper = {NULL, false};
    pthread_t thread;
    box_init(&place.box);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, provide_at_gate, &place.box,
                                                 &stopper.loop, NULL),
                     PYWATT_OK);
    assert_true(box_gate_wait_for_one(&place.box));
    assert_int_equal(pthread_create(&thread, NULL, stop_loop, &stopper), 0);
    assert_true(pw_test_wait_until(was_told_to_stop, &stopper, 10000));
    /* Blocking calls need no heartbeat thread; they take their time. */
    for (int i = 0; i < 200; i++) {
        assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                         PYWATT_OK);
    }
    assert_false(atomic_load(&stopper.done));
    box_gate_open(&place.box);
    assert_true(pw_test_wait_until(is_done, &stopper.done, 10000));
    pthread_join(thread, NULL);
    const uint64_t asked = box_count(&place.box);
    struct pywatt_module *other = register_named(place.client, "beta");
    start_loop(other, 1);
    wait_beats(&place, 20);
    assert_int_equal(box_count(&place.box), asked);
    pywatt_module_free(other);
    close_place(&place);
    box_destroy(&place.box);
}

static void a_stopped_loop_beats_no_more(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_module *other = register_named(place.client, "beta");
    struct pywatt_heartbeat_loop *loop = NULL;
    struct pw_fake_module before;
    struct pw_fake_module after;
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, &loop, NULL),
                     PYWATT_OK);
    wait_beats(&place, 10);
    pywatt_heartbeat_loop_stop(loop);
    /* One that was sent before may still be on its way: the next blocking one is behind it. */
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(place.module), &before));
    start_loop(other, 1);
    wait_beats(&place, 20);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(place.module), &after));
    assert_int_equal(before.beats, after.beats);
    pywatt_module_free(other);
    close_place(&place);
}

static void a_recovery_that_ends_later_is_not_told(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_heartbeat_loop *loop = NULL;
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, &loop, NULL),
                     PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    pw_fake_hold(place.fake, PW_OP_REGISTER);
    pw_fake_forget(place.fake);
    assert_true(pw_fake_wait(place.fake, PW_OP_REGISTER, 2));
    pywatt_heartbeat_loop_stop(loop);
    pw_fake_release(place.fake);
    assert_true(WAIT_STAT(place.client, reregistrations, 1));
    pywatt_client_stop(place.client); /* now all has been told */
    assert_int_equal(box_count(&place.box), 1);
    close_place(&place);
    box_destroy(&place.box);
}

static void every_beat_is_counted_in_the_end(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_heartbeat_loop *loop = NULL;
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 20, NULL, NULL, &loop, NULL),
                     PYWATT_OK);
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, 1));
    pywatt_heartbeat_loop_stop(loop);
    pywatt_client_stop(place.client);
    assert_int_equal(STAT(place.client, beats_sent), 1);
    assert_int_equal(STAT(place.client, beats_failed), 1);
    close_place(&place);
}

static void unregistering_stops_the_loop_and_the_handle_stays_good(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_heartbeat_loop *loop = NULL;
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, &loop, NULL),
                     PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(pywatt_unregister_module(place.module, NULL), PYWATT_OK);
    struct pywatt_module *other = register_named(place.client, "beta");
    start_loop(other, 1);
    wait_beats(&place, 20);
    assert_int_equal(box_count(&place.box), 1);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
    pywatt_heartbeat_loop_stop(loop);
    pywatt_module_free(other);
    close_place(&place);
    box_destroy(&place.box);
}

static void handles_outlive_the_client(void **state)
{
    (void)state;
    const size_t fds = pw_test_open_fds();
    const size_t threads = pw_test_threads();
    struct place place = open_place_with_module("json", NULL);
    struct pywatt_heartbeat_loop *loop = NULL;
    struct pywatt_error error;
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, &loop, NULL),
                     PYWATT_OK);
    wait_beats(&place, 5);
    pywatt_client_free(place.client);
    pw_fake_free(place.fake);
    assert_int_equal(pw_test_open_fds(), fds);
    assert_true(wait_threads(threads));
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, &error),
                     PYWATT_CLOSED);
    assert_non_null(strstr(error.text, "closed"));
    assert_int_equal(pywatt_unregister_module(place.module, NULL), PYWATT_CLOSED);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, NULL, NULL),
                     PYWATT_CLOSED);
    pywatt_module_set_health(place.module, PYWATT_DEGRADED);
    pywatt_module_set_watcher(place.module, on_event, NULL);
    assert_non_null(pywatt_module_id(place.module));
    pywatt_heartbeat_loop_stop(loop);
    pywatt_module_free(place.module);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_module_has_one_loop_at_a_time),
        cmocka_unit_test(stopping_waits_for_the_provider_and_it_is_not_asked_again),
        cmocka_unit_test(a_stopped_loop_beats_no_more),
        cmocka_unit_test(a_recovery_that_ends_later_is_not_told),
        cmocka_unit_test(every_beat_is_counted_in_the_end),
        cmocka_unit_test(unregistering_stops_the_loop_and_the_handle_stays_good),
        cmocka_unit_test(handles_outlive_the_client),
    };
    return PW_TEST_RUN(cases);
}

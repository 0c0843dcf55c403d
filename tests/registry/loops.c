/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Heartbeat loops against the fake orchestrator: what they report, what their watcher is told, what
 * happens to beats that find no answer, no room or no orchestrator, and how a loop ends.
 */
#include "fixture.h"
#include "registry/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- What is reported -------------------------------------------------------------------------- */

static void beats_report_what_set_health_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_with_module(all_codecs[i], NULL);
        const struct pywatt_uuid *id = pywatt_module_id(place.module);
        start_loop(place.module, 1);
        assert_true(pw_fake_wait_health(place.fake, id, PYWATT_HEALTHY));
        pywatt_module_set_health(place.module, PYWATT_UNHEALTHY);
        assert_true(pw_fake_wait_health(place.fake, id, PYWATT_UNHEALTHY));
        pywatt_module_set_health(place.module, PYWATT_DEGRADED);
        assert_true(pw_fake_wait_health(place.fake, id, PYWATT_DEGRADED));
        pywatt_module_set_health(place.module, (enum pywatt_health)9);
        wait_beats(&place, 3);
        assert_true(pw_fake_wait_health(place.fake, id, PYWATT_DEGRADED));
        close_place(&place);
    }
}

struct provider {
    atomic_uint calls;
    atomic_int health;
};

static enum pywatt_health provide(void *user, struct pywatt_string_map *details)
{
    struct provider *provider = user;
    char number[16];
    snprintf(number, sizeof(number), "%u", atomic_fetch_add(&provider->calls, 1) + 1);
    /* An empty map each time: what was put in before does not stay. */
    if (pywatt_string_map_count(details) == 0) {
        (void)pywatt_string_map_set(details, "call", number);
    }
    return (enum pywatt_health)atomic_load(&provider->health);
}

static void a_provider_is_asked_once_for_each_beat(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_with_module(all_codecs[i], NULL);
        struct provider provider = {0, PYWATT_DEGRADED};
        struct pywatt_heartbeat_loop *loop = NULL;
        assert_int_equal(
            pywatt_start_heartbeat_loop(place.module, 1, provide, &provider, &loop, NULL),
            PYWATT_OK);
        wait_beats(&place, 50);
        atomic_store(&provider.health, 77); /* nonsense is not well */
        assert_true(
            pw_fake_wait_health(place.fake, pywatt_module_id(place.module), PYWATT_UNHEALTHY));
        pywatt_heartbeat_loop_stop(loop);
        /* The last one may have been stopped between the question and the beat. */
        const unsigned calls = atomic_load(&provider.calls);
        const uint64_t sent = STAT(place.client, beats_sent);
        assert_true(sent == calls || sent + 1 == calls);
        assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, sent));
        struct pw_fake_module seen;
        char expected[32];
        snprintf(expected, sizeof(expected), "call=%u,", (unsigned)sent);
        assert_true(pw_fake_find(place.fake, pywatt_module_id(place.module), &seen));
        assert_string_equal(seen.details, expected);
        close_place(&place);
    }
}

static void the_interval_is_the_recommended_one_if_none_is_given(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    pw_fake_set_interval_ms(fake, 2);
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct pywatt_module *module = register_named(client, "alpha");
    start_loop(module, 0);
    assert_true(pw_fake_wait(fake, PW_OP_HEARTBEAT, 100));
    pywatt_module_free(module);
    pywatt_client_free(client);
    pw_fake_free(fake);
}

static void two_hundred_modules_all_beat(void **state)
{
    (void)state;
    enum {
        MODULES = 200
    };
    struct place place = open_place_with_module("protobuf", NULL);
    static struct pywatt_module *modules[MODULES];
    for (int i = 0; i < MODULES; i++) {
        modules[i] = register_named(place.client, "one of many");
        start_loop(modules[i], 5);
    }
    for (int i = 0; i < MODULES; i++) {
        assert_true(pw_fake_wait_health(place.fake, pywatt_module_id(modules[i]), PYWATT_HEALTHY));
        pywatt_module_free(modules[i]);
    }
    assert_int_equal(STAT(place.client, beats_failed), 0);
    assert_true(STAT(place.client, beats_max_lateness_ns) > 0);
    close_place(&place);
}

/* ---- What the watcher is told ------------------------------------------------------------------- */

static void the_watcher_is_told_of_changes_once_each(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start_loop(place.module, 1);
    assert_true(box_wait(&place.box, 1));
    wait_beats(&place, 20);
    pw_fake_set_verdict(place.fake, PYWATT_UNHEALTHY);
    assert_true(box_wait(&place.box, 2));
    wait_beats(&place, 20);
    pw_fake_refuse(place.fake, PW_OP_HEARTBEAT, PYWATT_UNAVAILABLE, "come back later");
    assert_true(box_wait(&place.box, 3));
    wait_beats(&place, 20);
    pw_fake_refuse(place.fake, PW_OP_HEARTBEAT, PYWATT_OK, NULL);
    assert_true(box_wait(&place.box, 4));
    wait_beats(&place, 20);
    assert_int_equal(box_count(&place.box), 4);

    const struct told *told = place.box.told;
    assert_int_equal(told[0].status, PYWATT_OK);
    assert_int_equal(told[0].verdict, PYWATT_HEALTHY);
    assert_ptr_equal(told[0].module, place.module);
    assert_int_equal(told[1].status, PYWATT_OK);
    assert_int_equal(told[1].verdict, PYWATT_UNHEALTHY);
    assert_int_equal(told[2].status, PYWATT_UNAVAILABLE);
    assert_string_equal(told[2].text, "come back later");
    assert_int_equal(told[2].verdict, PYWATT_UNHEALTHY);
    assert_int_equal(told[3].status, PYWATT_OK);
    assert_string_equal(told[3].text, "");
    for (int i = 0; i < 4; i++) {
        assert_false(told[i].reregistered);
    }
    close_place(&place);
    box_destroy(&place.box);
}

static void on_event_at_gate(void *user, struct pywatt_module *module,
                             const struct pywatt_heartbeat_event *event)
{
    on_event(user, module, event);
    box_gate_pass(user);
}

static void events_do_not_pile_up_behind_a_slow_watcher(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    const struct pywatt_uuid *id = pywatt_module_id(place.module);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event_at_gate, &place.box);
    start_loop(place.module, 1);
    assert_true(box_gate_wait_for_one(&place.box));
    for (int i = 0; i < 20; i++) {
        const enum pywatt_health health = i % 2 == 0 ? PYWATT_DEGRADED : PYWATT_UNHEALTHY;
        pywatt_module_set_health(place.module, health);
        assert_true(pw_fake_wait_health(place.fake, id, health));
        wait_beats(&place, 2);
    }
    box_gate_open(&place.box);
    assert_true(box_wait(&place.box, 2));
    wait_beats(&place, 20);
    assert_int_equal(box_count(&place.box), 2);
    assert_int_equal(place.box.told[1].verdict, PYWATT_UNHEALTHY);
    close_place(&place);
    box_destroy(&place.box);
}

/* It need not wait until something changes. */
static void another_watcher_is_told_how_things_stand(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct box second;
    box_init(&place.box);
    box_init(&second);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start_loop(place.module, 1);
    assert_true(box_wait(&place.box, 1));
    pywatt_module_set_watcher(place.module, on_event, &second);
    assert_true(box_wait(&second, 1));
    assert_int_equal(second.told[0].status, PYWATT_OK);
    assert_int_equal(box_count(&place.box), 1);
    close_place(&place);
    box_destroy(&place.box);
    box_destroy(&second);
}

struct swap {
    struct pywatt_module *module;
    atomic_bool done;
};

static void *take_watcher_away(void *arg)
{
    struct swap *swap = arg;
    pywatt_module_set_watcher(swap->module, NULL, NULL);
    atomic_store(&swap->done, true);
    return NULL;
}

static void taking_the_watcher_away_waits_until_it_has_returned(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", NULL);
    struct swap swap = {place.module, false};
    pthread_t thread;
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event_at_gate, &place.box);
    start_loop(place.module, 1);
    assert_true(box_gate_wait_for_one(&place.box));
    assert_int_equal(pthread_create(&thread, NULL, take_watcher_away, &swap), 0);
    wait_beats(&place, 20);
    assert_false(atomic_load(&swap.done));
    box_gate_open(&place.box);
    pthread_join(thread, NULL);
    pywatt_module_set_health(place.module, PYWATT_DEGRADED);
    wait_beats(&place, 20);
    assert_int_equal(box_count(&place.box), 1);
    close_place(&place);
    box_destroy(&place.box);
}

/* ---- Beats without an answer --------------------------------------------------------------------- */

/* As on a long way, or while the orchestrator stands still for a moment; but not for ever. */
static void short_intervals_do_not_wait_for_each_answer(void **state)
{
    (void)state;
    for (int together = 0; together < 2; together++) {
        const enum pw_operation operation = together ? PW_OP_HEARTBEAT_BATCH : PW_OP_HEARTBEAT;
        struct place place = open_place(together ? "protobuf" : "json", NULL);
        pw_fake_take_batches(place.fake, together);
        place.module = register_named(place.client, "alpha");
        pw_fake_hold(place.fake, operation);
        start_loop(place.module, 1);
        assert_true(pw_fake_wait(place.fake, operation, PW_LOOP_UNDER_WAY_MAX));
        assert_true(WAIT_STAT(place.client, beats_skipped, 20));
        assert_int_equal(pw_fake_count(place.fake, operation), PW_LOOP_UNDER_WAY_MAX);
        assert_int_equal(STAT(place.client, beats_sent), PW_LOOP_UNDER_WAY_MAX);
        pw_fake_release(place.fake);
        assert_true(WAIT_STAT(place.client, beats_answered, 2 * PW_LOOP_UNDER_WAY_MAX));
        close_place(&place);
    }
}

static void an_unanswered_beat_holds_the_next_ones_back_and_then_fails(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", short_timeout);
    box_init(&place.box);
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start_loop(place.module, 20);
    assert_true(WAIT_STAT(place.client, beats_skipped, 10));
    const uint64_t sent = STAT(place.client, beats_sent);
    assert_true(sent <= 1 + STAT(place.client, beats_failed));
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_TIMEOUT);
    assert_int_equal(strncmp(place.box.told[0].text, "heartbeat of ", 13), 0);
    assert_true(WAIT_STAT(place.client, beats_failed, 2));
    assert_int_equal(STAT(place.client, beats_answered), 0);
    assert_int_equal(box_count(&place.box), 1);
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, false);
    assert_true(box_wait(&place.box, 2));
    assert_int_equal(place.box.told[1].status, PYWATT_OK);
    close_place(&place);
    box_destroy(&place.box);
}

static void a_peer_that_answers_one_at_a_time_gets_the_beats_of_all(void **state)
{
    (void)state;
    enum {
        MODULES = 8
    };
    struct pw_fake *fake = pw_fake_start();
    pw_fake_omit_request_ids(fake);
    struct place place = {.fake = fake, .client = open_client(fake, "json", NULL)};
    place.module = register_named(place.client, "alpha");
    struct pywatt_module *modules[MODULES];
    for (int i = 0; i < MODULES; i++) {
        modules[i] = register_named(place.client, "one of some");
        start_loop(modules[i], 2);
    }
    for (int i = 0; i < MODULES; i++) {
        assert_true(pw_fake_wait_health(fake, pywatt_module_id(modules[i]), PYWATT_HEALTHY));
    }
    /* Nobody starves: each has its share. */
    wait_beats(&place, 400);
    for (int i = 0; i < MODULES; i++) {
        struct pw_fake_module seen;
        assert_true(pw_fake_find(fake, pywatt_module_id(modules[i]), &seen));
        assert_true(seen.beats >= 400 / MODULES / 4);
        pywatt_module_free(modules[i]);
    }
    assert_int_equal(STAT(place.client, beats_failed), 0);
    close_place(&place);
}

struct caller {
    struct pywatt_module *module;
    struct pywatt_capabilities *capabilities;
    atomic_bool calls;
    atomic_uint asked;
    struct box begun;
    struct box ended;
};

static enum pywatt_health provide_after_a_call(void *user, struct pywatt_string_map *details)
{
    struct caller *caller = user;
    (void)details;
    if (atomic_load(&caller->calls)) {
        box_put(&caller->begun, PYWATT_OK, PYWATT_HEALTHY, "", NULL, false);
        box_put(&caller->ended,
                pywatt_advertise_capabilities(caller->module, caller->capabilities, NULL),
                PYWATT_HEALTHY, "", NULL, false);
    }
    atomic_fetch_add(&caller->asked, 1);
    return PYWATT_DEGRADED;
}

static bool was_asked_twice(void *user)
{
    return atomic_load(&((struct caller *)user)->asked) >= 2;
}

/*
 * One beat is under way, and one of the other loop was refused, which gets the next room. When that
 * loop's provider is asked again, the thread whose room it is waits in the provider's call.
 */
static void a_provider_may_call_a_peer_that_answers_one_at_a_time(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    pw_fake_omit_request_ids(fake);
    struct place place = {.fake = fake, .client = open_client(fake, "json", NULL)};
    place.module = register_named(place.client, "alpha");
    struct caller caller = {.module = register_named(place.client, "beta"),
                            .capabilities = new_capabilities()};
    box_init(&caller.begun);
    box_init(&caller.ended);
    pw_fake_hold(fake, PW_OP_HEARTBEAT);
    start_loop(place.module, 20);
    assert_true(pw_fake_wait(fake, PW_OP_HEARTBEAT, 1));
    assert_int_equal(
        pywatt_start_heartbeat_loop(caller.module, 5, provide_after_a_call, &caller, NULL, NULL),
        PYWATT_OK);
    assert_true(pw_test_wait_until(was_asked_twice, &caller, 10000));
    atomic_store(&caller.calls, true);
    assert_true(box_wait(&caller.begun, 1));
    pw_fake_release(fake);
    assert_true(box_wait(&caller.ended, 1));
    atomic_store(&caller.calls, false);
    assert_true(pw_fake_wait_health(fake, pywatt_module_id(caller.module), PYWATT_DEGRADED));
    pywatt_module_free(caller.module);
    assert_int_equal(caller.ended.told[0].status, PYWATT_OK);
    close_place(&place);
    pywatt_capabilities_free(caller.capabilities);
    box_destroy(&caller.begun);
    box_destroy(&caller.ended);
}

static void small_frames(struct pywatt_client_options *options)
{
    options->max_frame_bytes = 1024;
}

static enum pywatt_health provide_too_much(void *user, struct pywatt_string_map *details)
{
    (void)user;
    char large[2000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    (void)pywatt_string_map_set(details, "large", large);
    return PYWATT_HEALTHY;
}

static void details_that_fit_no_frame_are_a_failure_that_is_told(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", small_frames);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    assert_int_equal(
        pywatt_start_heartbeat_loop(place.module, 1, provide_too_much, NULL, NULL, NULL),
        PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_LIMIT);
    assert_true(WAIT_STAT(place.client, beats_failed, 5));
    assert_int_equal(STAT(place.client, beats_sent), 0);
    close_place(&place);
    box_destroy(&place.box);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(beats_report_what_set_health_stored),
        cmocka_unit_test(a_provider_is_asked_once_for_each_beat),
        cmocka_unit_test(the_interval_is_the_recommended_one_if_none_is_given),
        cmocka_unit_test(two_hundred_modules_all_beat),
        cmocka_unit_test(the_watcher_is_told_of_changes_once_each),
        cmocka_unit_test(events_do_not_pile_up_behind_a_slow_watcher),
        cmocka_unit_test(another_watcher_is_told_how_things_stand),
        cmocka_unit_test(taking_the_watcher_away_waits_until_it_has_returned),
        cmocka_unit_test(short_intervals_do_not_wait_for_each_answer),
        cmocka_unit_test(an_unanswered_beat_holds_the_next_ones_back_and_then_fails),
        cmocka_unit_test(a_peer_that_answers_one_at_a_time_gets_the_beats_of_all),
        cmocka_unit_test(a_provider_may_call_a_peer_that_answers_one_at_a_time),
        cmocka_unit_test(details_that_fit_no_frame_are_a_failure_that_is_told),
    };
    return PW_TEST_RUN(cases);
}

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

struct place {
    struct pw_fake *fake;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct box box;
};

static struct place open_place(const char *codec, tune_fn tune)
{
    struct place place;
    place.fake = pw_fake_start();
    place.client = open_client(place.fake, codec, tune);
    place.module = register_named(place.client, "alpha");
    return place;
}

static void close_place(struct place *place)
{
    pywatt_module_free(place->module);
    pywatt_client_free(place->client);
    pw_fake_free(place->fake);
}

static void start(struct pywatt_module *module, uint32_t interval_ms)
{
    assert_int_equal(pywatt_start_heartbeat_loop(module, interval_ms, NULL, NULL, NULL, NULL),
                     PYWATT_OK);
}

/* Waits until the fake has seen this many more beats: the tests' clock. */
static void wait_beats(struct place *place, uint64_t more)
{
    const uint64_t now = pw_fake_count(place->fake, PW_OP_HEARTBEAT);
    assert_true(pw_fake_wait(place->fake, PW_OP_HEARTBEAT, now + more));
}

/* ---- What is reported -------------------------------------------------------------------------- */

static void beats_report_what_set_health_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place(all_codecs[i], NULL);
        const struct pywatt_uuid *id = pywatt_module_id(place.module);
        start(place.module, 1);
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
        struct place place = open_place(all_codecs[i], NULL);
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
    start(module, 0);
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
    struct place place = open_place("protobuf", NULL);
    static struct pywatt_module *modules[MODULES];
    for (int i = 0; i < MODULES; i++) {
        modules[i] = register_named(place.client, "one of many");
        start(modules[i], 5);
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
    struct place place = open_place("json", NULL);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start(place.module, 1);
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
    struct place place = open_place("json", NULL);
    const struct pywatt_uuid *id = pywatt_module_id(place.module);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event_at_gate, &place.box);
    start(place.module, 1);
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
    struct place place = open_place("json", NULL);
    struct swap swap = {place.module, false};
    pthread_t thread;
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event_at_gate, &place.box);
    start(place.module, 1);
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

static void short_timeout(struct pywatt_client_options *options)
{
    options->timeout_ms = 100 * pw_test_slow_factor();
}

static void an_unanswered_beat_holds_the_next_ones_back_and_then_fails(void **state)
{
    (void)state;
    struct place place = open_place("json", short_timeout);
    box_init(&place.box);
    pw_fake_drop(place.fake, PW_OP_HEARTBEAT, true);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start(place.module, 1);
    assert_true(WAIT_STAT(place.client, beats_skipped, 20));
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
        start(modules[i], 2);
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
    start(place.module, 1);
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
    struct place place = open_place("json", small_frames);
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

/* ---- An orchestrator that goes away --------------------------------------------------------------- */

static void no_retries(struct pywatt_client_options *options)
{
    options->reconnect = PYWATT_RECONNECT_NONE;
}

static void fixed_pauses(struct pywatt_client_options *options)
{
    options->reconnect = PYWATT_RECONNECT_FIXED;
    options->reconnect_max_attempts = 3;
}

static void goes_away_and_comes_back(tune_fn tune)
{
    struct place place = open_place("json", tune);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start(place.module, 1);
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
    start(attached, 1);
    assert_true(pw_fake_wait(fake, PW_OP_HEARTBEAT, 5));
    pywatt_registration_release(registration);
    pywatt_module_free(attached);
    pywatt_module_free(module);
    pywatt_client_free(other);
    pywatt_client_free(client);
    pw_fake_free(fake);
}

/* ---- The end of a loop ---------------------------------------------------------------------------- */

static void a_module_has_one_loop_at_a_time(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
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
    start(place.module, 1);
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
    struct place place = open_place("json", NULL);
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
    start(other, 1);
    wait_beats(&place, 20);
    assert_int_equal(box_count(&place.box), asked);
    pywatt_module_free(other);
    close_place(&place);
    box_destroy(&place.box);
}

static void a_stopped_loop_beats_no_more(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
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
    start(other, 1);
    wait_beats(&place, 20);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(place.module), &after));
    assert_int_equal(before.beats, after.beats);
    pywatt_module_free(other);
    close_place(&place);
}

static void unregistering_stops_the_loop_and_the_handle_stays_good(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_heartbeat_loop *loop = NULL;
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, &loop, NULL),
                     PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(pywatt_unregister_module(place.module, NULL), PYWATT_OK);
    struct pywatt_module *other = register_named(place.client, "beta");
    start(other, 1);
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
    struct place place = open_place("json", NULL);
    struct pywatt_heartbeat_loop *loop = NULL;
    struct provider provider = {0, PYWATT_HEALTHY};
    struct pywatt_error error;
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, provide, &provider, &loop, NULL),
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
        cmocka_unit_test(beats_report_what_set_health_stored),
        cmocka_unit_test(a_provider_is_asked_once_for_each_beat),
        cmocka_unit_test(the_interval_is_the_recommended_one_if_none_is_given),
        cmocka_unit_test(two_hundred_modules_all_beat),
        cmocka_unit_test(the_watcher_is_told_of_changes_once_each),
        cmocka_unit_test(events_do_not_pile_up_behind_a_slow_watcher),
        cmocka_unit_test(taking_the_watcher_away_waits_until_it_has_returned),
        cmocka_unit_test(an_unanswered_beat_holds_the_next_ones_back_and_then_fails),
        cmocka_unit_test(a_peer_that_answers_one_at_a_time_gets_the_beats_of_all),
        cmocka_unit_test(a_provider_may_call_a_peer_that_answers_one_at_a_time),
        cmocka_unit_test(details_that_fit_no_frame_are_a_failure_that_is_told),
        cmocka_unit_test(beats_go_on_when_the_orchestrator_is_back),
        cmocka_unit_test(a_loop_connects_by_itself_in_the_first_place),
        cmocka_unit_test(a_module_has_one_loop_at_a_time),
        cmocka_unit_test(stopping_waits_for_the_provider_and_it_is_not_asked_again),
        cmocka_unit_test(a_stopped_loop_beats_no_more),
        cmocka_unit_test(unregistering_stops_the_loop_and_the_handle_stays_good),
        cmocka_unit_test(handles_outlive_the_client),
    };
    return PW_TEST_RUN(cases);
}

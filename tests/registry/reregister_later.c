/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A forgotten module is registered again in the background: for asynchronous operations, for loops,
 * and where its capabilities do not arrive.
 */
#include "fixture.h"

#include <stdatomic.h>
#include <string.h>

/* ---- Asynchronous ------------------------------------------------------------------------------ */

static void asynchronous_operations_go_on_after_one_registration(void **state)
{
    (void)state;
    enum {
        BEATS = 40
    };
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_that_told(all_codecs[i], NULL);
        box_init(&place.box);
        pw_fake_forget(place.fake);
        for (int n = 0; n < BEATS; n++) {
            assert_int_equal(pywatt_heartbeat_async(place.module, PYWATT_DEGRADED, NULL,
                                                    on_heartbeat, &place.box, NULL),
                             PYWATT_OK);
        }
        assert_true(box_wait(&place.box, BEATS));
        for (int n = 0; n < BEATS; n++) {
            assert_int_equal(place.box.told[n].status, PYWATT_OK);
            assert_int_equal(place.box.told[n].verdict, PYWATT_DEGRADED);
        }
        assert_came_back(&place);
        assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
        assert_int_equal(seen_by_fake(&place).beats, BEATS);
        close_place(&place);
        box_destroy(&place.box);
    }
}

static void asynchronous_operations_fail_as_the_registration_did(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    box_init(&place.box);
    pw_fake_forget(place.fake);
    pw_fake_refuse(place.fake, PW_OP_REGISTER, PYWATT_NAME_TAKEN,
                   "Module name 'alpha' is already taken");
    for (int n = 0; n < 3; n++) {
        assert_int_equal(pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL, on_heartbeat,
                                                &place.box, NULL),
                         PYWATT_OK);
    }
    assert_true(box_wait(&place.box, 3));
    for (int n = 0; n < 3; n++) {
        assert_int_equal(place.box.told[n].status, PYWATT_NAME_TAKEN);
        assert_string_equal(place.box.told[n].text, "Module name 'alpha' is already taken");
    }
    /* It goes on failing, and then works as soon as it can. */
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_NAME_TAKEN);
    pw_fake_refuse(place.fake, PW_OP_REGISTER, PYWATT_OK, NULL);
    uint64_t told = 3;
    do { /* an attempt that was under way may still fail */
        assert_int_equal(pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL, on_heartbeat,
                                                &place.box, NULL),
                         PYWATT_OK);
        assert_true(box_wait(&place.box, ++told));
    } while (place.box.told[told - 1].status == PYWATT_NAME_TAKEN && told < 10);
    assert_int_equal(place.box.told[told - 1].status, PYWATT_OK);
    assert_came_back(&place);
    close_place(&place);
    box_destroy(&place.box);
}

static void an_operation_does_not_wait_for_a_registration_longer_than_its_deadline(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", short_timeout);
    box_init(&place.box);
    pw_fake_forget(place.fake);
    pw_fake_drop(place.fake, PW_OP_REGISTER, true);
    assert_int_equal(
        pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL, on_heartbeat, &place.box, NULL),
        PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_TIMEOUT);
    close_place(&place);
    box_destroy(&place.box);
}

static void unregistering_waits_for_a_registration_that_is_under_way(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    struct box leaving;
    box_init(&place.box);
    box_init(&leaving);
    pw_fake_forget(place.fake);
    pw_fake_hold(place.fake, PW_OP_REGISTER);
    assert_int_equal(
        pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL, on_heartbeat, &place.box, NULL),
        PYWATT_OK);
    assert_true(pw_fake_wait(place.fake, PW_OP_REGISTER, 2));
    assert_int_equal(pywatt_unregister_module_async(place.module, on_done, &leaving, NULL),
                     PYWATT_OK);
    pw_fake_release(place.fake);
    assert_true(box_wait(&place.box, 1));
    assert_true(box_wait(&leaving, 1));
    assert_int_equal(leaving.told[0].status, PYWATT_OK);
    struct pw_fake_module module;
    assert_false(pw_fake_find(place.fake, pywatt_module_id(place.module), &module));
    close_place(&place);
    box_destroy(&place.box);
    box_destroy(&leaving);
}

/* ---- Capabilities that do not arrive ------------------------------------------------------------ */

static enum pw_fake_action cut_once(void *user, const struct pw_request *request,
                                    struct pw_response *response)
{
    (void)request;
    (void)response;
    return atomic_exchange((atomic_bool *)user, false) ? PW_FAKE_DISCONNECT : PW_FAKE_ANSWER;
}

static void capabilities_that_were_lost_on_the_way_are_told_later(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    atomic_bool cut = true;
    pw_fake_forget(place.fake);
    pw_fake_handle(place.fake, PW_OP_CAPABILITIES, cut_once, &cut);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_CHANNEL);
    const uint64_t told_before = pw_fake_count(place.fake, PW_OP_CAPABILITIES);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_CAPABILITIES), told_before + 1);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
    assert_string_equal(seen_by_fake(&place).capabilities, TOLD_CAPABILITIES);
    close_place(&place);
}

static void capabilities_that_are_refused_the_second_time_stop_nothing(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    pw_fake_forget(place.fake);
    pw_fake_refuse(place.fake, PW_OP_CAPABILITIES, PYWATT_REJECTED, "not these");
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    const uint64_t told = pw_fake_count(place.fake, PW_OP_CAPABILITIES);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_CAPABILITIES), told);
    close_place(&place);
}

/* ---- Loops ------------------------------------------------------------------------------------- */

static void a_loop_comes_back_by_itself_and_its_watcher_hears_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_that_told(all_codecs[i], NULL);
        box_init(&place.box);
        pywatt_module_set_watcher(place.module, on_event, &place.box);
        assert_int_equal(pywatt_start_heartbeat_loop(place.module, 2, NULL, NULL, NULL, NULL),
                         PYWATT_OK);
        assert_true(box_wait(&place.box, 1));
        assert_int_equal(place.box.told[0].status, PYWATT_OK);
        pw_fake_forget(place.fake);
        assert_true(box_wait(&place.box, 2));
        assert_int_equal(place.box.told[1].status, PYWATT_OK);
        assert_true(place.box.told[1].reregistered);
        assert_came_back(&place);
        const uint64_t beats = pw_fake_count(place.fake, PW_OP_HEARTBEAT);
        assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, beats + 20));
        assert_int_equal(box_count(&place.box), 2);
        close_place(&place);
        box_destroy(&place.box);
    }
}

static void a_loop_whose_name_was_taken_tries_again_but_not_at_every_beat(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, NULL, NULL),
                     PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    pw_fake_refuse(place.fake, PW_OP_REGISTER, PYWATT_NAME_TAKEN,
                   "Module name 'alpha' is already taken");
    pw_fake_forget(place.fake);
    assert_true(box_wait(&place.box, 2));
    assert_int_equal(place.box.told[1].status, PYWATT_NAME_TAKEN);
    assert_string_equal(place.box.told[1].text, "Module name 'alpha' is already taken");
    assert_false(place.box.told[1].reregistered);
    /* Neither beats nor attempts at every interval: beats are skipped, attempts are put off. */
    const uint64_t beats = pw_fake_count(place.fake, PW_OP_HEARTBEAT);
    const uint64_t attempts = pw_fake_count(place.fake, PW_OP_REGISTER);
    const uint64_t skipped = STAT(place.client, beats_skipped);
    assert_true(WAIT_STAT(place.client, beats_skipped, skipped + 100));
    assert_true(pw_fake_count(place.fake, PW_OP_HEARTBEAT) <= beats + 1);
    assert_true(pw_fake_count(place.fake, PW_OP_REGISTER) <= attempts + 20);
    assert_true(pw_fake_wait(place.fake, PW_OP_REGISTER, attempts + 2));
    assert_int_equal(box_count(&place.box), 2);
    /* Beats that succeed before all is told are no event of their own. */
    pw_fake_hold(place.fake, PW_OP_CAPABILITIES);
    pw_fake_refuse(place.fake, PW_OP_REGISTER, PYWATT_OK, NULL);
    assert_true(pw_fake_wait_health(place.fake, pywatt_module_id(place.module), PYWATT_HEALTHY));
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, beats + 20));
    assert_int_equal(box_count(&place.box), 2);
    pw_fake_release(place.fake);
    assert_true(box_wait(&place.box, 3));
    assert_int_equal(place.box.told[2].status, PYWATT_OK);
    assert_true(place.box.told[2].reregistered);
    assert_string_equal(seen_by_fake(&place).capabilities, TOLD_CAPABILITIES);
    close_place(&place);
    box_destroy(&place.box);
}

static void beats_that_succeed_are_told_while_capabilities_get_no_answer(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", short_timeout);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    start_loop(place.module, 1);
    assert_true(box_wait(&place.box, 1));
    pw_fake_drop(place.fake, PW_OP_CAPABILITIES, true);
    pw_fake_forget(place.fake);
    /* The failure is told in between, unless the watcher is slow, and then hears of the newest. */
    uint64_t at = 1;
    do {
        assert_true(box_wait(&place.box, ++at));
    } while (place.box.told[at - 1].status != PYWATT_OK && at < BOX_EVENTS_MAX);
    assert_false(place.box.told[at - 1].reregistered);
    pw_fake_drop(place.fake, PW_OP_CAPABILITIES, false);
    do {
        assert_true(box_wait(&place.box, ++at));
    } while (!place.box.told[at - 1].reregistered && at < BOX_EVENTS_MAX);
    assert_int_equal(place.box.told[at - 1].status, PYWATT_OK);
    close_place(&place);
    box_destroy(&place.box);
}

static void a_loop_that_is_told_it_is_stale_goes_on_and_says_so_once(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    box_init(&place.box);
    pywatt_module_set_watcher(place.module, on_event, &place.box);
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, NULL, NULL),
                     PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    pw_fake_refuse(place.fake, PW_OP_HEARTBEAT, PYWATT_STALE_GENERATION, "too old");
    assert_true(box_wait(&place.box, 2));
    assert_int_equal(place.box.told[1].status, PYWATT_STALE_GENERATION);
    const uint64_t beats = pw_fake_count(place.fake, PW_OP_HEARTBEAT);
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, beats + 20));
    assert_int_equal(box_count(&place.box), 2);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    close_place(&place);
    box_destroy(&place.box);
}

static void an_orchestrator_that_registers_and_forgets_is_not_stormed(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    pw_fake_refuse(place.fake, PW_OP_HEARTBEAT, PYWATT_MODULE_NOT_FOUND, "Module not found: no");
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, NULL, NULL),
                     PYWATT_OK);
    assert_true(WAIT_STAT(place.client, reregistrations, 1));
    const uint64_t skipped = STAT(place.client, beats_skipped);
    assert_true(WAIT_STAT(place.client, beats_skipped, skipped + 100));
    assert_true(STAT(place.client, reregistrations) <= 20);
    assert_true(WAIT_STAT(place.client, reregistrations, 3));
    close_place(&place);
}

/* Where a recovery says that it is over: until the module has been forgotten once more. */
struct pause {
    struct place *place;
    atomic_bool taken;
    uint64_t skipped;
};

static uint64_t skipped_beats(struct pywatt_client *client)
{
    struct pywatt_client_stats stats = {.size = sizeof(stats)};
    return pywatt_client_get_stats(client, &stats) == PYWATT_OK ? stats.beats_skipped : 0;
}

static bool has_stopped_beating(void *user)
{
    const struct pause *pause = user;
    return skipped_beats(pause->place->client) >= pause->skipped + 50;
}

static void pause_until_forgotten(void *user, enum pywatt_log_level level, const char *line)
{
    struct pause *pause = user;
    (void)level;
    if (strstr(line, "is registered again") != NULL && !atomic_exchange(&pause->taken, true)) {
        struct pw_fake *fake = pause->place->fake;
        pw_fake_wait(fake, PW_OP_HEARTBEAT, pw_fake_count(fake, PW_OP_HEARTBEAT) + 1);
        pause->skipped = skipped_beats(pause->place->client);
        pw_test_wait_until(has_stopped_beating, pause, 5000);
    }
}

static void a_module_that_is_forgotten_while_its_recovery_ends_comes_back(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    struct pause pause = {.place = &place};
    pywatt_set_log_sink(pause_until_forgotten, &pause, PYWATT_LOG_INFO);
    pw_fake_refuse(place.fake, PW_OP_HEARTBEAT, PYWATT_MODULE_NOT_FOUND, "Module not found: no");
    assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, NULL, NULL),
                     PYWATT_OK);
    assert_true(WAIT_STAT(place.client, reregistrations, 2));
    close_place(&place);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_WARNING);
}

static void many_forgotten_modules_all_come_back(void **state)
{
    (void)state;
    enum {
        MODULES = 30
    };
    struct place place = open_place_that_told("protobuf", NULL);
    struct pywatt_module *modules[MODULES];
    for (int i = 0; i < MODULES; i++) {
        modules[i] = register_named(place.client, "one of many");
        assert_int_equal(pywatt_start_heartbeat_loop(modules[i], 5, NULL, NULL, NULL, NULL),
                         PYWATT_OK);
    }
    assert_true(pw_fake_wait(place.fake, PW_OP_HEARTBEAT, MODULES * 3));
    pw_fake_go_away(place.fake);
    pw_fake_forget(place.fake);
    pw_fake_come_back(place.fake);
    assert_true(WAIT_STAT(place.client, reregistrations, MODULES));
    for (int i = 0; i < MODULES; i++) {
        assert_true(pw_fake_wait_health(place.fake, pywatt_module_id(modules[i]), PYWATT_HEALTHY));
        pywatt_module_free(modules[i]);
    }
    assert_int_equal(STAT(place.client, reregistrations), MODULES);
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(asynchronous_operations_go_on_after_one_registration),
        cmocka_unit_test(asynchronous_operations_fail_as_the_registration_did),
        cmocka_unit_test(an_operation_does_not_wait_for_a_registration_longer_than_its_deadline),
        cmocka_unit_test(unregistering_waits_for_a_registration_that_is_under_way),
        cmocka_unit_test(capabilities_that_were_lost_on_the_way_are_told_later),
        cmocka_unit_test(capabilities_that_are_refused_the_second_time_stop_nothing),
        cmocka_unit_test(a_loop_comes_back_by_itself_and_its_watcher_hears_of_it),
        cmocka_unit_test(a_loop_whose_name_was_taken_tries_again_but_not_at_every_beat),
        cmocka_unit_test(beats_that_succeed_are_told_while_capabilities_get_no_answer),
        cmocka_unit_test(a_loop_that_is_told_it_is_stale_goes_on_and_says_so_once),
        cmocka_unit_test(an_orchestrator_that_registers_and_forgets_is_not_stormed),
        cmocka_unit_test(a_module_that_is_forgotten_while_its_recovery_ends_comes_back),
        cmocka_unit_test(many_forgotten_modules_all_come_back),
    };
    return PW_TEST_RUN(cases);
}

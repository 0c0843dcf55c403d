/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that has forgotten a module: it is registered again with its id, its capabilities
 * are told again, and what was asked goes on; once for all who notice, and only where that is right.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* ---- Blocking -------------------------------------------------------------------------------- */

static void a_heartbeat_brings_a_forgotten_module_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_that_told(all_codecs[i], NULL);
        enum pywatt_health verdict = PYWATT_HEALTHY;
        pw_fake_forget(place.fake);
        assert_int_equal(pywatt_heartbeat(place.module, PYWATT_DEGRADED, NULL, &verdict, NULL),
                         PYWATT_OK);
        assert_int_equal(verdict, PYWATT_DEGRADED);
        assert_came_back(&place);
        assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
        assert_int_equal(seen_by_fake(&place).beats, 1);
        close_place(&place);
    }
}

static void so_does_an_advertisement_and_the_new_capabilities_stay(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    struct pywatt_capabilities *other = pywatt_capabilities_new();
    assert_int_equal(pywatt_capabilities_add_message_type(other, "new"), PYWATT_OK);
    pw_fake_forget(place.fake);
    assert_int_equal(pywatt_advertise_capabilities(place.module, other, NULL), PYWATT_OK);
    assert_string_equal(seen_by_fake(&place).capabilities, "new,");
    pw_fake_forget(place.fake);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_string_equal(seen_by_fake(&place).capabilities, "new,");
    pywatt_capabilities_free(other);
    close_place(&place);
}

enum {
    THREADS = 16
};

struct beater {
    struct pywatt_module *module;
    pthread_barrier_t *start;
    enum pywatt_status status;
};

static void *beat_once(void *arg)
{
    struct beater *beater = arg;
    pthread_barrier_wait(beater->start);
    beater->status = pywatt_heartbeat(beater->module, PYWATT_HEALTHY, NULL, NULL, NULL);
    return NULL;
}

static void many_callers_register_it_once(void **state)
{
    (void)state;
    struct place place = open_place_that_told("protobuf", NULL);
    pthread_barrier_t start;
    struct beater beaters[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    pw_fake_forget(place.fake);
    for (int i = 0; i < THREADS; i++) {
        beaters[i] = (struct beater){place.module, &start, PYWATT_CANCELLED};
        assert_int_equal(pthread_create(&threads[i], NULL, beat_once, &beaters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(beaters[i].status, PYWATT_OK);
    }
    assert_came_back(&place);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
    pthread_barrier_destroy(&start);
    close_place(&place);
}

static void waiting_callers_share_the_failure(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    pthread_barrier_t start;
    struct beater beaters[2];
    pthread_t threads[2];
    pthread_barrier_init(&start, NULL, 2);
    pw_fake_forget(place.fake);
    pw_fake_refuse(place.fake, PW_OP_REGISTER, PYWATT_NAME_TAKEN,
                   "Module name 'alpha' is already taken");
    pw_fake_hold(place.fake, PW_OP_REGISTER);
    for (int i = 0; i < 2; i++) {
        beaters[i] = (struct beater){place.module, &start, PYWATT_CANCELLED};
        assert_int_equal(pthread_create(&threads[i], NULL, beat_once, &beaters[i]), 0);
    }
    assert_true(pw_fake_wait(place.fake, PW_OP_REGISTER, 2));
    pw_fake_release(place.fake);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(beaters[0].status, PYWATT_NAME_TAKEN);
    assert_int_equal(beaters[1].status, PYWATT_NAME_TAKEN);
    pthread_barrier_destroy(&start);
    close_place(&place);
}

static void patient(struct pywatt_client_options *options)
{
    options->timeout_ms = 400 * pw_test_slow_factor();
}

static bool has_come(void *user)
{
    return pw_test_now_ns() >= *(const int64_t *)user;
}

/* Whoever came later has time for another attempt. */
static void nobody_shares_anothers_deadline(void **state)
{
    (void)state;
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        struct place place = open_place_that_told("json", patient);
        struct beater beaters[2];
        pthread_t threads[2];
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, 1);
        box_init(&place.box);
        pw_fake_forget(place.fake);
        pw_fake_drop(place.fake, PW_OP_REGISTER, true);
        int64_t half_ns = pw_test_deadline_ns(200);
        beaters[0] = (struct beater){place.module, &start, PYWATT_CANCELLED};
        beaters[1] = beaters[0];
        assert_int_equal(pthread_create(&threads[0], NULL, beat_once, &beaters[0]), 0);
        assert_true(pw_fake_wait(place.fake, PW_OP_REGISTER, 2));
        pw_fake_drop(place.fake, PW_OP_REGISTER, false);
        assert_true(pw_test_wait_until(has_come, &half_ns, 10000));
        if (asynchronous == 1) {
            assert_int_equal(pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL,
                                                    on_heartbeat, &place.box, NULL),
                             PYWATT_OK);
            assert_true(box_wait(&place.box, 1));
            beaters[1].status = place.box.told[0].status;
        } else {
            assert_int_equal(pthread_create(&threads[1], NULL, beat_once, &beaters[1]), 0);
            pthread_join(threads[1], NULL);
        }
        pthread_join(threads[0], NULL);
        assert_int_equal(beaters[0].status, PYWATT_TIMEOUT);
        assert_int_equal(beaters[1].status, PYWATT_OK);
        assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 3);
        pthread_barrier_destroy(&start);
        close_place(&place);
        box_destroy(&place.box);
    }
}

/* ---- Where it must not happen ----------------------------------------------------------------- */

static void no_reregister(struct pywatt_client_options *options)
{
    options->reregister = false;
}

static void not_when_it_is_switched_off(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", no_reregister);
    pw_fake_forget(place.fake);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    close_place(&place);
}

static void not_for_a_module_that_was_attached_without_info(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(place.client, NULL, pywatt_module_id(place.module),
                                          "token-1", &attached, NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_heartbeat(attached, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    pw_fake_forget(place.fake);
    assert_int_equal(pywatt_heartbeat(attached, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    pywatt_module_free(attached);
    close_place(&place);
}

static void not_for_a_newer_registration(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    struct pywatt_error error;
    pw_fake_refuse(place.fake, PW_OP_HEARTBEAT, PYWATT_STALE_GENERATION, "too old");
    pw_fake_disconnect(place.fake);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, &error),
                     PYWATT_STALE_GENERATION);
    assert_string_equal(error.text, "too old");
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    close_place(&place);
}

static void every_kind_of_beat_names_its_generation(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place_that_told(all_codecs[i], NULL);
        box_init(&place.box);
        pw_fake_fence_off(place.fake, pywatt_module_id(place.module));
        assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                         PYWATT_STALE_GENERATION);
        assert_int_equal(pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL, on_heartbeat,
                                                &place.box, NULL),
                         PYWATT_OK);
        assert_true(box_wait(&place.box, 1));
        assert_int_equal(place.box.told[0].status, PYWATT_STALE_GENERATION);
        pywatt_module_set_watcher(place.module, on_event, &place.box);
        assert_int_equal(pywatt_start_heartbeat_loop(place.module, 1, NULL, NULL, NULL, NULL),
                         PYWATT_OK);
        assert_true(box_wait(&place.box, 2));
        assert_int_equal(place.box.told[1].status, PYWATT_STALE_GENERATION);
        assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
        close_place(&place);
        box_destroy(&place.box);
    }
}

static void not_while_it_is_being_unregistered(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    struct box leaving;
    box_init(&place.box);
    box_init(&leaving);
    pw_fake_hold(place.fake, PW_OP_UNREGISTER);
    assert_int_equal(pywatt_unregister_module_async(place.module, on_done, &leaving, NULL),
                     PYWATT_OK);
    assert_true(pw_fake_wait(place.fake, PW_OP_UNREGISTER, 1));
    assert_int_equal(
        pywatt_heartbeat_async(place.module, PYWATT_HEALTHY, NULL, on_heartbeat, &place.box, NULL),
        PYWATT_OK);
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_MODULE_NOT_FOUND);
    pw_fake_release(place.fake);
    assert_true(box_wait(&leaving, 1));
    assert_int_equal(leaving.told[0].status, PYWATT_OK);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    close_place(&place);
    box_destroy(&place.box);
    box_destroy(&leaving);
}

static void a_token_that_is_not_good_counts_only_after_a_reconnect(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    pw_fake_take_over(place.fake, pywatt_module_id(place.module));
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_INVALID_TOKEN);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    /* On a new connection it may be an orchestrator that lost its tokens: it is asked once. */
    pw_fake_disconnect(place.fake);
    assert_int_equal(pywatt_heartbeat(place.module, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_INVALID_TOKEN);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 2);
    close_place(&place);
}

static void an_attached_module_with_a_wrong_token_is_told_so(void **state)
{
    (void)state;
    struct place place = open_place_that_told("json", NULL);
    struct pywatt_module_info *info = new_info("alpha");
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(place.client, info, pywatt_module_id(place.module),
                                          "wrong", &attached, NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_heartbeat(attached, PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_INVALID_TOKEN);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    pywatt_module_info_free(info);
    pywatt_module_free(attached);
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_heartbeat_brings_a_forgotten_module_back),
        cmocka_unit_test(so_does_an_advertisement_and_the_new_capabilities_stay),
        cmocka_unit_test(many_callers_register_it_once),
        cmocka_unit_test(waiting_callers_share_the_failure),
        cmocka_unit_test(nobody_shares_anothers_deadline),
        cmocka_unit_test(not_when_it_is_switched_off),
        cmocka_unit_test(not_for_a_module_that_was_attached_without_info),
        cmocka_unit_test(not_for_a_newer_registration),
        cmocka_unit_test(every_kind_of_beat_names_its_generation),
        cmocka_unit_test(not_while_it_is_being_unregistered),
        cmocka_unit_test(a_token_that_is_not_good_counts_only_after_a_reconnect),
        cmocka_unit_test(an_attached_module_with_a_wrong_token_is_told_so),
    };
    return PW_TEST_RUN(cases);
}

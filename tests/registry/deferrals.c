/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that refuses for now and says when to come again: whatever was asked is asked again
 * then, within its deadline.
 */
#include "batch_scene.h"

#include "registry/deferral.h"

#include <string.h>

enum {
    WAIT_MS = 30,
    TIMES = 2,
    HOUR_MS = 3600000
};

static const enum pw_operation all_operations[] = {PW_OP_REGISTER, PW_OP_HEARTBEAT,
                                                   PW_OP_CAPABILITIES, PW_OP_UNREGISTER};

/* Longer than what the tests wait for. */
static void hours(struct pywatt_client_options *options)
{
    options->timeout_ms = 2 * HOUR_MS;
}

static enum pywatt_status run(struct place *place, enum pw_operation operation,
                              struct pywatt_error *error)
{
    if (operation != PW_OP_REGISTER) {
        return run_blocking(place, place->module, operation, error);
    }
    struct pywatt_module_info *info = new_info("beta");
    struct pywatt_module *module = NULL;
    const enum pywatt_status status = pywatt_register_module(place->client, info, &module, error);
    assert_true((status == PYWATT_OK) == (module != NULL));
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    return status;
}

static void assert_waited(struct place *place, enum pw_operation operation, uint64_t asked_before,
                          int64_t began_ns)
{
    assert_true(pw_test_now_ns() - began_ns >= (int64_t)TIMES * WAIT_MS * 1000000);
    assert_int_equal(pw_fake_count(place->fake, operation), asked_before + TIMES + 1);
    assert_int_equal(STAT(place->client, deferred), TIMES);
}

static void blocking_calls_come_again_at_their_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count * 4; i++) {
        const enum pw_operation operation = all_operations[i % 4];
        struct place place = open_place_with_module(all_codecs[i / 4], NULL);
        struct pywatt_error error;
        const uint64_t before = pw_fake_count(place.fake, operation);
        pw_fake_defer(place.fake, operation, TIMES, WAIT_MS);
        const int64_t began_ns = pw_test_now_ns();
        if (run(&place, operation, &error) != PYWATT_OK) {
            fail_msg("%s", error.text);
        }
        assert_waited(&place, operation, before, began_ns);
        close_place(&place);
    }
}

static void asynchronous_operations_come_again_at_their_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count * 4; i++) {
        const enum pw_operation operation = all_operations[i % 4];
        struct place place = open_place_with_module(all_codecs[i / 4], NULL);
        box_init(&place.box);
        const uint64_t before = pw_fake_count(place.fake, operation);
        pw_fake_defer(place.fake, operation, TIMES, WAIT_MS);
        const int64_t began_ns = pw_test_now_ns();
        assert_int_equal(submit_async(&place, place.module, operation), PYWATT_OK);
        assert_true(box_wait(&place.box, 1));
        if (place.box.told[0].status != PYWATT_OK) {
            fail_msg("%s", place.box.told[0].text);
        }
        assert_waited(&place, operation, before, began_ns);
        pywatt_module_free(place.box.told[0].module);
        close_place(&place);
        box_destroy(&place.box);
    }
}

/* ---- No time for that ---- */

static void who_has_no_time_to_wait_is_told_so_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count * 4; i++) {
        const enum pw_operation operation = all_operations[i % 4];
        struct place place = open_place_with_module(all_codecs[i / 4], NULL);
        struct pywatt_error error;
        box_init(&place.box);
        pw_fake_defer(place.fake, operation, 2, HOUR_MS);
        const int64_t began_ns = pw_test_now_ns();
        const enum pywatt_status status = run(&place, operation, &error);
        assert_says_how_long(status, error.text);
        assert_int_equal(submit_async(&place, place.module, operation), PYWATT_OK);
        assert_true(box_wait(&place.box, 1));
        assert_says_how_long(place.box.told[0].status, place.box.told[0].text);
        /* The deadline, which was not waited for, is at 10 s. */
        assert_true(pw_test_now_ns() - began_ns < (int64_t)pw_test_slow_factor() * 5000000000);
        assert_int_equal(STAT(place.client, deferred), 2);
        close_place(&place);
        box_destroy(&place.box);
    }
}

/* ---- Closing ---- */

struct caller {
    struct place *place;
    pthread_t thread;
    enum pywatt_status status;
};

static void *beat(void *arg)
{
    struct caller *caller = arg;
    caller->status = pywatt_heartbeat(caller->place->module, PYWATT_HEALTHY, NULL, NULL, NULL);
    return NULL;
}

static void closing_the_client_ends_those_who_wait(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", hours);
    struct caller callers[3];
    box_init(&place.box);
    pw_fake_defer(place.fake, PW_OP_HEARTBEAT, 4, HOUR_MS);
    for (size_t i = 0; i < 3; i++) {
        callers[i] = (struct caller){.place = &place};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, beat, &callers[i]), 0);
    }
    assert_int_equal(submit_async(&place, place.module, PW_OP_HEARTBEAT), PYWATT_OK);
    assert_true(WAIT_STAT(place.client, deferred, 4));
    /* Others are not held up meanwhile. */
    struct pywatt_module *other = register_named(place.client, "beta");
    assert_int_equal(pywatt_heartbeat(other, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    pywatt_client_close(place.client);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].status, PYWATT_CLOSED);
    }
    assert_true(box_wait(&place.box, 1));
    assert_int_equal(place.box.told[0].status, PYWATT_CLOSED);
    pywatt_module_free(other);
    close_place(&place);
    box_destroy(&place.box);
}

/* ---- Batches ---- */

static void a_batch_comes_again_at_its_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        const bool together = strcmp(all_codecs[i], "protobuf") == 0;
        const enum pw_operation operation = together ? PW_OP_HEARTBEAT_BATCH : PW_OP_HEARTBEAT;
        struct scene scene = begin_with(all_codecs[i], together, NULL);
        struct pywatt_error error;
        const uint64_t before = pw_fake_count(scene.fake, operation);
        pw_fake_defer(scene.fake, operation, TIMES, WAIT_MS);
        const int64_t began_ns = pw_test_now_ns();
        if (beat_all(&scene, &error) != PYWATT_OK) {
            fail_msg("%s", error.text);
        }
        expect_all(&scene, PYWATT_OK);
        assert_true(pw_test_now_ns() - began_ns >= (int64_t)WAIT_MS * 1000000);
        assert_int_equal(STAT(scene.client, deferred), TIMES);
        /* None that was answered is sent again. */
        assert_int_equal(pw_fake_count(scene.fake, operation),
                         before + TIMES + (together ? 1 : BEATS));
        end(&scene);
    }
}

static void a_batch_that_has_no_time_to_wait_is_told_so_at_once(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_error error;
    pw_fake_defer(scene.fake, PW_OP_HEARTBEAT_BATCH, 1, HOUR_MS);
    const enum pywatt_status status = beat_all(&scene, &error);
    assert_says_how_long(status, error.text);
    expect_all(&scene, PYWATT_UNAVAILABLE);
    end(&scene);
}

/* ---- When to come again ---- */

static uint64_t frozen_now(const struct pw_clock *clock)
{
    (void)clock;
    return 1000 * PW_NS_PER_S;
}

static void nobody_comes_early_nor_late_by_more_than_a_tenth_or_50_ms(void **state)
{
    (void)state;
    static const struct pw_clock frozen = {.now_ns = frozen_now};
    const uint32_t waits_ms[] = {1, 10, 120, 500, 60000, UINT32_MAX};
    struct place place = open_place("json", NULL);
    const struct pw_clock *usual = place.client->clock;
    place.client->clock = &frozen;
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        const uint64_t wait_ns = waits_ms[i] * PW_NS_PER_MS;
        const uint64_t most_ns =
            wait_ns / 10 < 50 * PW_NS_PER_MS ? wait_ns / 10 : 50 * PW_NS_PER_MS;
        uint64_t least_seen_ns = UINT64_MAX;
        uint64_t most_seen_ns = 0;
        for (int k = 0; k < 1000; k++) {
            const struct pw_deferral deferral = pw_deferral_begin(place.client, waits_ms[i]);
            const uint64_t jitter_ns = deferral.again_ns - frozen_now(NULL) - wait_ns;
            assert_true(jitter_ns <= most_ns);
            least_seen_ns = jitter_ns < least_seen_ns ? jitter_ns : least_seen_ns;
            most_seen_ns = jitter_ns > most_seen_ns ? jitter_ns : most_seen_ns;
        }
        /* And they do come at different moments. */
        assert_true(least_seen_ns < most_ns / 10);
        assert_true(most_seen_ns > most_ns - most_ns / 10);
    }
    place.client->clock = usual;
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(blocking_calls_come_again_at_their_time),
        cmocka_unit_test(asynchronous_operations_come_again_at_their_time),
        cmocka_unit_test(who_has_no_time_to_wait_is_told_so_at_once),
        cmocka_unit_test(closing_the_client_ends_those_who_wait),
        cmocka_unit_test(a_batch_comes_again_at_its_time),
        cmocka_unit_test(a_batch_that_has_no_time_to_wait_is_told_so_at_once),
        cmocka_unit_test(nobody_comes_early_nor_late_by_more_than_a_tenth_or_50_ms),
    };
    return PW_TEST_RUN(cases);
}

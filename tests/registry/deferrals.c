/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that refuses for now and says when to come again: whatever was asked is asked again
 * then, within its deadline.
 */
#include "batch_scene.h"

#include "base/tool_hints.h"
#include "registry/deferral.h"

#include <pywatt/log.h>

#include <stdatomic.h>
#include <stdio.h>
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

static const struct pw_clock frozen = {.now_ns = frozen_now};

/* On a clock that stands, with a connection. */
struct frozen_place {
    struct place place;
    const struct pw_clock *usual;
    uint64_t epoch;
};

static struct frozen_place freeze(void)
{
    struct frozen_place there = {.place = open_place_with_module("json", NULL)};
    there.usual = there.place.client->clock;
    there.place.client->clock = &frozen;
    there.epoch = pw_channel_link(there.place.client->channel);
    assert_true(there.epoch != 0);
    return there;
}

static void thaw(struct frozen_place *there)
{
    there->place.client->clock = there->usual;
    close_place(&there->place);
}

/* Told once, `in_a_row` times before: how long from now. */
static uint64_t told_to_wait_ns(struct frozen_place *there, uint32_t retry_after_ms,
                                uint32_t in_a_row)
{
    struct pw_deferral deferral = {.in_a_row = in_a_row};
    pw_deferral_note(there->place.client, &deferral, retry_after_ms, there->epoch);
    assert_int_equal(deferral.in_a_row, in_a_row + 1);
    return pw_deferral_until_ns(there->place.client, &deferral) - frozen_now(NULL);
}

static void nobody_comes_early_nor_late_by_more_than_a_tenth_or_50_ms(void **state)
{
    (void)state;
    const uint32_t waits_ms[] = {1, 10, 120, 500, 60000, PW_DEFERRAL_MAX_MS};
    struct frozen_place there = freeze();
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        const uint64_t wait_ns = waits_ms[i] * PW_NS_PER_MS;
        const uint64_t most_ns =
            wait_ns / 10 < 50 * PW_NS_PER_MS ? wait_ns / 10 : 50 * PW_NS_PER_MS;
        uint64_t least_seen_ns = UINT64_MAX;
        uint64_t most_seen_ns = 0;
        for (int k = 0; k < 1000; k++) {
            const uint64_t jitter_ns = told_to_wait_ns(&there, waits_ms[i], 0) - wait_ns;
            assert_true(jitter_ns <= most_ns);
            least_seen_ns = jitter_ns < least_seen_ns ? jitter_ns : least_seen_ns;
            most_seen_ns = jitter_ns > most_seen_ns ? jitter_ns : most_seen_ns;
        }
        /* And they do come at different moments. */
        assert_true(least_seen_ns < most_ns / 10);
        assert_true(most_seen_ns > most_ns - most_ns / 10);
    }
    thaw(&there);
}

/* ---- Orchestrators that say strange things ---- */

static void whoever_is_told_again_and_again_pauses_by_itself(void **state)
{
    (void)state;
    struct frozen_place there = freeze();
    for (uint32_t told = 1; told < 40; told++) {
        const uint64_t doubled_ns = (UINT64_C(200) << (told < 10 ? told - 1 : 9)) * PW_NS_PER_MS;
        const uint64_t bound_ns =
            doubled_ns < 5000 * PW_NS_PER_MS ? doubled_ns : 5000 * PW_NS_PER_MS;
        uint64_t sum_ns = 0;
        for (int k = 0; k < 1000; k++) {
            const uint64_t wait_ns = told_to_wait_ns(&there, 1, told);
            assert_true(wait_ns >= PW_NS_PER_MS);
            assert_true(wait_ns <= bound_ns);
            sum_ns += wait_ns;
            /* A moment that is later than that is kept to. */
            assert_true(told_to_wait_ns(&there, 60000, told) >= 60000 * PW_NS_PER_MS);
        }
        assert_true(sum_ns / 1000 > bound_ns / 4);
    }
    assert_true(told_to_wait_ns(&there, 1, UINT32_MAX - 1) <= 5000 * PW_NS_PER_MS);
    thaw(&there);
}

/* What it said counts where it said so; that one pauses if it is said often counts anywhere. */
static void on_another_connection_only_the_own_pause_is_left(void **state)
{
    (void)state;
    struct frozen_place there = freeze();
    struct pywatt_client *client = there.place.client;
    struct pw_deferral deferral = {.retry_after_ms = 0};
    uint64_t sum_ns = 0;
    pw_deferral_note(client, &deferral, 60000, there.epoch + 1);
    assert_false(pw_deferral_pending(client, &deferral));
    assert_int_equal(pw_deferral_fits(client, &deferral, frozen_now(NULL) + 1, NULL), PYWATT_OK);
    for (int k = 0; k < 1000; k++) {
        deferral.in_a_row = 9;
        pw_deferral_note(client, &deferral, 60000, there.epoch + 1);
        sum_ns += pw_deferral_until_ns(client, &deferral) - frozen_now(NULL);
    }
    assert_in_range(sum_ns / 1000, 1250 * PW_NS_PER_MS, 5000 * PW_NS_PER_MS);
    deferral.in_a_row = 0;
    pw_deferral_note(client, &deferral, 60000, there.epoch);
    assert_true(pw_deferral_pending(client, &deferral));
    thaw(&there);
}

struct lines {
    unsigned count;
    char last[512];
};

static void take_line(void *user, enum pywatt_log_level level, const char *text)
{
    struct lines *lines = user;
    if (level == PYWATT_LOG_WARNING && strstr(text, "asks to wait") != NULL) {
        lines->count++;
        snprintf(lines->last, sizeof(lines->last), "%s", text);
    }
}

static void nobody_is_silenced_for_longer_than_five_minutes(void **state)
{
    (void)state;
    struct lines lines = {.count = 0};
    struct frozen_place there = freeze();
    pywatt_set_log_sink(take_line, &lines, PYWATT_LOG_WARNING);
    for (int k = 0; k < 100; k++) {
        const uint64_t wait_ns = told_to_wait_ns(&there, UINT32_MAX, 0);
        assert_true(wait_ns >= 300000 * PW_NS_PER_MS);
        assert_true(wait_ns <= 300050 * PW_NS_PER_MS);
    }
    assert_true(told_to_wait_ns(&there, 300000, 0) >= 300000 * PW_NS_PER_MS);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_WARNING);
    /* That is said once in a second, on a clock that stands. */
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "4294967295 ms"));
    thaw(&there);
}

/* ---- Callbacks ---- */

struct asker {
    struct place *place;
    atomic_uint asked;
    enum pywatt_status status;
    struct pywatt_error error;
};

static enum pywatt_health ask(void *user, struct pywatt_string_map *details)
{
    struct asker *asker = user;
    (void)details;
    if (atomic_load(&asker->asked) == 0) {
        asker->status =
            pywatt_heartbeat(asker->place->module, PYWATT_HEALTHY, NULL, NULL, &asker->error);
    }
    atomic_fetch_add(&asker->asked, 1);
    return PYWATT_HEALTHY;
}

static bool has_asked_often(void *user)
{
    return atomic_load(&((struct asker *)user)->asked) >= 5;
}

static void a_call_on_the_heartbeat_thread_does_not_wait(void **state)
{
    (void)state;
    struct place place = open_place_with_module("json", hours);
    struct pywatt_module *other = register_named(place.client, "beta");
    struct asker asker = {.place = &place};
    PW_HINT_ATOMIC(asker.asked);
    pw_fake_defer(place.fake, PW_OP_HEARTBEAT, 1, HOUR_MS);
    assert_int_equal(pywatt_start_heartbeat_loop(other, 1, ask, &asker, NULL, NULL), PYWATT_OK);
    assert_true(pw_test_wait_until(has_asked_often, &asker, 10000));
    pywatt_module_free(other); /* ends the loop, so that the rest is the main thread's */
    assert_int_equal(asker.status, PYWATT_UNAVAILABLE);
    assert_non_null(strstr(asker.error.text, "heartbeat thread"));
    assert_int_equal(STAT(place.client, deferred), 1);
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
        cmocka_unit_test(whoever_is_told_again_and_again_pauses_by_itself),
        cmocka_unit_test(on_another_connection_only_the_own_pause_is_left),
        cmocka_unit_test(nobody_is_silenced_for_longer_than_five_minutes),
        cmocka_unit_test(a_call_on_the_heartbeat_thread_does_not_wait),
    };
    return PW_TEST_RUN(cases);
}

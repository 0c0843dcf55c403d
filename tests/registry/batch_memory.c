/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Allocations of beats that share messages: none for a beat, be it a loop's or one of a batch, and each
 * one that a batch needs for itself may fail.
 */
#include "batch_scene.h"
#include "malloc_fail.h"
#include "registry/loop.h"

enum {
    MESSAGES = 300,
    WINDOWS = 20
};

/* ---- Batches ---- */

static unsigned long count_batches(struct scene *scene, enum pywatt_status expected)
{
    pw_malloc_fail_at_any_thread(1000000000);
    for (int i = 0; i < MESSAGES; i++) {
        if (beat_all(scene, NULL) != expected) {
            fail_msg("batch %d", i);
        }
    }
    const unsigned long count = pw_malloc_fail_count();
    pw_malloc_fail_disarm();
    return count;
}

static void a_batch_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        for (int together = 0; together < 2; together++) {
            struct scene scene = begin_with(all_codecs[i], together == 1, NULL);
            for (int n = 0; n < 5; n++) {
                assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
            }
            assert_int_equal(count_batches(&scene, PYWATT_OK), 0);
            /* Nor for what the orchestrator sees otherwise. */
            pw_fake_set_verdict(scene.fake, PYWATT_DEGRADED);
            assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
            assert_int_equal(count_batches(&scene, PYWATT_OK), 0);
            end(&scene);
        }
    }
}

static void nor_for_beats_that_are_refused(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    pw_fake_refuse(scene.fake, PW_OP_HEARTBEAT_BATCH, PYWATT_UNAVAILABLE, "come back later");
    assert_int_equal(beat_all(&scene, NULL), PYWATT_UNAVAILABLE);
    assert_int_equal(count_batches(&scene, PYWATT_UNAVAILABLE), 0);
    end(&scene);
}

/* Is good for a call in want of memory: some beats may have gone well. */
static bool is_bearable(enum pywatt_status status)
{
    return status == PYWATT_OK || status == PYWATT_NO_MEMORY || status == PYWATT_CHANNEL;
}

static void every_allocation_of_a_batch_may_fail(void **state)
{
    (void)state;
    bool failed = true;
    unsigned long n = 1;
    for (; failed; n++) {
        /* A new client each time, which has kept no memory. */
        struct scene scene = begin(NULL);
        pw_malloc_fail_at_any_thread(n);
        const enum pywatt_status status = beat_all(&scene, NULL);
        failed = pw_malloc_fail_disarm();
        if (!is_bearable(status) || (!failed && status != PYWATT_OK)) {
            fail_msg("allocation %lu: %s", n, pywatt_status_name(status));
        }
        for (int i = 0; i < BEATS; i++) {
            assert_true(is_bearable(scene.beats[i].status));
        }
        end(&scene);
    }
    assert_true(n > 3);
}

/* ---- Loops ---- */

static unsigned long count_loops(struct scene *scene)
{
    const uint64_t now = messages(scene);
    pw_malloc_fail_at_any_thread(1000000000);
    assert_true(pw_fake_wait(scene->fake, PW_OP_HEARTBEAT_BATCH, now + MESSAGES));
    const unsigned long count = pw_malloc_fail_count();
    pw_malloc_fail_disarm();
    return count;
}

static void loops_that_share_messages_only_make_buffers_grow_and_then_allocate_nothing(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    unsigned long total = 0;
    unsigned quiet = 0;
    for (int i = 0; i < BEATS; i++) {
        start_loop(scene.modules[i], 1);
    }
    for (int window = 0; window < WINDOWS && quiet < 3; window++) {
        const unsigned long count = count_loops(&scene);
        total += count;
        quiet = count == 0 ? quiet + 1 : 0;
    }
    assert_int_equal(quiet, 3);
    /* Four buffers that double a few times; the frames, as many as are under way at once. */
    assert_true(total <= 30 + PW_LOOP_UNDER_WAY_MAX * BEATS);
    end(&scene);
}

/* Frames cannot be had at first: the beats go alone. */
static void loops_beat_without_memory_to_share_messages(void **state)
{
    (void)state;
    bool failed = true;
    for (unsigned long n = 1; failed; n++) {
        struct scene scene = begin(NULL);
        start_loop(scene.modules[0], 1); /* which starts the threads */
        assert_true(WAIT_STAT(scene.client, beats_answered, 3));
        pw_malloc_fail_pause();
        pw_malloc_fail_at_any_thread(n);
        for (int i = 1; i < BEATS; i++) {
            start_loop(scene.modules[i], 1);
        }
        assert_true(WAIT_STAT(scene.client, beats_answered, 1000));
        failed = pw_malloc_fail_disarm();
        pw_malloc_fail_resume();
        end(&scene);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_batch_allocates_nothing),
        cmocka_unit_test(nor_for_beats_that_are_refused),
        cmocka_unit_test(every_allocation_of_a_batch_may_fail),
        cmocka_unit_test(
            loops_that_share_messages_only_make_buffers_grow_and_then_allocate_nothing),
        cmocka_unit_test(loops_beat_without_memory_to_share_messages),
    };
    return PW_TEST_RUN(cases);
}

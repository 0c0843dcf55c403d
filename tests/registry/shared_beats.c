/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Beats of loops that share messages, against an orchestrator that does as it is told: whatever becomes
 * of a message, each of its beats ends once, and is counted once.
 */
#include "batch_scene.h"

#include <string.h>

static void start_loops(struct scene *scene)
{
    for (int i = 0; i < BEATS; i++) {
        start_loop(scene->modules[i], 2);
    }
}

/* Stops all loops, and waits until what they sent has ended. */
static void stop_loops(struct scene *scene)
{
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(pywatt_unregister_module(scene->modules[i], NULL), PYWATT_OK);
    }
}

static bool has_all_ended(void *user)
{
    struct pywatt_client *client = user;
    /* An answer may be counted a moment before its beat. */
    const uint64_t ended = STAT(client, beats_answered) + STAT(client, beats_failed);
    return ended == STAT(client, beats_sent);
}

static void expect_counts_to_add_up(struct scene *scene)
{
    assert_true(pw_test_wait_until(has_all_ended, scene->client, 10000));
}

static void wait_answered(struct scene *scene, uint64_t more)
{
    assert_true(
        WAIT_STAT(scene->client, beats_answered, STAT(scene->client, beats_answered) + more));
}

static void loops_go_on_alone_at_a_peer_that_takes_no_batches(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    start_loops(&scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, 20));
    for (int round = 0; round < 5; round++) {
        pw_fake_take_batches(scene.fake, false);
        pw_fake_disconnect(scene.fake);
        const uint64_t before = messages(&scene);
        /* Each loop beats again; no batch has gone to the new connection. */
        wait_answered(&scene, 5 * BEATS);
        assert_int_equal(messages(&scene), before);
        pw_fake_take_batches(scene.fake, true);
        pw_fake_disconnect(scene.fake);
        assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, before + 10));
    }
    stop_loops(&scene);
    expect_counts_to_add_up(&scene);
    end(&scene);
}

static enum pw_fake_action say_one_too_few(void *user, const struct pw_request *request,
                                           struct pw_response *response)
{
    (void)user;
    (void)request;
    response->beat_count--;
    return PW_FAKE_ANSWER;
}

static enum pw_fake_action repeat_an_index(void *user, const struct pw_request *request,
                                           struct pw_response *response)
{
    static const struct pw_beat_exception exceptions[2] = {{.index = 0}, {.index = 0}};
    (void)user;
    (void)request;
    response->exceptions = exceptions;
    response->exception_count = 2;
    return PW_FAKE_ANSWER;
}

static void a_reply_that_makes_no_sense_is_no_answer_to_any_loop(void **state)
{
    (void)state;
    static const pw_fake_handler handlers[] = {say_one_too_few, repeat_an_index};
    struct scene scene = begin(NULL);
    struct box box;
    box_init(&box);
    pywatt_module_set_watcher(scene.modules[0], on_event, &box);
    start_loops(&scene);
    assert_true(box_wait(&box, 1));
    assert_int_equal(box.told[0].status, PYWATT_OK);
    for (uint64_t i = 0; i < 2; i++) {
        pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, handlers[i], NULL);
        assert_true(box_wait(&box, 2 * i + 2));
        assert_int_equal(box.told[2 * i + 1].status, PYWATT_SERIALIZATION);
        pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, NULL, NULL);
        assert_true(box_wait(&box, 2 * i + 3));
        assert_int_equal(box.told[2 * i + 2].status, PYWATT_OK);
    }
    assert_int_equal(pw_fake_connections(scene.fake), 1);
    stop_loops(&scene);
    expect_counts_to_add_up(&scene);
    end(&scene);
    box_destroy(&box);
}

static void a_message_that_is_refused_as_a_whole_is_told_to_each_loop(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct box boxes[BEATS];
    pw_fake_refuse(scene.fake, PW_OP_HEARTBEAT_BATCH, PYWATT_NO_MEMORY, "out of memory");
    for (int i = 0; i < BEATS; i++) {
        box_init(&boxes[i]);
        pywatt_module_set_watcher(scene.modules[i], on_event, &boxes[i]);
    }
    start_loops(&scene);
    for (int i = 0; i < BEATS; i++) {
        assert_true(box_wait(&boxes[i], 1));
        assert_int_equal(boxes[i].told[0].status, PYWATT_NO_MEMORY);
        assert_non_null(strstr(boxes[i].told[0].text, "out of memory"));
    }
    stop_loops(&scene);
    expect_counts_to_add_up(&scene);
    end(&scene);
    for (int i = 0; i < BEATS; i++) {
        box_destroy(&boxes[i]);
    }
}

static void a_connection_that_breaks_ends_each_beat_once(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    start_loops(&scene);
    for (int round = 0; round < 20; round++) {
        wait_answered(&scene, 2 * BEATS);
        pw_fake_disconnect(scene.fake);
    }
    wait_answered(&scene, 2 * BEATS);
    stop_loops(&scene);
    expect_counts_to_add_up(&scene);
    end(&scene);
}

static void few_in_flight(struct pywatt_client_options *options)
{
    options->max_in_flight = 1;
}

/* A message that finds no room gives its beats back, and they leave later, if no newer ones have. */
static void beats_that_find_no_room_wait(void **state)
{
    (void)state;
    struct scene scene = begin(few_in_flight);
    pw_fake_hold(scene.fake, PW_OP_HEARTBEAT_BATCH);
    start_loops(&scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, 1));
    assert_true(WAIT_STAT(scene.client, beats_skipped, 10 * BEATS));
    assert_int_equal(messages(&scene), 1);
    pw_fake_release(scene.fake);
    wait_answered(&scene, 10 * BEATS);
    stop_loops(&scene);
    expect_counts_to_add_up(&scene);
    end(&scene);
}

/* ---- What ends meanwhile ---- */

static void hold_a_message(struct scene *scene)
{
    pw_fake_hold(scene->fake, PW_OP_HEARTBEAT_BATCH);
    start_loops(scene);
    assert_true(pw_fake_wait(scene->fake, PW_OP_HEARTBEAT_BATCH, 1));
}

static void loops_and_modules_may_end_while_their_beats_are_under_way(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct scene scene = begin(NULL);
        hold_a_message(&scene);
        for (int i = 0; i < BEATS; i++) {
            if (how == 0) {
                assert_int_equal(pywatt_unregister_module(scene.modules[i], NULL), PYWATT_OK);
            } else {
                pywatt_module_free(scene.modules[i]);
                scene.modules[i] = NULL;
            }
        }
        if (how < 2) {
            pw_fake_release(scene.fake);
            expect_counts_to_add_up(&scene);
        } else {
            pw_fake_disconnect(scene.fake);
        }
        end(&scene);
    }
}

static void a_client_may_end_while_beats_are_under_way(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct scene scene = begin(NULL);
        hold_a_message(&scene);
        if (how == 0) {
            pywatt_client_stop(scene.client);
            expect_counts_to_add_up(&scene);
        } else if (how == 1) {
            pywatt_client_free(scene.client);
            scene.client = NULL;
        } else {
            pywatt_client_close(scene.client);
            pw_fake_release(scene.fake);
        }
        end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(loops_go_on_alone_at_a_peer_that_takes_no_batches),
        cmocka_unit_test(a_reply_that_makes_no_sense_is_no_answer_to_any_loop),
        cmocka_unit_test(a_message_that_is_refused_as_a_whole_is_told_to_each_loop),
        cmocka_unit_test(a_connection_that_breaks_ends_each_beat_once),
        cmocka_unit_test(beats_that_find_no_room_wait),
        cmocka_unit_test(loops_and_modules_may_end_while_their_beats_are_under_way),
        cmocka_unit_test(a_client_may_end_while_beats_are_under_way),
    };
    return PW_TEST_RUN(cases);
}

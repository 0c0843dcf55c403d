/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A batch whose modules the orchestrator has forgotten: they are registered again side by side, when
 * they may, and beat once more.
 */
#include "batch_scene.h"

#include <stdio.h>
#include <string.h>

enum {
    WAIT_MS = 30,
    HOUR_MS = 3600000,
    MANY = 100,
    AT_ONCE = 64
};

static struct scene begin_forgotten(const char *codec)
{
    struct scene scene = begin_with(codec, strcmp(codec, "protobuf") == 0, NULL);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    pw_fake_forget(scene.fake);
    return scene;
}

static void modules_are_registered_again_side_by_side(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct scene scene = begin_forgotten(all_codecs[i]);
        struct sender sender;
        pw_fake_hold(scene.fake, PW_OP_REGISTER);
        start(&sender, &scene);
        /* None of them has been answered yet. */
        assert_true(pw_fake_wait(scene.fake, PW_OP_REGISTER, 2 * BEATS));
        assert_int_equal(STAT(scene.client, reregistrations), 0);
        pw_fake_release(scene.fake);
        join(&sender);
        assert_int_equal(sender.status, PYWATT_OK);
        expect_all(&scene, PYWATT_OK);
        assert_int_equal(STAT(scene.client, reregistrations), BEATS);
        assert_int_equal(pw_fake_count(scene.fake, PW_OP_REGISTER), 2 * BEATS);
        end(&scene);
    }
}

static void capabilities_are_told_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct scene scene = begin_forgotten(all_codecs[i]);
        struct pywatt_capabilities *told = new_capabilities();
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
        for (int k = 0; k < BEATS; k += 2) {
            assert_int_equal(pywatt_advertise_capabilities(scene.modules[k], told, NULL),
                             PYWATT_OK);
        }
        pw_fake_forget(scene.fake);
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
        expect_all(&scene, PYWATT_OK);
        for (int k = 0; k < BEATS; k++) {
            struct pw_fake_module seen;
            assert_true(pw_fake_find(scene.fake, pywatt_module_id(scene.modules[k]), &seen));
            assert_int_equal(seen.advertised, k % 2 == 0 ? 1 : 0);
            assert_int_equal(seen.beats, 1);
        }
        pywatt_capabilities_free(told);
        end(&scene);
    }
}

struct many {
    struct pywatt_client *client;
    struct pywatt_beat *beats;
    pthread_t thread;
    enum pywatt_status status;
};

static void *beat_many(void *arg)
{
    struct many *many = arg;
    many->status = pywatt_heartbeat_batch(many->client, many->beats, MANY, NULL);
    return NULL;
}

static void no_more_than_a_few_are_under_way_at_once(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_module *modules[MANY];
    static struct pywatt_beat beats[MANY];
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof(name), "one of many %d", i);
        modules[i] = register_named(scene.client, name);
        beats[i] = (struct pywatt_beat){.module = modules[i], .health = PYWATT_HEALTHY};
    }
    pw_fake_forget(scene.fake);
    const uint64_t before = pw_fake_count(scene.fake, PW_OP_REGISTER);
    struct many many = {.client = scene.client, .beats = beats};
    pw_fake_hold(scene.fake, PW_OP_REGISTER);
    assert_int_equal(pthread_create(&many.thread, NULL, beat_many, &many), 0);
    assert_true(pw_fake_wait(scene.fake, PW_OP_REGISTER, before + AT_ONCE));
    /* A call that comes behind them finds no other before it. */
    assert_int_equal(pywatt_unregister_module(scene.modules[0], NULL), PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pw_fake_count(scene.fake, PW_OP_REGISTER), before + AT_ONCE);
    pw_fake_release(scene.fake);
    pthread_join(many.thread, NULL);
    assert_int_equal(many.status, PYWATT_OK);
    assert_int_equal(STAT(scene.client, reregistrations), MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(beats[i].status, PYWATT_OK);
        pywatt_module_free(modules[i]);
    }
    end(&scene);
}

static void who_is_told_to_come_again_does_so_then(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct scene scene = begin_forgotten(all_codecs[i]);
        pw_fake_defer(scene.fake, PW_OP_REGISTER, 5, WAIT_MS);
        const int64_t began_ns = pw_test_now_ns();
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
        assert_true(pw_test_now_ns() - began_ns >= (int64_t)WAIT_MS * 1000000);
        expect_all(&scene, PYWATT_OK);
        assert_int_equal(STAT(scene.client, deferred), 5);
        assert_int_equal(STAT(scene.client, reregistrations), BEATS);
        assert_int_equal(pw_fake_count(scene.fake, PW_OP_REGISTER), 2 * BEATS + 5);
        end(&scene);
    }
}

static void who_has_no_time_for_that_is_told_so_and_the_others_beat(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct scene scene = begin_forgotten(all_codecs[i]);
        struct pywatt_error error;
        unsigned well = 0;
        pw_fake_defer(scene.fake, PW_OP_REGISTER, 3, HOUR_MS);
        const enum pywatt_status status = beat_all(&scene, &error);
        assert_says_how_long(status, error.text);
        for (int k = 0; k < BEATS; k++) {
            well += scene.beats[k].status == PYWATT_OK;
            assert_true(scene.beats[k].status == PYWATT_OK ||
                        scene.beats[k].status == PYWATT_UNAVAILABLE);
        }
        assert_int_equal(well, BEATS - 3);
        /* It is known by now: those are not asked for again. */
        assert_int_equal(beat_all(&scene, NULL), PYWATT_UNAVAILABLE);
        assert_int_equal(STAT(scene.client, deferred), 3);
        end(&scene);
    }
}

static void a_refusal_is_final_for_that_module(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct scene scene = begin_forgotten(all_codecs[i]);
        struct pywatt_error error;
        pw_fake_refuse(scene.fake, PW_OP_REGISTER, PYWATT_INVALID_TOKEN, "Invalid token");
        assert_int_equal(beat_all(&scene, &error), PYWATT_INVALID_TOKEN);
        expect_all(&scene, PYWATT_INVALID_TOKEN);
        assert_non_null(strstr(error.text, "Invalid token"));
        assert_int_equal(pw_fake_count(scene.fake, PW_OP_REGISTER), 2 * BEATS);
        end(&scene);
    }
}

static void a_module_may_be_in_it_more_than_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct scene scene = begin_forgotten(all_codecs[i]);
        for (int k = 0; k < BEATS; k++) {
            scene.beats[k].module = scene.modules[k / 4];
        }
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
        expect_all(&scene, PYWATT_OK);
        assert_int_equal(STAT(scene.client, reregistrations), BEATS / 4);
        end(&scene);
    }
}

static void two_batches_at_once_register_each_module_once(void **state)
{
    (void)state;
    struct scene scene = begin_forgotten("protobuf");
    struct scene other = scene;
    struct sender senders[2];
    pw_fake_hold(scene.fake, PW_OP_REGISTER);
    start(&senders[0], &scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_REGISTER, 2 * BEATS));
    start(&senders[1], &other);
    pw_fake_release(scene.fake);
    join(&senders[0]);
    join(&senders[1]);
    expect_all(&scene, PYWATT_OK);
    expect_all(&other, PYWATT_OK);
    assert_int_equal(pw_fake_count(scene.fake, PW_OP_REGISTER), 2 * BEATS);
    end(&scene);
}

static void closing_the_client_ends_it(void **state)
{
    (void)state;
    struct scene scene = begin_forgotten("protobuf");
    struct sender sender;
    pw_fake_hold(scene.fake, PW_OP_REGISTER);
    start(&sender, &scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_REGISTER, 2 * BEATS));
    pywatt_client_close(scene.client);
    join(&sender);
    assert_int_equal(sender.status, PYWATT_CLOSED);
    expect_all(&scene, PYWATT_CLOSED);
    pw_fake_release(scene.fake);
    end(&scene);
}

static void an_orchestrator_that_takes_one_request_at_a_time_gets_one_at_a_time(void **state)
{
    (void)state;
    struct scene scene = begin_with("json", false, NULL);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    pw_fake_omit_request_ids(scene.fake);
    lose_the_connection(&scene);
    pw_fake_forget(scene.fake);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    expect_all(&scene, PYWATT_OK);
    assert_int_equal(STAT(scene.client, reregistrations), BEATS);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(modules_are_registered_again_side_by_side),
        cmocka_unit_test(capabilities_are_told_again),
        cmocka_unit_test(no_more_than_a_few_are_under_way_at_once),
        cmocka_unit_test(who_is_told_to_come_again_does_so_then),
        cmocka_unit_test(who_has_no_time_for_that_is_told_so_and_the_others_beat),
        cmocka_unit_test(a_refusal_is_final_for_that_module),
        cmocka_unit_test(a_module_may_be_in_it_more_than_once),
        cmocka_unit_test(two_batches_at_once_register_each_module_once),
        cmocka_unit_test(closing_the_client_ends_it),
        cmocka_unit_test(an_orchestrator_that_takes_one_request_at_a_time_gets_one_at_a_time),
    };
    return PW_TEST_RUN(cases);
}

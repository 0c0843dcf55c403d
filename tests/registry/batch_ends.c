/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How pywatt_heartbeat_batch ends when beats fail, are tried once more, or find nobody there; and when
 * others close, unregister or register meanwhile.
 */
#include "batch_scene.h"

#include <pywatt/log.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- Once more ---- */

/* The token and the generation that the beat went out with are replaced before its answer is there. */
static void a_beat_that_was_overtaken_by_a_registration_is_sent_again(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct sender sender;
    struct pywatt_module_info *info = new_info("module 3");
    struct pywatt_module *again = NULL;
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    pw_fake_fence_off(scene.fake, pywatt_module_id(scene.modules[3]));
    pw_fake_hold(scene.fake, PW_OP_HEARTBEAT_BATCH);
    const uint64_t before = messages(&scene);
    start(&sender, &scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, before + 1));
    assert_int_equal(pywatt_module_info_set_id(info, pywatt_module_id(scene.modules[3])),
                     PYWATT_OK);
    assert_int_equal(pywatt_register_module(scene.client, info, &again, NULL), PYWATT_OK);
    pw_fake_release(scene.fake);
    join(&sender);
    assert_int_equal(sender.status, PYWATT_OK);
    expect_all(&scene, PYWATT_OK);
    pywatt_module_free(again);
    pywatt_module_info_free(info);
    end(&scene);
}

static void a_stale_module_is_told_so(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_error error;
    pw_fake_fence_off(scene.fake, pywatt_module_id(scene.modules[3]));
    assert_int_equal(beat_all(&scene, &error), PYWATT_STALE_GENERATION);
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(scene.beats[i].status, i == 3 ? PYWATT_STALE_GENERATION : PYWATT_OK);
    }
    assert_non_null(strstr(error.text, "a newer registration exists"));
    end(&scene);
}

/* How often one text stands in another. */
static unsigned count_in(const char *text, const char *what)
{
    unsigned count = 0;
    while ((text = strstr(text, what)) != NULL) {
        count++;
        text += strlen(what);
    }
    return count;
}

static void the_words_are_those_of_the_first_beat_that_failed_in_the_end(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_error error;
    /* All but one come back. */
    pw_fake_forget(scene.fake);
    scene.beats[5].module = NULL;
    assert_int_equal(beat_all(&scene, &error), PYWATT_INVALID_ARGUMENT);
    assert_string_equal(error.text, "beat 5 of the batch: the module is NULL");
    scene.beats[5].module = scene.modules[5];
    /* One does not, and stands behind another that fails, or before it. */
    for (int at = 4; at <= 6; at += 2) {
        struct pywatt_uuid id;
        struct pywatt_module *nobody = NULL;
        char text[PYWATT_UUID_TEXT_SIZE];
        pywatt_uuid_generate(&id);
        pywatt_uuid_format(&id, text);
        assert_int_equal(pywatt_attach_module(scene.client, NULL, &id, "t", &nobody, NULL),
                         PYWATT_OK);
        scene.beats[5].health = (enum pywatt_health)9;
        scene.beats[at].module = nobody;
        const enum pywatt_status status = beat_all(&scene, &error);
        if (at < 5) {
            assert_int_equal(status, PYWATT_MODULE_NOT_FOUND);
            assert_non_null(strstr(error.text, "it is not here"));
            assert_non_null(strstr(error.text, text));
        } else {
            assert_int_equal(status, PYWATT_INVALID_ARGUMENT);
            assert_non_null(strstr(error.text, "health"));
        }
        assert_int_equal(count_in(error.text, "heartbeat of"), 1);
        scene.beats[5].health = PYWATT_HEALTHY;
        scene.beats[at].module = scene.modules[at];
        pywatt_module_free(nobody);
    }
    end(&scene);
}

static enum pw_fake_action disconnect(void *user, const struct pw_request *request,
                                      struct pw_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    return PW_FAKE_DISCONNECT;
}

/* What a single beat would say once, a batch says once. */
static void words_name_the_module_once(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_error error;
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    pw_fake_forget(scene.fake);
    pw_fake_handle(scene.fake, PW_OP_REGISTER, disconnect, NULL);
    assert_int_equal(beat_all(&scene, &error), PYWATT_CHANNEL);
    assert_int_equal(count_in(error.text, "heartbeat of"), 1);
    end(&scene);
}

static void on_line(void *user, enum pywatt_log_level level, const char *line)
{
    (void)level;
    if (strstr(line, "cannot be registered again") != NULL) {
        atomic_fetch_add((atomic_uint *)user, 1);
    }
}

static void hasty(struct pywatt_client_options *options)
{
    short_timeout(options);
    no_retries(options);
}

/* The client knows of each module that it has to be registered again, and could not do it. */
static void lose_all_modules(struct scene *scene)
{
    assert_int_equal(beat_all(scene, NULL), PYWATT_OK);
    pw_fake_forget(scene->fake);
    pw_fake_drop(scene->fake, PW_OP_REGISTER, true);
    assert_int_not_equal(beat_all(scene, NULL), PYWATT_OK);
    for (int i = 0; i < BEATS; i++) {
        assert_true(pw_handle_unwell(scene->modules[i]));
    }
}

/* Each is tried once, at the same time as the others. */
static void nothing_is_tried_after_the_deadline(void **state)
{
    (void)state;
    struct scene scene = begin(hasty);
    atomic_uint lines;
    atomic_init(&lines, 0);
    lose_all_modules(&scene);
    pywatt_set_log_sink(on_line, &lines, PYWATT_LOG_WARNING);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_TIMEOUT);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    expect_all(&scene, PYWATT_TIMEOUT);
    assert_in_range(atomic_load(&lines), 1, BEATS);
    end(&scene);
}

static void nothing_is_tried_once_there_is_no_connection(void **state)
{
    (void)state;
    struct scene scene = begin(hasty);
    lose_all_modules(&scene);
    pw_fake_go_away(scene.fake);
    const uint64_t before = STAT(scene.client, connect_failures);
    enum pywatt_status status;
    do { /* what is sent before the end is seen is lost with the connection */
        status = beat_all(&scene, NULL);
    } while (status == PYWATT_CHANNEL);
    assert_int_equal(status, PYWATT_CONNECTION);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_CONNECTION);
    expect_all(&scene, PYWATT_CONNECTION);
    assert_in_range(STAT(scene.client, connect_failures) - before, 1, 4);
    end(&scene);
}

static void without_an_answer_all_beats_are_out_of_time(void **state)
{
    (void)state;
    struct scene scene = begin(short_timeout);
    pw_fake_drop(scene.fake, PW_OP_HEARTBEAT_BATCH, true);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_TIMEOUT);
    expect_all(&scene, PYWATT_TIMEOUT);
    pw_fake_drop(scene.fake, PW_OP_HEARTBEAT_BATCH, false);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    expect_all(&scene, PYWATT_OK);
    end(&scene);
}

static enum pywatt_health stand_at_gate(void *user, struct pywatt_string_map *details)
{
    (void)details;
    box_gate_pass(user);
    return PYWATT_HEALTHY;
}

/* Nobody but the caller is there to see that the time is over. */
static void a_deadline_needs_no_heartbeat_thread(void **state)
{
    (void)state;
    struct scene scene = begin(short_timeout);
    struct box box;
    box_init(&box);
    pw_fake_drop(scene.fake, PW_OP_HEARTBEAT_BATCH, true);
    assert_int_equal(
        pywatt_start_heartbeat_loop(scene.modules[0], 1, stand_at_gate, &box, NULL, NULL),
        PYWATT_OK);
    assert_true(box_gate_wait_for_one(&box));
    assert_int_equal(beat_all(&scene, NULL), PYWATT_TIMEOUT);
    expect_all(&scene, PYWATT_TIMEOUT);
    pw_fake_drop(scene.fake, PW_OP_HEARTBEAT_BATCH, false);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    box_gate_open(&box);
    end(&scene);
    box_destroy(&box);
}

/* ---- Meanwhile ---- */

static void a_client_that_is_closed_meanwhile_ends_its_batches(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct sender sender;
    pw_fake_hold(scene.fake, PW_OP_HEARTBEAT_BATCH);
    start(&sender, &scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, 1));
    pywatt_client_stop(scene.client);
    join(&sender);
    assert_int_equal(sender.status, PYWATT_CLOSED);
    expect_all(&scene, PYWATT_CLOSED);
    end(&scene);
}

static void modules_may_be_unregistered_meanwhile(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct sender sender;
    pw_fake_hold(scene.fake, PW_OP_HEARTBEAT_BATCH);
    start(&sender, &scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, 1));
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(pywatt_unregister_module(scene.modules[i], NULL), PYWATT_OK);
    }
    pw_fake_release(scene.fake);
    join(&sender);
    assert_int_equal(sender.status, PYWATT_OK);
    expect_all(&scene, PYWATT_OK);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_CLOSED);
    expect_all(&scene, PYWATT_CLOSED);
    end(&scene);
}

static void a_connection_that_breaks_meanwhile_fails_what_was_sent(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct sender sender;
    pw_fake_drop(scene.fake, PW_OP_HEARTBEAT_BATCH, true);
    start(&sender, &scene);
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, 1));
    pw_fake_disconnect(scene.fake);
    join(&sender);
    assert_int_equal(sender.status, PYWATT_CHANNEL);
    expect_all(&scene, PYWATT_CHANNEL);
    end(&scene);
}

struct racer {
    pthread_t thread;
    struct scene *scene;
    atomic_bool *stop;
    int number;
    unsigned odd; /* statuses that fit nothing that happens */
};

/* Registers its module again, over and over, and takes care that the orchestrator forgets it. */
static void *register_again(void *user)
{
    struct racer *racer = user;
    struct scene *scene = racer->scene;
    while (!atomic_load(racer->stop)) {
        struct pywatt_module_info *info = NULL;
        struct pywatt_module *again = NULL;
        if (pywatt_module_info_new("again", "1", "d", &info) != PYWATT_OK ||
            pywatt_module_info_set_id(info, pywatt_module_id(scene->modules[racer->number])) !=
                PYWATT_OK ||
            pywatt_register_module(scene->client, info, &again, NULL) != PYWATT_OK) {
            racer->odd++;
        }
        pywatt_module_free(again);
        pywatt_module_info_free(info);
    }
    return NULL;
}

static void *beat_along(void *user)
{
    struct racer *racer = user;
    struct pywatt_beat beats[BEATS];
    memcpy(beats, racer->scene->beats, sizeof(beats));
    while (!atomic_load(racer->stop)) {
        (void)pywatt_heartbeat_batch(racer->scene->client, beats, BEATS, NULL);
        for (int i = 0; i < BEATS; i++) {
            racer->odd +=
                beats[i].status != PYWATT_OK && beats[i].status != PYWATT_STALE_GENERATION ? 1 : 0;
        }
    }
    return NULL;
}

static void modules_may_be_registered_again_meanwhile(void **state)
{
    (void)state;
    enum {
        RACERS = 4
    };
    struct scene scene = begin(NULL);
    struct racer racers[RACERS];
    atomic_bool stop;
    atomic_init(&stop, false);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.scene = &scene, .stop = &stop, .number = i};
        assert_int_equal(pthread_create(&racers[i].thread, NULL,
                                        i < 2 ? register_again : beat_along, &racers[i]),
                         0);
    }
    const uint64_t rounds = 200 / pw_test_slow_factor();
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, rounds));
    assert_true(pw_fake_wait(scene.fake, PW_OP_REGISTER, BEATS + rounds / 2));
    atomic_store(&stop, true);
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        assert_int_equal(racers[i].odd, 0);
    }
    /* Whatever has met, no module is known by an alias of an older registration. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    }
    const uint64_t alone = pw_fake_count(scene.fake, PW_OP_HEARTBEAT);
    const uint64_t by_aliases = pw_fake_short_beats(scene.fake);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    assert_int_equal(pw_fake_short_beats(scene.fake), by_aliases + BEATS);
    assert_int_equal(pw_fake_count(scene.fake, PW_OP_HEARTBEAT), alone);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_beat_that_was_overtaken_by_a_registration_is_sent_again),
        cmocka_unit_test(a_stale_module_is_told_so),
        cmocka_unit_test(the_words_are_those_of_the_first_beat_that_failed_in_the_end),
        cmocka_unit_test(words_name_the_module_once),
        cmocka_unit_test(nothing_is_tried_after_the_deadline),
        cmocka_unit_test(nothing_is_tried_once_there_is_no_connection),
        cmocka_unit_test(without_an_answer_all_beats_are_out_of_time),
        cmocka_unit_test(a_deadline_needs_no_heartbeat_thread),
        cmocka_unit_test(a_client_that_is_closed_meanwhile_ends_its_batches),
        cmocka_unit_test(modules_may_be_unregistered_meanwhile),
        cmocka_unit_test(a_connection_that_breaks_meanwhile_fails_what_was_sent),
        cmocka_unit_test(modules_may_be_registered_again_meanwhile),
    };
    return PW_TEST_RUN(cases);
}

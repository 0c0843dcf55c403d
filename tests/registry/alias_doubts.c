/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Aliases that an orchestrator does not know, or does not want, and numbers that run out: no beat fails
 * for that, and nobody is asked the same in vain for ever.
 */
#include "batch_scene.h"

#include "base/clock.h"
#include "base/map.h"
#include "registry/alias.h"

#include <string.h>

/* Sends one beat of each module, of which so many go by their aliases first; all end well. */
static void expect_round(struct scene *scene, uint64_t by_aliases, uint64_t in_messages)
{
    const uint64_t before = pw_fake_short_beats(scene->fake);
    const uint64_t messages_before = messages(scene);
    assert_int_equal(beat_all(scene, NULL), PYWATT_OK);
    expect_all(scene, PYWATT_OK);
    assert_int_equal(pw_fake_short_beats(scene->fake) - before, by_aliases);
    assert_int_equal(messages(scene) - messages_before, in_messages);
}

static void expect_beats(const struct scene *scene, uint64_t beats)
{
    for (int i = 0; i < BEATS; i++) {
        struct pw_fake_module known;
        assert_true(pw_fake_find(scene->fake, pywatt_module_id(scene->modules[i]), &known));
        assert_int_equal(known.beats, beats);
    }
}

/* ---- Aliases that are not known ---- */

static void beats_by_aliases_that_are_not_known_go_again_in_full(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    expect_round(&scene, 0, 1);
    pw_fake_lose_aliases(scene.fake, true);
    for (int i = 0; i < 3; i++) {
        expect_round(&scene, BEATS, 2);
    }
    expect_beats(&scene, 4);
    pw_fake_lose_aliases(scene.fake, false);
    expect_round(&scene, BEATS, 1);
    assert_int_equal(STAT(scene.client, beats_failed), 0);
    assert_int_equal(STAT(scene.client, beats_answered), 5 * BEATS);
    end(&scene);
}

static enum pw_fake_action refuse_all_in_full(void *user, const struct pw_request *request,
                                              struct pw_response *response)
{
    static struct pw_beat_exception exceptions[PW_BATCH_MAX];
    (void)user;
    response->exception_count = request->beat_count;
    response->exceptions = exceptions;
    for (uint32_t i = 0; i < request->beat_count; i++) {
        exceptions[i] = (struct pw_beat_exception){.index = i,
                                                   .status = PYWATT_INVALID_ARGUMENT,
                                                   .error = PW_STR_LITERAL("not like that")};
    }
    return PW_FAKE_ANSWER;
}

/* What is refused in full, too, has failed. */
static void a_beat_goes_again_once(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_error error;
    expect_round(&scene, 0, 1);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, refuse_all_in_full, NULL);
    const uint64_t before = messages(&scene);
    assert_int_equal(beat_all(&scene, &error), PYWATT_INVALID_ARGUMENT);
    expect_all(&scene, PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "not like that"));
    assert_int_equal(messages(&scene) - before, 2);
    end(&scene);
}

static void short_frames_one_by_one(struct pywatt_client_options *options)
{
    options->max_frame_bytes = 1024; /* five beats */
    options->max_in_flight = 1;
}

/* Though its module may have got another alias meanwhile: that is not known either. */
static void it_goes_in_full_whatever_has_come_meanwhile(void **state)
{
    (void)state;
    struct scene scene = begin(short_frames_one_by_one);
    for (int i = 0; i < BEATS; i++) {
        scene.beats[i].module = scene.modules[0];
    }
    assert_int_equal(pywatt_heartbeat_batch(scene.client, scene.beats, 1, NULL), PYWATT_OK);
    pw_fake_lose_aliases(scene.fake, true);
    /*
     * Five, five and two beats: mostly the third message is filled when the first was answered, so it
     * is in full, and gives an alias. The others go again after that.
     */
    const uint64_t before = messages(&scene);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    expect_all(&scene, PYWATT_OK);
    assert_in_range(pw_fake_short_beats(scene.fake), 10, 12);
    assert_in_range(messages(&scene) - before, 5, 6);
    end(&scene);
}

/* ---- Messages that are refused for them ---- */

struct dislike {
    enum pywatt_status status;
    bool of_all; /* of messages without aliases as well */
};

static enum pw_fake_action refuse_aliases(void *user, const struct pw_request *request,
                                          struct pw_response *response)
{
    const struct dislike *dislike = user;
    if (dislike->of_all || request->full_count < request->beat_count) {
        response->success = false;
        response->status = dislike->status;
        response->error = PW_STR_LITERAL("what is this?");
    }
    return PW_FAKE_ANSWER;
}

static void a_connection_on_which_aliases_are_refused_has_none(void **state)
{
    (void)state;
    static const enum pywatt_status statuses[] = {PYWATT_SERIALIZATION, PYWATT_UNSUPPORTED,
                                                  PYWATT_INVALID_ARGUMENT};
    struct scene scene = begin(NULL);
    for (size_t i = 0; i < 3; i++) {
        struct dislike dislike = {.status = statuses[i]};
        expect_round(&scene, 0, 1);
        expect_round(&scene, BEATS, 1);
        pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, refuse_aliases, &dislike);
        expect_round(&scene, BEATS, 2);
        expect_round(&scene, 0, 1);
        pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, NULL, NULL);
        expect_round(&scene, 0, 1);
        /* The next one is another one. */
        lose_the_connection(&scene);
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    }
    expect_round(&scene, 0, 1);
    expect_round(&scene, BEATS, 1);
    end(&scene);
}

static void other_refusals_are_told(void **state)
{
    (void)state;
    struct dislike dislike = {.status = PYWATT_NO_MEMORY};
    struct scene scene = begin(NULL);
    expect_round(&scene, 0, 1);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, refuse_aliases, &dislike);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_NO_MEMORY);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, NULL, NULL);
    expect_round(&scene, BEATS, 1);
    /* And one that is meant for everybody, once it is clear that it is. */
    dislike = (struct dislike){.status = PYWATT_SERIALIZATION, .of_all = true};
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, refuse_aliases, &dislike);
    const uint64_t before = messages(&scene);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_SERIALIZATION);
    expect_all(&scene, PYWATT_SERIALIZATION);
    assert_int_equal(messages(&scene) - before, 2);
    end(&scene);
}

/* ---- Loops ---- */

struct short_beats_wanted {
    struct scene *scene;
    uint64_t count;
};

static bool are_there(void *user)
{
    const struct short_beats_wanted *wanted = user;
    return pw_fake_short_beats(wanted->scene->fake) >= wanted->count;
}

static void wait_short_beats(struct scene *scene, uint64_t more)
{
    struct short_beats_wanted wanted = {scene, pw_fake_short_beats(scene->fake) + more};
    assert_true(pw_test_wait_until(are_there, &wanted, 10000));
}

static void wait_answered(struct scene *scene, uint64_t more)
{
    assert_true(
        WAIT_STAT(scene->client, beats_answered, STAT(scene->client, beats_answered) + more));
}

static void begin_loops(struct scene *scene, struct box *box, uint32_t interval_ms)
{
    box_init(box);
    for (int i = 0; i < BEATS; i++) {
        pywatt_module_set_watcher(scene->modules[i], on_event, box);
        start_loop(scene->modules[i], interval_ms);
    }
}

/* Each has said once that all is well, and no more. */
static void end_loops(struct scene *scene, struct box *box)
{
    assert_true(box_wait(box, BEATS));
    /* A last beat may still leave behind the unregistration, and is refused then. */
    assert_int_equal(STAT(scene->client, beats_failed), 0);
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(pywatt_unregister_module(scene->modules[i], NULL), PYWATT_OK);
    }
    assert_int_equal(box_count(box), BEATS);
    for (int i = 0; i < BEATS; i++) {
        assert_int_equal(box->told[i].status, PYWATT_OK);
    }
    end(scene);
    box_destroy(box);
}

static void loops_hear_nothing_of_aliases_that_are_not_known(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct box box;
    begin_loops(&scene, &box, 2);
    wait_short_beats(&scene, 2 * BEATS);
    pw_fake_lose_aliases(scene.fake, true);
    wait_short_beats(&scene, 5 * BEATS);
    pw_fake_lose_aliases(scene.fake, false);
    wait_short_beats(&scene, 5 * BEATS);
    end_loops(&scene, &box);
}

static void loops_hear_nothing_of_messages_that_are_refused_for_them(void **state)
{
    (void)state;
    struct dislike dislike = {.status = PYWATT_UNSUPPORTED};
    struct scene scene = begin(NULL);
    struct box box;
    begin_loops(&scene, &box, 2);
    wait_short_beats(&scene, 2 * BEATS);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, refuse_aliases, &dislike);
    /* What was under way has ended. */
    wait_answered(&scene, 10 * BEATS);
    const uint64_t before = pw_fake_short_beats(scene.fake);
    wait_answered(&scene, 10 * BEATS);
    assert_int_equal(pw_fake_short_beats(scene.fake), before);
    end_loops(&scene, &box);
}

enum {
    LONG_MS = 600000,
    SOON_MS = 50
};

/* One whose loop begins soon, however long its interval: that goes by the id. */
static struct pywatt_module *register_an_early_one(struct pywatt_client *client)
{
    struct pywatt_module *module = NULL;
    struct pywatt_module_info *info = new_info("early");
    struct pywatt_uuid id;
    do {
        pywatt_uuid_generate(&id);
    } while (pw_hash_uuid(&id) % (LONG_MS * PW_NS_PER_MS) > SOON_MS * PW_NS_PER_MS);
    assert_int_equal(pywatt_module_info_set_id(info, &id), PYWATT_OK);
    assert_int_equal(pywatt_register_module(client, info, &module, NULL), PYWATT_OK);
    pywatt_module_info_free(info);
    return module;
}

/* At once, not when its next one is due, which is long after this test. */
static void a_loops_beat_goes_again_at_once(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_module *module = register_an_early_one(scene.client);
    struct pywatt_beat beat = {.module = module};
    pw_fake_lose_aliases(scene.fake, true);
    assert_int_equal(pywatt_heartbeat_batch(scene.client, &beat, 1, NULL), PYWATT_OK);
    const uint64_t before = messages(&scene);
    start_loop(module, LONG_MS);
    assert_true(pw_fake_wait(scene.fake, PW_OP_HEARTBEAT_BATCH, before + 2));
    struct pw_fake_module known;
    assert_true(pw_fake_find(scene.fake, pywatt_module_id(module), &known));
    assert_int_equal(known.beats, 2);
    assert_int_equal(pw_fake_short_beats(scene.fake), 1);
    assert_int_equal(STAT(scene.client, beats_failed), 0);
    pywatt_module_free(module);
    end(&scene);
}

/* A beat went well also if the orchestrator sees its module otherwise, again and again. */
static void a_lasting_verdict_keeps_no_loop_from_its_alias(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    pw_fake_set_verdict(scene.fake, PYWATT_UNHEALTHY);
    for (int i = 0; i < BEATS; i++) {
        start_loop(scene.modules[i], 2);
    }
    wait_short_beats(&scene, 3 * BEATS);
    end(&scene);
}

/* ---- Numbers ---- */

static void who_finds_no_number_beats_in_full(void **state)
{
    (void)state;
    enum {
        LEFT = 5
    };
    struct scene scene = begin(NULL);
    const uint64_t epoch = pw_channel_epoch(scene.client->channel);
    atomic_store(&scene.client->aliases.last,
                 epoch << PW_ALIAS_EPOCH_SHIFT | (PW_ALIAS_MAX - LEFT));
    expect_round(&scene, 0, 1);
    expect_round(&scene, LEFT, 1);
    expect_round(&scene, LEFT, 1);
    expect_beats(&scene, 3);
    /* The next connection has all of them again. */
    lose_the_connection(&scene);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    expect_round(&scene, 0, 1);
    expect_round(&scene, BEATS, 1);
    end(&scene);
}

/* ---- Connections ---- */

/* A request that names aliases, or goes by them, is of its connection also where it blocks. */
static void a_call_on_another_connection_is_not_sent(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pw_arena arena;
    struct pw_response response;
    struct pywatt_error error;
    expect_round(&scene, 0, 1);
    const pw_short_beat beat = pw_short_beat_of(1, PYWATT_DEGRADED);
    struct pw_request request = {.operation = PW_OP_HEARTBEAT_BATCH,
                                 .short_beats = &beat,
                                 .beat_count = 1,
                                 .only_epoch = pw_channel_epoch(scene.client->channel)};
    pw_arena_init(&arena, 65536);
    pw_response_init(&response);
    const uint64_t deadline_ns = pw_client_deadline_ns(scene.client);
    assert_int_equal(pw_channel_call(scene.client->channel, &request, deadline_ns, &arena,
                                     &response, NULL, &error),
                     PYWATT_OK);
    assert_int_equal(response.exception_count, 0);
    pw_response_clear(&response);
    lose_the_connection(&scene);
    /* With this one it is known that the peer takes batches. */
    assert_int_equal(pywatt_heartbeat(scene.modules[0], PYWATT_HEALTHY, NULL, NULL, NULL),
                     PYWATT_OK);
    const uint64_t before = messages(&scene);
    pw_response_init(&response);
    assert_int_equal(pw_channel_call(scene.client->channel, &request, deadline_ns, &arena,
                                     &response, NULL, &error),
                     PYWATT_UNSUPPORTED);
    assert_non_null(strstr(error.text, "another connection"));
    assert_int_equal(messages(&scene), before);
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(beats_by_aliases_that_are_not_known_go_again_in_full),
        cmocka_unit_test(a_beat_goes_again_once),
        cmocka_unit_test(it_goes_in_full_whatever_has_come_meanwhile),
        cmocka_unit_test(a_connection_on_which_aliases_are_refused_has_none),
        cmocka_unit_test(other_refusals_are_told),
        cmocka_unit_test(loops_hear_nothing_of_aliases_that_are_not_known),
        cmocka_unit_test(loops_hear_nothing_of_messages_that_are_refused_for_them),
        cmocka_unit_test(a_loops_beat_goes_again_at_once),
        cmocka_unit_test(a_lasting_verdict_keeps_no_loop_from_its_alias),
        cmocka_unit_test(who_finds_no_number_beats_in_full),
        cmocka_unit_test(a_call_on_another_connection_is_not_sent),
    };
    return PW_TEST_RUN(cases);
}

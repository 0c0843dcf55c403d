/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What pywatt_heartbeat_batch sends, and what it makes of the answers: against an orchestrator that
 * takes no batches any more, says much, or answers nonsense. And what is remembered of it.
 */
#include "batch_scene.h"

#include <pywatt/log.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- What may be sent ---- */

static void no_batch_goes_to_a_peer_that_has_not_said_it_takes_them(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    assert_true(messages(&scene) > 0);
    const uint64_t before = messages(&scene);
    pw_fake_take_batches(scene.fake, false);
    lose_the_connection(&scene);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    expect_all(&scene, PYWATT_OK);
    assert_int_equal(messages(&scene), before);
    /* And back. */
    pw_fake_take_batches(scene.fake, true);
    lose_the_connection(&scene);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    assert_true(messages(&scene) > before);
    end(&scene);
}

static void small_frames(struct pywatt_client_options *options)
{
    options->max_frame_bytes = 1024;
}

static enum pw_fake_action refuse_at_length(void *user, const struct pw_request *request,
                                            struct pw_response *response)
{
    static char text[160];
    struct pw_beat_exception *exceptions = user;
    memset(text, 'x', sizeof(text) - 1);
    response->exception_count = request->beat_count;
    response->exceptions = exceptions;
    for (uint32_t i = 0; i < request->beat_count; i++) {
        exceptions[i] = (struct pw_beat_exception){
            .index = i, .status = PYWATT_REJECTED, .error = pw_str_from(text)};
    }
    return PW_FAKE_ANSWER;
}

/* Whatever the orchestrator says to each beat: the connection does not end for it. */
static void the_reply_to_a_batch_fits_into_a_frame_as_well(void **state)
{
    (void)state;
    static struct pw_beat_exception exceptions[PW_BATCH_MAX];
    struct scene scene = begin(small_frames);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, refuse_at_length, exceptions);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(beat_all(&scene, NULL), PYWATT_REJECTED);
        expect_all(&scene, PYWATT_REJECTED);
    }
    assert_true(messages(&scene) > 0);
    assert_int_equal(pw_fake_connections(scene.fake), 1);
    end(&scene);
}

static enum pw_fake_action note_most_beats(void *user, const struct pw_request *request,
                                           struct pw_response *response)
{
    atomic_uint *most = user;
    (void)response;
    if (request->beat_count > atomic_load(most)) {
        atomic_store(most, request->beat_count);
    }
    return PW_FAKE_ANSWER;
}

/* Who takes batches takes PW_BATCH_BYTES; what other orchestrators' tokens are like is not known. */
static void a_batch_is_never_longer_than_a_peer_must_take(void **state)
{
    (void)state;
    enum {
        MANY = 300
    };
    static struct pywatt_beat beats[MANY];
    struct scene scene = begin(NULL);
    atomic_uint most;
    char token[PYWATT_TOKEN_MAX + 1];
    memset(token, 'x', PYWATT_TOKEN_MAX);
    token[PYWATT_TOKEN_MAX] = '\0';
    atomic_init(&most, 0);
    pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, note_most_beats, &most);
    for (int i = 0; i < MANY; i++) {
        struct pywatt_uuid id;
        pywatt_uuid_generate(&id);
        assert_int_equal(
            pywatt_attach_module(scene.client, NULL, &id, token, &beats[i].module, NULL),
            PYWATT_OK);
    }
    assert_int_equal(pywatt_heartbeat_batch(scene.client, beats, MANY, NULL),
                     PYWATT_MODULE_NOT_FOUND);
    assert_in_range(atomic_load(&most), 2, PW_BATCH_BYTES / PYWATT_TOKEN_MAX);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(beats[i].status, PYWATT_MODULE_NOT_FOUND);
        pywatt_module_free(beats[i].module);
    }
    end(&scene);
}

/* ---- Nonsense ---- */

enum nonsense {
    ONE_BEAT_TOO_FEW,
    ONE_BEAT_TOO_MANY,
    NO_BEATS,
    INDEX_TWICE,
    INDEXES_THAT_FALL,
    INDEX_BEYOND,
    NO_HEALTH,
    NONSENSE_COUNT
};

struct liar {
    enum nonsense what;
    struct pw_beat_exception exceptions[2];
};

static enum pw_fake_action lie(void *user, const struct pw_request *request,
                               struct pw_response *response)
{
    struct liar *liar = user;
    struct pw_beat_exception *exceptions = liar->exceptions;
    response->exceptions = exceptions;
    response->exception_count = 0;
    exceptions[0] = (struct pw_beat_exception){.index = 1, .health = PYWATT_DEGRADED};
    exceptions[1] = (struct pw_beat_exception){.index = 2, .health = PYWATT_DEGRADED};
    switch (liar->what) {
    case ONE_BEAT_TOO_FEW: response->beat_count--; break;
    case ONE_BEAT_TOO_MANY: response->beat_count++; break;
    case NO_BEATS: response->beat_count = 0; break;
    case INDEX_TWICE:
        exceptions[1].index = 1;
        response->exception_count = 2;
        break;
    case INDEXES_THAT_FALL:
        exceptions[1].index = 0;
        response->exception_count = 2;
        break;
    case INDEX_BEYOND:
        exceptions[1].index = request->beat_count;
        response->exception_count = 2;
        break;
    case NO_HEALTH:
        exceptions[0].health = (enum pywatt_health)77;
        response->exception_count = 1;
        break;
    case NONSENSE_COUNT: break;
    }
    return PW_FAKE_ANSWER;
}

static void a_reply_that_makes_no_sense_is_an_answer_to_nobody(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct liar liar;
    struct pywatt_error error;
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    for (int what = 0; what < NONSENSE_COUNT; what++) {
        liar.what = (enum nonsense)what;
        pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, lie, &liar);
        assert_int_equal(beat_all(&scene, &error), PYWATT_SERIALIZATION);
        expect_all(&scene, PYWATT_SERIALIZATION);
        assert_true(strlen(error.text) > 0);
        pw_fake_handle(scene.fake, PW_OP_HEARTBEAT_BATCH, NULL, NULL);
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
        expect_all(&scene, PYWATT_OK);
    }
    assert_int_equal(pw_fake_connections(scene.fake), 1);
    end(&scene);
}

static void a_batch_that_is_refused_as_a_whole_is_refused_for_each(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    struct pywatt_error error;
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    pw_fake_refuse(scene.fake, PW_OP_HEARTBEAT_BATCH, PYWATT_UNAVAILABLE, "come back later");
    assert_int_equal(beat_all(&scene, &error), PYWATT_UNAVAILABLE);
    expect_all(&scene, PYWATT_UNAVAILABLE);
    assert_non_null(strstr(error.text, "come back later"));
    end(&scene);
}

/* ---- What is remembered ---- */

/* Beats that go well on a new connection have been seen there, however they came to it. */
static void successes_are_those_of_the_connection_that_they_came_over(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
    for (int round = 0; round < 3; round++) {
        lose_the_connection(&scene);
        assert_int_equal(beat_all(&scene, NULL), PYWATT_OK);
        const uint64_t epoch = pw_channel_epoch(scene.client->channel);
        for (int i = 0; i < BEATS; i++) {
            assert_int_equal(atomic_load(&scene.modules[i]->success_epoch), epoch);
        }
    }
    end(&scene);
}

static void beats_that_were_never_sent_do_not_count_as_sent(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    scene.beats[0].module = NULL;
    scene.beats[1].health = (enum pywatt_health)9;
    assert_int_equal(pywatt_unregister_module(scene.modules[2], NULL), PYWATT_OK);
    pw_fake_fence_off(scene.fake, pywatt_module_id(scene.modules[3]));
    assert_int_equal(beat_all(&scene, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(STAT(scene.client, beats_sent), BEATS - 3);
    assert_int_equal(STAT(scene.client, beats_answered), BEATS - 4);
    assert_int_equal(STAT(scene.client, beats_failed), 4);
    end(&scene);
}

static void every_beat_has_a_status_whatever_is_returned(void **state)
{
    (void)state;
    struct scene scene = begin(NULL);
    assert_int_equal(pywatt_heartbeat_batch(NULL, scene.beats, BEATS, NULL),
                     PYWATT_INVALID_ARGUMENT);
    expect_all(&scene, PYWATT_INVALID_ARGUMENT);
    pywatt_client_close(scene.client);
    assert_int_equal(beat_all(&scene, NULL), PYWATT_CLOSED);
    expect_all(&scene, PYWATT_CLOSED);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(no_batch_goes_to_a_peer_that_has_not_said_it_takes_them),
        cmocka_unit_test(the_reply_to_a_batch_fits_into_a_frame_as_well),
        cmocka_unit_test(a_batch_is_never_longer_than_a_peer_must_take),
        cmocka_unit_test(a_reply_that_makes_no_sense_is_an_answer_to_nobody),
        cmocka_unit_test(a_batch_that_is_refused_as_a_whole_is_refused_for_each),
        cmocka_unit_test(successes_are_those_of_the_connection_that_they_came_over),
        cmocka_unit_test(beats_that_were_never_sent_do_not_count_as_sent),
        cmocka_unit_test(every_beat_has_a_status_whatever_is_returned),
    };
    return PW_TEST_RUN(cases);
}

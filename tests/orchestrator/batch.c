/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Batches of beats as the wire shows them: what each beat is answered with, what the first reply on a
 * connection says, and in which order a batch and the requests around it are done.
 */
#include "pipeline.h"
#include "slow_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pw_batched_beat beat_in_batch(const struct identity *who, enum pywatt_health health)
{
    return (struct pw_batched_beat){
        .module_id = who->id, .token = pw_str_from(who->token), .health = health};
}

static struct pw_request batch_of(const struct pw_batched_beat *beats, uint32_t count)
{
    return (struct pw_request){
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = beats, .beat_count = count};
}

static enum pywatt_status call_batch(struct peer *peer, const struct pw_batched_beat *beats,
                                     uint32_t count)
{
    struct pw_request request = batch_of(beats, count);
    return peer_call(peer, &request);
}

static bool send_batch(struct peer *peer, const struct pw_batched_beat *beats, uint32_t count)
{
    struct pw_request request = batch_of(beats, count);
    return peer_send(peer, &request);
}

/* The last reply has this exception at this place; its text is a view of bytes that are gone. */
static void expect_exception(const struct peer *peer, uint32_t at, uint32_t index,
                             enum pywatt_status status, enum pywatt_health health)
{
    assert_true(at < peer->response.exception_count);
    const struct pw_beat_exception *exception = &peer->response.exceptions[at];
    assert_int_equal(exception->index, index);
    assert_int_equal(exception->status, status);
    assert_int_equal(exception->health, health);
    assert_int_equal(exception->error.len > 0, status != PYWATT_OK);
}

/* ---- Answers ---- */

static void only_beats_with_something_to_say_are_in_the_reply(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[6];
    struct pw_batched_beat beats[6];
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(peer_register(&peer, name, &who[i]), PYWATT_OK);
        beats[i] = beat_in_batch(&who[i], i % 2 == 0 ? PYWATT_HEALTHY : PYWATT_DEGRADED);
    }
    /* 1 was registered again; 2 shows the token of 3; 4 is nobody; 5 has a verdict. */
    assert_int_equal(peer_register_with(&peer, "m1", &who[1].id, who[1].token, NULL, &who[1]),
                     PYWATT_OK);
    beats[1] = beat_in_batch(&who[1], PYWATT_DEGRADED);
    beats[1].generation = 1;
    beats[2].token = beats[3].token;
    pywatt_uuid_generate(&beats[4].module_id);
    assert_int_equal(
        pywatt_orchestrator_set_verdict(world.orchestrator, &who[5].id, PYWATT_UNHEALTHY),
        PYWATT_OK);
    const struct pywatt_orchestrator_stats before = world_stats(&world);
    assert_int_equal(call_batch(&peer, beats, 6), PYWATT_OK);
    assert_int_equal(peer.response.beat_count, 6);
    assert_int_equal(peer.response.exception_count, 4);
    expect_exception(&peer, 0, 1, PYWATT_STALE_GENERATION, PYWATT_DEGRADED);
    expect_exception(&peer, 1, 2, PYWATT_INVALID_TOKEN, PYWATT_HEALTHY);
    expect_exception(&peer, 2, 4, PYWATT_MODULE_NOT_FOUND, PYWATT_HEALTHY);
    expect_exception(&peer, 3, 5, PYWATT_OK, PYWATT_UNHEALTHY);
    const struct pywatt_orchestrator_stats after = world_stats(&world);
    assert_int_equal(after.requests - before.requests, 1);
    assert_int_equal(after.heartbeats - before.heartbeats, 3);
    assert_int_equal(after.requests_refused - before.requests_refused, 3);
    /* What was reported is kept where the beat counts, and only there. */
    for (int i = 0; i < 6; i++) {
        struct pywatt_module_view *view = world_view(&world, &who[i].id);
        const bool counts = i == 0 || i == 3 || i == 5;
        assert_int_equal(pywatt_module_view_beats(view), counts ? 1 : 0);
        assert_int_equal(pywatt_module_view_health(view),
                         counts && i % 2 == 1 ? PYWATT_DEGRADED : PYWATT_HEALTHY);
        pywatt_module_view_free(view);
    }
    peer_close(&peer);
    world_stop(&world);
}

static void a_batch_may_have_1024_beats_and_no_more(void **state)
{
    (void)state;
    enum {
        MODULES = 64
    };
    struct world world;
    struct peer peer;
    struct identity who[MODULES];
    struct pw_batched_beat *beats = calloc(PW_BATCH_MAX, sizeof(*beats));
    assert_non_null(beats);
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    for (int i = 0; i < MODULES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(peer_register(&peer, name, &who[i]), PYWATT_OK);
    }
    for (uint32_t i = 0; i < PW_BATCH_MAX; i++) {
        beats[i] = beat_in_batch(&who[i % MODULES], (enum pywatt_health)(i / MODULES % 3));
    }
    /* A module's beats are done in their order: the last one is what is known. */
    assert_int_equal(call_batch(&peer, beats, PW_BATCH_MAX), PYWATT_OK);
    assert_int_equal(peer.response.beat_count, PW_BATCH_MAX);
    assert_int_equal(peer.response.exception_count, 0);
    for (int i = 0; i < MODULES; i++) {
        struct pywatt_module_view *view = world_view(&world, &who[i].id);
        assert_int_equal(pywatt_module_view_beats(view), PW_BATCH_MAX / MODULES);
        assert_int_equal(pywatt_module_view_health(view), beats[PW_BATCH_MAX - 1].health);
        pywatt_module_view_free(view);
    }
    /* All of them refused: the longest reply there is. */
    for (uint32_t i = 0; i < PW_BATCH_MAX; i++) {
        beats[i].module_id.bytes[15] ^= 0x55;
    }
    assert_int_equal(call_batch(&peer, beats, PW_BATCH_MAX), PYWATT_OK);
    assert_int_equal(peer.response.exception_count, PW_BATCH_MAX);
    expect_exception(&peer, PW_BATCH_MAX - 1, PW_BATCH_MAX - 1, PYWATT_MODULE_NOT_FOUND,
                     beats[PW_BATCH_MAX - 1].health);
    peer_close(&peer);
    free(beats);
    world_stop(&world);
}

static void a_lost_module_lives_again_with_a_beat_of_a_batch(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, "50", &who), PYWATT_OK);
    world_await_liveness(&world, 0, &who.id, PYWATT_LOST);
    const size_t from = world_event_count(&world);
    const struct pw_batched_beat beat = beat_in_batch(&who, PYWATT_HEALTHY);
    assert_int_equal(call_batch(&peer, &beat, 1), PYWATT_OK);
    assert_int_equal(peer.response.exception_count, 0);
    world_await_liveness(&world, from, &who.id, PYWATT_ALIVE);
    /* And its lease runs again. */
    world_await_liveness(&world, from, &who.id, PYWATT_LOST);
    peer_close(&peer);
    world_stop(&world);
}

static void a_module_hangs_on_the_connection_of_its_last_batch(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer other;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    world_peer(&world, &other, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    const struct pw_batched_beat beat = beat_in_batch(&who, PYWATT_HEALTHY);
    assert_int_equal(call_batch(&other, &beat, 1), PYWATT_OK);
    peer_close(&peer);
    world_await_connections(&world, 1);
    assert_int_equal(world_liveness(&world, &who.id), PYWATT_ALIVE);
    peer_close(&other);
    world_await_liveness(&world, 0, &who.id, PYWATT_SUSPECT);
    world_stop(&world);
}

/* ---- Features ---- */

static void the_first_reply_on_a_connection_tells_of_batches(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct identity nobody = {.token = "x"};
    world_begin(&world);
    for (int refused = 0; refused < 2; refused++) {
        world_peer(&world, &peer, "protobuf");
        if (refused) {
            assert_int_equal(peer_beat(&peer, &nobody, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
        } else {
            assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
        }
        assert_int_equal(peer.response.features, PW_FEATURE_HEARTBEAT_BATCH);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
            assert_int_equal(peer.response.features, 0);
        }
        peer_close(&peer);
    }
    world_stop(&world);
}

static void replies_in_json_tell_of_nothing(void **state)
{
    (void)state;
    static const char *const codecs[] = {"json", "json-python"};
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    for (size_t i = 0; i < 2; i++) {
        world_peer(&world, &peer, codecs[i]);
        assert_int_equal(peer_register(&peer, codecs[i], &who), PYWATT_OK);
        assert_int_equal(peer.response.features, 0);
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
        assert_int_equal(peer.response.features, 0);
        peer_close(&peer);
    }
    world_stop(&world);
}

/* Neither a batch nor its reply may end the connection for its length. */
static void an_orchestrator_for_short_messages_tells_of_no_batches(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        const bool enough = what == 2;
        struct world world;
        struct peer peer;
        world_prepare(&world);
        world.options.max_frame_bytes = PW_BATCH_BYTES - (what == 0 ? 1 : 0);
        world.options.max_output_bytes = 512 * 1024 - (what == 1 ? 1 : 0);
        world_start(&world);
        world_peer(&world, &peer, "protobuf");
        assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
        assert_int_equal(peer.response.features, enough ? PW_FEATURE_HEARTBEAT_BATCH : 0);
        peer_close(&peer);
        world_stop(&world);
    }
}

/* Whatever else is under way: the reply that leaves first has it. */
static void the_reply_that_leaves_first_tells_it_though_another_was_ready_earlier(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity nobody = {.token = "x"};
    world_prepare(&world);
    world.store = slow_store_open(true);
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    assert_true(send_register(&peer, "a", NULL, NULL)); /* 1 */
    assert_true(slow_store_await(world.store, 1));
    assert_true(send_beat(&peer, &nobody)); /* 2 */
    await_served(&world, 0, 1);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 1, PW_OP_REGISTER, PYWATT_OK);
    assert_int_equal(peer.response.features, PW_FEATURE_HEARTBEAT_BATCH);
    expect(&peer, 2, PW_OP_HEARTBEAT, PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(peer.response.features, 0);
    peer_close(&peer);
    world_stop(&world);
}

static void json_knows_no_batches(void **state)
{
    (void)state;
    static const char batch[] =
        "{\"id\":\"00000000-0000-4000-8000-000000000001\",\"content\":{\"request_type\":"
        "\"heartbeat_batch\",\"beats\":[]},\"metadata\":{\"id\":"
        "\"00000000-0000-4000-8000-000000000001\"}}";
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_true(peer_send_frame(&peer, 1, batch));
    /* No reply comes in between, as to any type that is not known. */
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_true(peer_has_nothing(&peer));
    peer_close(&peer);
    world_stop(&world);
}

/* ---- Order ---- */

static void begin(struct world *world, struct peer *peer, struct identity *who, size_t count)
{
    world_prepare(world);
    world->store = slow_store_open(false);
    world_start(world);
    world_peer(world, peer, "protobuf");
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "m%zu", i);
        assert_int_equal(peer_register(peer, name, &who[i]), PYWATT_OK); /* 1 to count */
    }
    slow_store_set_slow(world->store, true);
}

static void beats_of_a_batch_wait_for_older_requests_of_their_module(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[3];
    struct pw_batched_beat beats[3];
    begin(&world, &peer, who, 3);
    for (int i = 0; i < 3; i++) {
        beats[i] = beat_in_batch(&who[i], PYWATT_DEGRADED);
    }
    beats[2].token = beats[0].token;                     /* is told so, at once */
    assert_true(send_unregister(&peer, &who[1]));        /* 4 */
    assert_true(send_batch(&peer, beats, 3));            /* 5 */
    assert_true(send_register(&peer, "m1", NULL, NULL)); /* 6: behind both */
    assert_true(send_batch(&peer, beats, 2));            /* 7 */
    assert_true(send_batch(&peer, beats, 1));            /* 8: waits for nobody */
    assert_true(slow_store_await(world.store, 1));
    await_requests(&world, 8);
    /* Those of other modules have not waited. */
    struct pywatt_module_view *view = world_view(&world, &who[0].id);
    assert_int_equal(pywatt_module_view_beats(view), 3);
    assert_int_equal(pywatt_module_view_health(view), PYWATT_DEGRADED);
    pywatt_module_view_free(view);
    view = world_view(&world, &who[1].id);
    assert_int_equal(pywatt_module_view_beats(view), 0);
    pywatt_module_view_free(view);
    assert_true(peer_has_nothing(&peer));
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 4, PW_OP_UNREGISTER, PYWATT_OK);
    expect(&peer, 5, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.beat_count, 3);
    assert_int_equal(peer.response.exception_count, 2);
    expect_exception(&peer, 0, 1, PYWATT_MODULE_NOT_FOUND, PYWATT_DEGRADED);
    expect_exception(&peer, 1, 2, PYWATT_INVALID_TOKEN, PYWATT_DEGRADED);
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 6, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 7, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.exception_count, 1);
    expect_exception(&peer, 0, 1, PYWATT_MODULE_NOT_FOUND, PYWATT_DEGRADED);
    expect(&peer, 8, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.exception_count, 0);
    assert_int_equal(world_stats(&world).heartbeats, 3);
    peer_close(&peer);
    world_stop(&world);
}

static bool send_register_as(struct peer *peer, const char *name, const struct identity *who)
{
    return send_register(peer, name, &who->id, who->token);
}

/* A register request touches a module by its name, too; and requests wait for a batch that waits. */
static void a_batch_keeps_its_place_among_requests_of_its_modules(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    struct pw_batched_beat beats[2];
    begin(&world, &peer, who, 2);
    for (int i = 0; i < 2; i++) {
        beats[i] = beat_in_batch(&who[i], PYWATT_DEGRADED);
    }
    assert_true(send_register(&peer, "m0", NULL, NULL)); /* 3: is refused, in its turn */
    assert_true(send_register_as(&peer, "m1", &who[1])); /* 4 */
    assert_true(send_batch(&peer, beats, 2));            /* 5: waits for 4 at least */
    assert_true(send_batch(&peer, &beats[1], 1));        /* 6: behind 5 */
    assert_true(send_unregister(&peer, &who[1]));        /* 7: behind 6 */
    assert_true(send_beat(&peer, &who[1]));              /* 8: behind 7 */
    assert_true(slow_store_await(world.store, 1));
    await_requests(&world, 8);
    struct pywatt_module_view *view = world_view(&world, &who[1].id);
    assert_int_equal(pywatt_module_view_beats(view), 0);
    pywatt_module_view_free(view);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 3, PW_OP_REGISTER, PYWATT_NAME_TAKEN);
    expect(&peer, 4, PW_OP_REGISTER, PYWATT_OK);
    /* The token is another one if the orchestrator says so; the old one of the batch then fails. */
    const bool same =
        strcmp(pywatt_registration_token(peer.response.registration), who[1].token) == 0;
    expect(&peer, 5, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.exception_count, same ? 0 : 1);
    expect(&peer, 6, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    if (same) {
        assert_true(slow_store_await(world.store, 1));
        slow_store_end(world.store, 0, PYWATT_OK);
    }
    expect(&peer, 7, PW_OP_UNREGISTER, same ? PYWATT_OK : PYWATT_INVALID_TOKEN);
    expect(&peer, 8, PW_OP_HEARTBEAT, same ? PYWATT_MODULE_NOT_FOUND : PYWATT_INVALID_TOKEN);
    peer_close(&peer);
    world_stop(&world);
}

static void batches_that_wait_end_with_their_connection(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    struct pw_batched_beat beats[2];
    begin(&world, &peer, who, 2);
    for (int i = 0; i < 2; i++) {
        beats[i] = beat_in_batch(&who[i], PYWATT_HEALTHY);
    }
    assert_true(send_unregister(&peer, &who[0])); /* 3 */
    for (int i = 0; i < 10; i++) {
        assert_true(send_batch(&peer, beats, 2));
    }
    assert_true(slow_store_await(world.store, 1));
    await_requests(&world, 13);
    peer_close(&peer);
    world_await_liveness(&world, 0, &who[1].id, PYWATT_SUSPECT);
    /* The beats that did not wait have counted. */
    assert_int_equal(world_stats(&world).heartbeats, 10);
    slow_store_end(world.store, 0, PYWATT_OK);
    world_await(&world, 0, PYWATT_EVENT_UNREGISTERED, &who[0].id);
    world_await_connections(&world, 0);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(only_beats_with_something_to_say_are_in_the_reply),
        cmocka_unit_test(a_batch_may_have_1024_beats_and_no_more),
        cmocka_unit_test(a_lost_module_lives_again_with_a_beat_of_a_batch),
        cmocka_unit_test(a_module_hangs_on_the_connection_of_its_last_batch),
        cmocka_unit_test(the_first_reply_on_a_connection_tells_of_batches),
        cmocka_unit_test(replies_in_json_tell_of_nothing),
        cmocka_unit_test(an_orchestrator_for_short_messages_tells_of_no_batches),
        cmocka_unit_test(the_reply_that_leaves_first_tells_it_though_another_was_ready_earlier),
        cmocka_unit_test(json_knows_no_batches),
        cmocka_unit_test(beats_of_a_batch_wait_for_older_requests_of_their_module),
        cmocka_unit_test(a_batch_keeps_its_place_among_requests_of_its_modules),
        cmocka_unit_test(batches_that_wait_end_with_their_connection),
    };
    return PW_TEST_RUN(cases);
}

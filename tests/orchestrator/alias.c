/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Beats by aliases: who gets one, on which connection and for how long it stands for a module, and
 * what a beat is answered with whose module has gone, come again, or was never there.
 */
#include "pipeline.h"
#include "slow_store.h"

#include <stdio.h>
#include <string.h>

static struct pw_batched_beat naming(const struct identity *who, uint32_t alias,
                                     uint64_t generation)
{
    return (struct pw_batched_beat){.module_id = who->id,
                                    .token = pw_str_from(who->token),
                                    .generation = generation,
                                    .health = PYWATT_HEALTHY,
                                    .alias = alias};
}

static void call_full(struct peer *peer, const struct pw_batched_beat *beats, uint32_t count)
{
    struct pw_request request = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = beats, .beat_count = count};
    assert_int_equal(peer_call(peer, &request), PYWATT_OK);
    assert_int_equal(peer->response.beat_count, count);
}

/* A beat in full that gives the alias. */
static void give(struct peer *peer, const struct identity *who, uint32_t alias)
{
    const struct pw_batched_beat beat = naming(who, alias, 0);
    call_full(peer, &beat, 1);
    assert_int_equal(peer->response.exception_count, 0);
}

static struct pw_request short_batch(const pw_short_beat *beats, uint32_t count)
{
    return (struct pw_request){
        .operation = PW_OP_HEARTBEAT_BATCH, .short_beats = beats, .beat_count = count};
}

static void call_short(struct peer *peer, const pw_short_beat *beats, uint32_t count)
{
    struct pw_request request = short_batch(beats, count);
    assert_int_equal(peer_call(peer, &request), PYWATT_OK);
    assert_int_equal(peer->response.beat_count, count);
}

/* What one beat by the alias is answered with. */
static enum pywatt_status beat_by(struct peer *peer, uint32_t alias, enum pywatt_health health)
{
    const pw_short_beat beat = pw_short_beat_of(alias, health);
    call_short(peer, &beat, 1);
    if (peer->response.exception_count == 0) {
        return PYWATT_OK;
    }
    assert_int_equal(peer->response.exceptions[0].health, health);
    assert_true(peer->response.exceptions[0].error.len > 0);
    return peer->response.exceptions[0].status;
}

static void expect_beats(struct world *world, const struct identity *who, uint64_t beats,
                         enum pywatt_health health)
{
    struct pywatt_module_view *view = world_view(world, &who->id);
    assert_int_equal(pywatt_module_view_beats(view), beats);
    assert_int_equal(pywatt_module_view_health(view), health);
    pywatt_module_view_free(view);
}

static void begin(struct world *world, struct peer *peer, struct identity *who, size_t count)
{
    world_begin(world);
    world_peer(world, peer, "protobuf");
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "m%zu", i);
        assert_int_equal(peer_register(peer, name, &who[i]), PYWATT_OK);
    }
}

static void end(struct world *world, struct peer *peer)
{
    peer_close(peer);
    world_stop(world);
}

/* ---- Who gets one ---- */

static void a_beat_that_went_well_gives_its_alias(void **state)
{
    (void)state;
    static const uint32_t aliases[] = {1, 2, 17, 300, PW_ALIAS_MAX};
    enum {
        COUNT = sizeof(aliases) / sizeof(aliases[0])
    };
    struct world world;
    struct peer peer;
    struct identity who[COUNT];
    struct pw_batched_beat beats[COUNT];
    pw_short_beat shorts[COUNT];
    begin(&world, &peer, who, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        beats[i] = naming(&who[i], aliases[i], 0);
        shorts[COUNT - 1 - i] = pw_short_beat_of(aliases[i], PYWATT_DEGRADED);
    }
    call_full(&peer, beats, COUNT);
    assert_int_equal(peer.response.exception_count, 0);
    const struct pywatt_orchestrator_stats before = world_stats(&world);
    call_short(&peer, shorts, COUNT);
    assert_int_equal(peer.response.exception_count, 0);
    const struct pywatt_orchestrator_stats after = world_stats(&world);
    assert_int_equal(after.requests - before.requests, 1);
    assert_int_equal(after.heartbeats - before.heartbeats, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        expect_beats(&world, &who[i], 2, PYWATT_DEGRADED);
    }
    end(&world, &peer);
}

static void a_beat_that_was_refused_gives_none(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    begin(&world, &peer, who, 2);
    struct pw_batched_beat beats[3] = {naming(&who[0], 1, 0), naming(&who[1], 2, 0),
                                       naming(&who[1], 3, 0)};
    beats[0].token = pw_str_from(who[1].token);
    pywatt_uuid_generate(&beats[2].module_id);
    call_full(&peer, beats, 3);
    assert_int_equal(peer.response.exception_count, 2);
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(beat_by(&peer, 2, PYWATT_UNHEALTHY), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 3, PYWATT_UNHEALTHY), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(beat_by(&peer, PW_ALIAS_MAX, PYWATT_HEALTHY), PYWATT_INVALID_ARGUMENT);
    expect_beats(&world, &who[0], 0, PYWATT_HEALTHY);
    expect_beats(&world, &who[1], 2, PYWATT_UNHEALTHY);
    end(&world, &peer);
}

static void an_alias_is_of_one_connection(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer other;
    struct identity who[2];
    begin(&world, &peer, who, 2);
    world_peer(&world, &other, "protobuf");
    give(&peer, &who[0], 1);
    assert_int_equal(beat_by(&other, 1, PYWATT_HEALTHY), PYWATT_INVALID_ARGUMENT);
    give(&other, &who[1], 1);
    assert_int_equal(beat_by(&peer, 1, PYWATT_DEGRADED), PYWATT_OK);
    expect_beats(&world, &who[0], 2, PYWATT_DEGRADED);
    expect_beats(&world, &who[1], 1, PYWATT_HEALTHY);
    /* And a module hangs on the connection of its last beat, by whatever name. */
    give(&other, &who[0], 9);
    assert_int_equal(beat_by(&peer, 1, PYWATT_DEGRADED), PYWATT_OK);
    peer_close(&other);
    world_await_connections(&world, 1);
    assert_int_equal(world_liveness(&world, &who[0].id), PYWATT_ALIVE);
    world_await_liveness(&world, 0, &who[1].id, PYWATT_SUSPECT);
    end(&world, &peer);
}

static void the_last_one_who_was_given_an_alias_has_it(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    begin(&world, &peer, who, 2);
    give(&peer, &who[0], 1);
    give(&peer, &who[0], 2); /* a module may have several */
    give(&peer, &who[1], 1);
    assert_int_equal(beat_by(&peer, 1, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 2, PYWATT_HEALTHY), PYWATT_OK);
    expect_beats(&world, &who[0], 3, PYWATT_HEALTHY);
    expect_beats(&world, &who[1], 2, PYWATT_HEALTHY);
    end(&world, &peer);
}

/* ---- What becomes of the module ---- */

static void a_module_that_has_gone_is_not_found(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    struct identity next;
    begin(&world, &peer, who, 2);
    give(&peer, &who[0], 1);
    assert_int_equal(peer_unregister(&peer, &who[0]), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_MODULE_NOT_FOUND);
    /* Nor is whoever has its memory now, or its name. */
    assert_int_equal(peer_register(&peer, "m0", &next), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_MODULE_NOT_FOUND);
    expect_beats(&world, &next, 0, PYWATT_HEALTHY);
    /* With its id it is the same module, whose token is another one. */
    assert_int_equal(peer_unregister(&peer, &next), PYWATT_OK);
    assert_int_equal(peer_register_with(&peer, "m0", &who[0].id, NULL, NULL, &next), PYWATT_OK);
    assert_true(pywatt_uuid_equal(&next.id, &who[0].id));
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_INVALID_TOKEN);
    expect_beats(&world, &next, 0, PYWATT_HEALTHY);
    give(&peer, &next, 1);
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_OK);
    end(&world, &peer);
}

/* As beats in full with the same token, which named the same generation, or none. */
static void a_module_that_kept_its_token_is_found_again(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct identity again;
    begin(&world, &peer, &who, 1);
    give(&peer, &who, 1);
    const struct pw_batched_beat first = naming(&who, 2, who.generation);
    call_full(&peer, &first, 1);
    assert_int_equal(beat_by(&peer, 2, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer_register_with(&peer, "m0", &who.id, who.token, NULL, &again), PYWATT_OK);
    assert_string_equal(again.token, who.token);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(beat_by(&peer, 1, PYWATT_DEGRADED), PYWATT_OK);
        assert_int_equal(beat_by(&peer, 2, PYWATT_DEGRADED), PYWATT_STALE_GENERATION);
        assert_int_equal(peer_beat_with(&peer, &who, PYWATT_DEGRADED, 0, NULL), PYWATT_OK);
        assert_int_equal(peer_beat_with(&peer, &who, PYWATT_DEGRADED, who.generation, NULL),
                         PYWATT_STALE_GENERATION);
    }
    end(&world, &peer);
}

static void who_was_taken_over_has_another_ones_token_no_more(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer other;
    struct identity who;
    struct identity taker;
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    world_peer(&world, &other, "protobuf");
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, "50", &who), PYWATT_OK);
    give(&peer, &who, 1);
    world_await_liveness(&world, 0, &who.id, PYWATT_LOST);
    /* It may come back until somebody takes its place. */
    const size_t from = world_event_count(&world);
    assert_int_equal(beat_by(&peer, 1, PYWATT_HEALTHY), PYWATT_OK);
    world_await_liveness(&world, from, &who.id, PYWATT_ALIVE);
    world_await_liveness(&world, from, &who.id, PYWATT_LOST);
    assert_int_equal(peer_register_with(&other, "a", &who.id, NULL, NULL, &taker), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_INVALID_TOKEN);
    expect_beats(&world, &taker, 0, PYWATT_HEALTHY);
    peer_close(&other);
    end(&world, &peer);
}

/* ---- Replies ---- */

static void only_beats_with_something_to_say_are_in_the_reply(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[3];
    begin(&world, &peer, who, 3);
    for (uint32_t i = 0; i < 3; i++) {
        give(&peer, &who[i], i + 1);
    }
    assert_int_equal(
        pywatt_orchestrator_set_verdict(world.orchestrator, &who[1].id, PYWATT_UNHEALTHY),
        PYWATT_OK);
    assert_int_equal(peer_unregister(&peer, &who[2]), PYWATT_OK);
    const pw_short_beat beats[] = {
        pw_short_beat_of(9, PYWATT_DEGRADED), pw_short_beat_of(1, PYWATT_DEGRADED),
        pw_short_beat_of(3, PYWATT_HEALTHY), pw_short_beat_of(2, PYWATT_DEGRADED),
        pw_short_beat_of(2, PYWATT_UNHEALTHY)};
    static const enum pywatt_status statuses[] = {PYWATT_INVALID_ARGUMENT, PYWATT_MODULE_NOT_FOUND,
                                                  PYWATT_OK};
    static const uint32_t indexes[] = {0, 2, 3};
    const struct pywatt_orchestrator_stats before = world_stats(&world);
    call_short(&peer, beats, 5);
    assert_int_equal(peer.response.exception_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct pw_beat_exception *exception = &peer.response.exceptions[i];
        assert_int_equal(exception->index, indexes[i]);
        assert_int_equal(exception->status, statuses[i]);
        assert_int_equal(exception->health,
                         i == 2 ? PYWATT_UNHEALTHY : pw_short_beat_health(beats[indexes[i]]));
    }
    const struct pywatt_orchestrator_stats after = world_stats(&world);
    assert_int_equal(after.heartbeats - before.heartbeats, 3);
    assert_int_equal(after.requests_refused - before.requests_refused, 2);
    end(&world, &peer);
}

static void a_batch_may_have_1024_short_beats(void **state)
{
    (void)state;
    static pw_short_beat beats[PW_BATCH_MAX];
    struct world world;
    struct peer peer;
    struct identity who[64];
    begin(&world, &peer, who, 64);
    for (uint32_t i = 0; i < 64; i++) {
        give(&peer, &who[i], i + 1);
    }
    /* A module's beats are done in their order. */
    for (uint32_t i = 0; i < PW_BATCH_MAX; i++) {
        beats[i] = pw_short_beat_of(i % 64 + 1, (enum pywatt_health)(i / 64 % 3));
    }
    call_short(&peer, beats, PW_BATCH_MAX);
    assert_int_equal(peer.response.exception_count, 0);
    for (int i = 0; i < 64; i++) {
        expect_beats(&world, &who[i], 1 + PW_BATCH_MAX / 64,
                     pw_short_beat_health(beats[PW_BATCH_MAX - 1]));
    }
    /* All of them refused: the longest reply there is. */
    for (uint32_t i = 0; i < PW_BATCH_MAX; i++) {
        beats[i] = pw_short_beat_of(PW_ALIAS_MAX - i, PYWATT_HEALTHY);
    }
    call_short(&peer, beats, PW_BATCH_MAX);
    assert_int_equal(peer.response.exception_count, PW_BATCH_MAX);
    end(&world, &peer);
}

/* ---- Order ---- */

static void short_beats_wait_for_older_requests_of_their_modules(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    world_prepare(&world);
    world.store = slow_store_open(false);
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "m0", &who[0]), PYWATT_OK); /* 1 */
    assert_int_equal(peer_register(&peer, "m1", &who[1]), PYWATT_OK); /* 2 */
    give(&peer, &who[0], 1);                                          /* 3 */
    give(&peer, &who[1], 2);                                          /* 4 */
    slow_store_set_slow(world.store, true);
    const pw_short_beat beats[] = {pw_short_beat_of(1, PYWATT_DEGRADED),
                                   pw_short_beat_of(2, PYWATT_DEGRADED),
                                   pw_short_beat_of(7, PYWATT_DEGRADED)};
    const struct pw_batched_beat naming_again = naming(&who[0], 7, 0);
    struct pw_request all = short_batch(beats, 3);
    struct pw_request one = short_batch(beats, 1);
    struct pw_request again = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = &naming_again, .beat_count = 1};
    assert_true(send_register(&peer, "m0", &who[0].id, who[0].token)); /* 5 */
    assert_true(peer_send(&peer, &all));                               /* 6 */
    assert_true(send_unregister(&peer, &who[1]));                      /* 7 */
    assert_true(peer_send(&peer, &again));                             /* 8: waits, and gives 7 */
    assert_true(peer_send(&peer, &one));                               /* 9: waits for 6 and 8 */
    assert_true(slow_store_await(world.store, 2));
    await_requests(&world, 9);
    expect_beats(&world, &who[0], 1, PYWATT_HEALTHY);
    expect_beats(&world, &who[1], 2, PYWATT_DEGRADED);
    slow_store_end(world.store, 0, PYWATT_OK);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 5, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 6, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.beat_count, 3);
    assert_int_equal(peer.response.exception_count, 1);
    assert_int_equal(peer.response.exceptions[0].index, 2);
    expect(&peer, 7, PW_OP_UNREGISTER, PYWATT_OK);
    expect(&peer, 8, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    expect(&peer, 9, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.exception_count, 0);
    expect_beats(&world, &who[0], 4, PYWATT_DEGRADED);
    assert_int_equal(beat_by(&peer, 7, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 2, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    end(&world, &peer);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_beat_that_went_well_gives_its_alias),
        cmocka_unit_test(a_beat_that_was_refused_gives_none),
        cmocka_unit_test(an_alias_is_of_one_connection),
        cmocka_unit_test(the_last_one_who_was_given_an_alias_has_it),
        cmocka_unit_test(a_module_that_has_gone_is_not_found),
        cmocka_unit_test(a_module_that_kept_its_token_is_found_again),
        cmocka_unit_test(who_was_taken_over_has_another_ones_token_no_more),
        cmocka_unit_test(only_beats_with_something_to_say_are_in_the_reply),
        cmocka_unit_test(a_batch_may_have_1024_short_beats),
        cmocka_unit_test(short_beats_wait_for_older_requests_of_their_modules),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Beats by aliases: who gets one, on which connection and for how long it stands for a module, and
 * what a beat is answered with whose module has gone, come again, or was never there.
 */
#include "short_beats.h"
#include "slow_store.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

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

/* What is being forgotten is put off, by whatever name, and is well again if that fails. */
static void a_module_that_is_being_forgotten_is_put_off(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.store = slow_store_open(false);
    world.options.retain_ms = 20;
    world_start(&world);
    slow_store_set_slow_removals(world.store, true);
    world_peer(&world, &peer, "protobuf");
    /* It beats but once, so it is lost, and its removal stays in the store. */
    const char *lease_ms = pw_test_slow_factor() > 1 ? "4000" : "1000";
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, lease_ms, &who), PYWATT_OK);
    give(&peer, &who, 1);
    assert_true(slow_store_await(world.store, 1));
    const uint64_t beats = world_stats(&world).heartbeats;
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_UNAVAILABLE);
    assert_int_equal(world_stats(&world).heartbeats, beats);
    const size_t from = world_event_count(&world);
    slow_store_end(world.store, 0, PYWATT_UNAVAILABLE);
    assert_int_equal(beat_by(&peer, 1, PYWATT_HEALTHY), PYWATT_OK);
    world_await_liveness(&world, from, &who.id, PYWATT_ALIVE);
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

/* ---- Both kinds in a message ---- */

static void a_batch_may_have_beats_of_both_kinds(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[4];
    begin(&world, &peer, who, 4);
    give(&peer, &who[1], 1);
    give(&peer, &who[3], 3);
    struct pw_batched_beat beats[] = {naming(&who[0], 10, 0), naming(&who[2], 12, 0),
                                      naming(&who[2], 13, 0)};
    beats[2].token = pw_str_from(who[0].token);
    beats[1].health = PYWATT_DEGRADED;
    const pw_short_beat shorts[] = {
        pw_short_beat_of(0, PYWATT_HEALTHY),    pw_short_beat_of(1, PYWATT_DEGRADED),
        pw_short_beat_of(99, PYWATT_UNHEALTHY), pw_short_beat_of(0, PYWATT_DEGRADED),
        pw_short_beat_of(0, PYWATT_HEALTHY),    pw_short_beat_of(3, PYWATT_UNHEALTHY)};
    struct pw_request request = short_batch(shorts, 6);
    request.beats = beats;
    request.full_count = 3;
    const struct pywatt_orchestrator_stats before = world_stats(&world);
    assert_int_equal(peer_call(&peer, &request), PYWATT_OK);
    assert_int_equal(peer.response.beat_count, 6);
    assert_int_equal(peer.response.exception_count, 2);
    assert_int_equal(peer.response.exceptions[0].index, 2);
    assert_int_equal(peer.response.exceptions[0].status, PYWATT_INVALID_ARGUMENT);
    assert_int_equal(peer.response.exceptions[0].health, PYWATT_UNHEALTHY);
    assert_int_equal(peer.response.exceptions[1].index, 4);
    assert_int_equal(peer.response.exceptions[1].status, PYWATT_INVALID_TOKEN);
    const struct pywatt_orchestrator_stats after = world_stats(&world);
    assert_int_equal(after.heartbeats - before.heartbeats, 4);
    assert_int_equal(after.requests_refused - before.requests_refused, 2);
    expect_beats(&world, &who[0], 1, PYWATT_HEALTHY);
    expect_beats(&world, &who[1], 2, PYWATT_DEGRADED);
    expect_beats(&world, &who[2], 1, PYWATT_DEGRADED);
    expect_beats(&world, &who[3], 2, PYWATT_UNHEALTHY);
    assert_int_equal(beat_by(&peer, 10, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 12, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(beat_by(&peer, 13, PYWATT_HEALTHY), PYWATT_INVALID_ARGUMENT);
    end(&world, &peer);
}

/* ---- Memory ---- */

/* What the process holds more once a beat has named the alias. */
static size_t taken_by_alias(struct peer *peer, const struct identity *who, uint32_t alias)
{
    const struct pw_batched_beat beat = {
        .module_id = who->id, .token = pw_str_from(who->token), .alias = alias};
    struct pw_request request = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = &beat, .beat_count = 1};
    const size_t before = mallinfo2().uordblks;
    assert_int_equal(peer_call(peer, &request), PYWATT_OK);
    assert_int_equal(peer->response.exception_count, 0);
    return mallinfo2().uordblks - before;
}

static void aliases_take_memory_as_they_are_given(void **state)
{
    (void)state;
    if (pw_test_slow_factor() > 1) {
        skip(); /* the tool's own allocator says nothing of ours */
    }
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.options.on_event = NULL; /* whose memory comes and goes */
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    taken_by_alias(&peer, &who, 0); /* with all else that it takes */
    /* Whoever has few modules pays for few; whoever takes a number for none pays for no others. */
    assert_in_range(taken_by_alias(&peer, &who, 1), 1, 2048);
    assert_in_range(taken_by_alias(&peer, &who, PW_ALIAS_MAX), 1, 20 * 1024);
    size_t dense = 0;
    for (uint32_t alias = 1; alias <= 1024; alias++) {
        dense += taken_by_alias(&peer, &who, alias);
    }
    print_message("%zu bytes for 1024 aliases\n", dense);
    assert_in_range(dense, 1, 1024 * 64);
    peer_close(&peer);
    world_stop(&world);
}

/* ---- Threads ---- */

enum {
    CROWD = 32,
    ROUNDS = 40
};

struct coming_and_going {
    struct world *world;
    struct identity who[CROWD]; /* of the first registration */
    bool failed;
};

/* Registers all, and takes them out again, over and over: their memory goes from one to another. */
static void *come_and_go(void *user)
{
    struct coming_and_going *crowd = user;
    struct peer peer;
    crowd->failed = !peer_open(&peer, crowd->world->url, "protobuf");
    for (int round = 0; !crowd->failed && round < ROUNDS; round++) {
        struct identity now[CROWD];
        for (int i = 0; !crowd->failed && i < CROWD; i++) {
            char name[32];
            snprintf(name, sizeof(name), "guest %d", i);
            now[i] = crowd->who[i];
            crowd->failed = round > 0 && peer_register(&peer, name, &now[i]) != PYWATT_OK;
        }
        for (int i = 0; !crowd->failed && i < CROWD; i++) {
            crowd->failed = peer_unregister(&peer, &now[i]) != PYWATT_OK;
        }
    }
    peer_close(&peer);
    return NULL;
}

/* Aliases of modules whose memory has become another one's, of another shard, meanwhile. */
static void modules_come_and_go_while_their_aliases_are_used(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct coming_and_going crowd = {.world = &world};
    pthread_t thread;
    uint64_t well = 0;
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    pw_short_beat beats[CROWD];
    for (uint32_t i = 0; i < CROWD; i++) {
        char name[32];
        snprintf(name, sizeof(name), "guest %u", i);
        assert_int_equal(peer_register(&peer, name, &crowd.who[i]), PYWATT_OK);
        give(&peer, &crowd.who[i], i + 1);
        beats[i] = pw_short_beat_of(i + 1, PYWATT_DEGRADED);
    }
    assert_int_equal(pthread_create(&thread, NULL, come_and_go, &crowd), 0);
    do {
        struct pw_request request = short_batch(beats, CROWD);
        assert_int_equal(peer_call(&peer, &request), PYWATT_OK);
        for (uint32_t i = 0; i < peer.response.exception_count; i++) {
            assert_int_equal(peer.response.exceptions[i].status, PYWATT_MODULE_NOT_FOUND);
        }
        well += CROWD - peer.response.exception_count;
    } while (peer.response.exception_count < CROWD || world_stats(&world).modules > 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(crowd.failed);
    assert_int_equal(world_stats(&world).heartbeats, CROWD + well);
    assert_int_equal(world_stats(&world).modules, 0);
    /* Nobody else has got a beat: all that is told of health is of the first ones. */
    for (size_t i = 0; i < world_event_count(&world); i++) {
        const struct seen_event event = world_event(&world, i);
        bool first = event.kind != PYWATT_EVENT_HEALTH;
        for (int k = 0; !first && k < CROWD; k++) {
            first = pywatt_uuid_equal(&event.id, &crowd.who[k].id);
        }
        assert_true(first);
    }
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
        cmocka_unit_test(a_module_that_is_being_forgotten_is_put_off),
        cmocka_unit_test(only_beats_with_something_to_say_are_in_the_reply),
        cmocka_unit_test(a_batch_may_have_1024_short_beats),
        cmocka_unit_test(a_batch_may_have_beats_of_both_kinds),
        cmocka_unit_test(aliases_take_memory_as_they_are_given),
        cmocka_unit_test(modules_come_and_go_while_their_aliases_are_used),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Beats by aliases that have to wait for older requests of their modules: whose they are, what they
 * take meanwhile, and how they end.
 */
#include "pipeline.h"
#include "short_beats.h"
#include "slow_store.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Modules that are registered with the requests 1 to `count`, and then a store that takes its time. */
static void begin(struct world *world, struct peer *peer, struct identity *who, size_t count)
{
    world_prepare(world);
    world->store = slow_store_open(false);
    world_start(world);
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

static bool send_short(struct peer *peer, uint32_t alias, enum pywatt_health health)
{
    const pw_short_beat beat = pw_short_beat_of(alias, health);
    struct pw_request request = short_batch(&beat, 1);
    return peer_send(peer, &request);
}

static bool send_naming(struct peer *peer, const struct identity *who, uint32_t alias)
{
    const struct pw_batched_beat beat = naming(who, alias, 0);
    struct pw_request request = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = &beat, .beat_count = 1};
    return peer_send(peer, &request);
}

static void short_beats_wait_for_older_requests_of_their_modules(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    begin(&world, &peer, who, 2);
    give(&peer, &who[0], 1); /* 3 */
    give(&peer, &who[1], 2); /* 4 */
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

/* Whatever the alias stands for when its turn comes. */
static void a_beat_that_waits_is_of_the_module_that_it_came_for(void **state)
{
    (void)state;
    char id[PYWATT_UUID_TEXT_SIZE];
    struct world world;
    struct peer peer;
    struct identity who[3];
    begin(&world, &peer, who, 3);
    give(&peer, &who[0], 1); /* 4 */
    give(&peer, &who[1], 2); /* 5 */
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&peer, "m0", &who[0].id, who[0].token)); /* 6 */
    assert_true(send_unregister(&peer, &who[1]));                      /* 7 */
    assert_true(send_short(&peer, 1, PYWATT_DEGRADED));                /* 8: waits for 6 */
    assert_true(send_short(&peer, 2, PYWATT_DEGRADED));                /* 9: waits for 7 */
    assert_true(send_naming(&peer, &who[2], 1));                       /* 10 */
    assert_true(send_naming(&peer, &who[2], 2));                       /* 11 */
    assert_true(slow_store_await(world.store, 2));
    await_requests(&world, 11);
    await_served(&world, 4, 0);
    slow_store_end(world.store, 0, PYWATT_OK);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 6, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 7, PW_OP_UNREGISTER, PYWATT_OK);
    expect(&peer, 8, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.exception_count, 0);
    expect(&peer, 9, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.exception_count, 1);
    assert_int_equal(peer.response.exceptions[0].status, PYWATT_MODULE_NOT_FOUND);
    pywatt_uuid_format(&who[1].id, id);
    char words[PYWATT_ERROR_TEXT_MAX];
    snprintf(words, sizeof(words), "Module not found: %s", id);
    assert_true(pw_str_equal(peer.response.exceptions[0].error, pw_str_from(words)));
    expect(&peer, 10, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    expect(&peer, 11, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    expect_beats(&world, &who[0], 2, PYWATT_DEGRADED);
    expect_beats(&world, &who[2], 2, PYWATT_HEALTHY);
    assert_int_equal(beat_by(&peer, 1, PYWATT_UNHEALTHY), PYWATT_OK);
    expect_beats(&world, &who[2], 3, PYWATT_UNHEALTHY);
    end(&world, &peer);
}

/* Of two messages that name the same alias, though the earlier one is served last. */
static void the_later_message_has_the_alias(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[2];
    begin(&world, &peer, who, 2);
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&peer, "m0", &who[0].id, who[0].token)); /* 3 */
    assert_true(send_naming(&peer, &who[0], 7));                       /* 4: waits */
    assert_true(send_naming(&peer, &who[1], 7));                       /* 5 */
    assert_true(slow_store_await(world.store, 1));
    await_served(&world, 1, 0);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 3, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 4, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    expect(&peer, 5, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(beat_by(&peer, 7, PYWATT_DEGRADED), PYWATT_OK);
    expect_beats(&world, &who[0], 1, PYWATT_HEALTHY);
    expect_beats(&world, &who[1], 2, PYWATT_DEGRADED);
    end(&world, &peer);
}

static void beats_of_both_kinds_may_wait_in_a_batch(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who[3];
    begin(&world, &peer, who, 3);
    give(&peer, &who[0], 1); /* 4 */
    give(&peer, &who[1], 2); /* 5 */
    slow_store_set_slow(world.store, true);
    struct pw_batched_beat beats[2] = {naming(&who[2], 3, 0), naming(&who[1], 4, 0)};
    beats[0].token = pw_str_from(who[1].token); /* is told so, at once */
    const pw_short_beat shorts[] = {
        pw_short_beat_of(1, PYWATT_DEGRADED), pw_short_beat_of(0, PYWATT_HEALTHY),
        pw_short_beat_of(9, PYWATT_DEGRADED), pw_short_beat_of(0, PYWATT_HEALTHY),
        pw_short_beat_of(2, PYWATT_DEGRADED)};
    struct pw_request mixed = short_batch(shorts, 5);
    mixed.beats = beats;
    mixed.full_count = 2;
    assert_true(send_register(&peer, "m1", &who[1].id, who[1].token)); /* 6 */
    assert_true(peer_send(&peer, &mixed));                             /* 7 */
    assert_true(slow_store_await(world.store, 1));
    await_served(&world, 3, 2);
    expect_beats(&world, &who[0], 2, PYWATT_DEGRADED);
    expect_beats(&world, &who[1], 1, PYWATT_HEALTHY);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 6, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 7, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
    assert_int_equal(peer.response.beat_count, 5);
    assert_int_equal(peer.response.exception_count, 2);
    assert_int_equal(peer.response.exceptions[0].index, 1);
    assert_int_equal(peer.response.exceptions[0].status, PYWATT_INVALID_TOKEN);
    assert_int_equal(peer.response.exceptions[1].index, 2);
    assert_int_equal(peer.response.exceptions[1].status, PYWATT_INVALID_ARGUMENT);
    expect_beats(&world, &who[1], 3, PYWATT_DEGRADED);
    assert_int_equal(beat_by(&peer, 4, PYWATT_HEALTHY), PYWATT_OK);
    end(&world, &peer);
}

/* ---- Ends ---- */

static void a_peer_may_go_while_its_short_beats_wait(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        struct world world;
        struct peer peer;
        struct identity who[2];
        begin(&world, &peer, who, 2);
        give(&peer, &who[0], 1); /* 3 */
        give(&peer, &who[1], 2); /* 4 */
        slow_store_set_slow(world.store, true);
        const pw_short_beat beats[] = {pw_short_beat_of(1, PYWATT_DEGRADED),
                                       pw_short_beat_of(2, PYWATT_DEGRADED)};
        struct pw_request both = short_batch(beats, 2);
        assert_true(send_register(&peer, "m0", &who[0].id, who[0].token)); /* 5 */
        assert_true(peer_send(&peer, &both));                              /* 6 */
        assert_true(peer_send(&peer, &both));                              /* 7 */
        assert_true(slow_store_await(world.store, 1));
        await_served(&world, 4, 0);
        if (answered != 0) {
            /* It says no more, but listens. */
            assert_int_equal(shutdown(pw_conn_fd(peer.conn), SHUT_WR), 0);
        } else {
            peer_close(&peer);
        }
        world_await_liveness(&world, 0, &who[1].id, PYWATT_SUSPECT);
        slow_store_end(world.store, 0, PYWATT_OK);
        if (answered != 0) {
            expect(&peer, 5, PW_OP_REGISTER, PYWATT_OK);
            expect(&peer, 6, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
            expect(&peer, 7, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
            assert_int_equal(peer.response.exception_count, 0);
            expect_beats(&world, &who[0], 3, PYWATT_DEGRADED);
            peer_close(&peer);
        }
        world_await_connections(&world, 0);
        world_stop(&world);
    }
}

/* ---- What they take ---- */

enum {
    BATCHES = 12
};

/*
 * Each may be answered with 180 KiB, all at once when the store is done: so no more than a few are
 * read before that, whatever is sent.
 */
static void batches_that_wait_count_with_their_replies(void **state)
{
    (void)state;
    static pw_short_beat beats[PW_BATCH_MAX];
    struct world world;
    struct peer peer;
    struct peer other;
    struct identity who[2];
    world_prepare(&world);
    world.options.workers = 1;
    world.store = slow_store_open(false);
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    world_peer(&world, &other, "protobuf");
    assert_int_equal(peer_register(&peer, "m0", &who[0]), PYWATT_OK);
    assert_int_equal(peer_register(&other, "m1", &who[1]), PYWATT_OK);
    give(&peer, &who[0], 1);
    slow_store_set_slow(world.store, true);
    for (uint32_t i = 0; i < PW_BATCH_MAX; i++) {
        beats[i] = pw_short_beat_of(1, PYWATT_DEGRADED);
    }
    assert_true(send_unregister(&peer, &who[0]));
    for (int i = 0; i < BATCHES; i++) {
        struct pw_request request = short_batch(beats, PW_BATCH_MAX);
        assert_true(peer_send(&peer, &request));
    }
    assert_true(slow_store_await(world.store, 1));
    /* Enough rounds of the one worker for all that lies in the socket. */
    const uint64_t before = world_stats(&world).requests;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(peer_beat(&other, &who[1], PYWATT_HEALTHY), PYWATT_OK);
    }
    const uint64_t read = world_stats(&world).requests;
    assert_in_range(read, before + 50, 4 + 50 + 2);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 3, PW_OP_UNREGISTER, PYWATT_OK);
    for (uint64_t i = 0; i < BATCHES; i++) {
        expect(&peer, 4 + i, PW_OP_HEARTBEAT_BATCH, PYWATT_OK);
        assert_int_equal(peer.response.exception_count, PW_BATCH_MAX);
    }
    peer_close(&other);
    end(&world, &peer);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(short_beats_wait_for_older_requests_of_their_modules),
        cmocka_unit_test(a_beat_that_waits_is_of_the_module_that_it_came_for),
        cmocka_unit_test(the_later_message_has_the_alias),
        cmocka_unit_test(beats_of_both_kinds_may_wait_in_a_batch),
        cmocka_unit_test(a_peer_may_go_while_its_short_beats_wait),
        cmocka_unit_test(batches_that_wait_count_with_their_replies),
    };
    return PW_TEST_RUN(cases);
}

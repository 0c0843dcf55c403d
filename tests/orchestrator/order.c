/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The order of the requests of a connection while a store takes its time: that of their replies,
 * and that in which they are done where they touch the same module.
 */
#include "pipeline.h"
#include "slow_store.h"

#include <stdio.h>
#include <string.h>

static void begin(struct world *world, bool slow)
{
    world_prepare(world);
    world->store = slow_store_open(slow);
    world_start(world);
}

/* ---- Order ---- */

static void beats_are_served_while_an_older_request_waits_and_answered_after_it(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin(&world, false);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK); /* 1 */
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&peer, "b", NULL, NULL)); /* 2 */
    assert_true(send_beat(&peer, &who));                /* 3 */
    assert_true(send_register(&peer, "c", NULL, NULL)); /* 4 */
    assert_true(send_beat(&peer, &who));                /* 5 */
    assert_true(slow_store_await(world.store, 2));
    /* The worker has not waited. */
    await_served(&world, 2, 0);
    assert_true(peer_has_nothing(&peer));
    /* The later one ends first: nothing goes out. */
    slow_store_end(world.store, 1, PYWATT_OK);
    world_await(&world, 0, PYWATT_EVENT_REGISTERED, NULL);
    assert_true(peer_has_nothing(&peer));
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 2, PW_OP_REGISTER, PYWATT_OK);
    assert_string_equal(
        pywatt_module_info_name(pywatt_registration_info(peer.response.registration)), "b");
    expect(&peer, 3, PW_OP_HEARTBEAT, PYWATT_OK);
    expect(&peer, 4, PW_OP_REGISTER, PYWATT_OK);
    assert_string_equal(
        pywatt_module_info_name(pywatt_registration_info(peer.response.registration)), "c");
    expect(&peer, 5, PW_OP_HEARTBEAT, PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

static void every_order_of_completion_keeps_the_order_of_replies(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 6; seed++) {
        struct world world;
        struct peer peer;
        begin(&world, true);
        world_peer(&world, &peer, "protobuf");
        for (int i = 0; i < 12; i++) {
            char name[16];
            snprintf(name, sizeof(name), "m%d", i);
            assert_true(send_register(&peer, name, NULL, NULL));
        }
        assert_true(slow_store_await(world.store, 12));
        uint32_t random = seed;
        for (uint32_t left = 12; left > 0; left--) {
            random = random * 1664525 + 1013904223;
            slow_store_end(world.store, random / 65536 % left,
                           random % 3 == 0 ? PYWATT_IO : PYWATT_OK);
        }
        for (uint64_t i = 1; i <= 12; i++) {
            uint64_t id;
            assert_true(peer_receive(&peer));
            memcpy(&id, peer.response.request_id.bytes, sizeof(id));
            assert_int_equal(id, i);
        }
        peer_close(&peer);
        world_stop(&world);
    }
}

static void other_connections_do_not_wait(void **state)
{
    (void)state;
    struct world world;
    struct peer slow;
    struct peer fast[4];
    struct identity who;
    begin(&world, false);
    world_peer(&world, &slow, "json");
    assert_int_equal(peer_register(&slow, "a", &who), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&slow, "b", NULL, NULL));
    assert_true(slow_store_await(world.store, 1));
    for (int i = 0; i < 4; i++) {
        world_peer(&world, &fast[i], "json");
        assert_int_equal(peer_beat(&fast[i], &who, PYWATT_HEALTHY), PYWATT_OK);
        peer_close(&fast[i]);
    }
    slow_store_end(world.store, 0, PYWATT_OK);
    assert_true(peer_receive(&slow));
    peer_close(&slow);
    world_stop(&world);
}

/* ---- What touches the same module ---- */

static void requests_of_one_module_are_done_in_their_order(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity a;
    struct identity b;
    begin(&world, false);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &a), PYWATT_OK); /* 1 */
    assert_int_equal(peer_register(&peer, "b", &b), PYWATT_OK); /* 2 */
    slow_store_set_slow(world.store, true);
    assert_true(send_unregister(&peer, &a));            /* 3 */
    assert_true(send_beat(&peer, &a));                  /* 4 */
    assert_true(send_beat(&peer, &b));                  /* 5 */
    assert_true(send_register(&peer, "a", NULL, NULL)); /* 6 */
    assert_true(send_beat(&peer, &a));                  /* 7 */
    assert_true(send_beat(&peer, &b));                  /* 8 */
    assert_true(slow_store_await(world.store, 1));
    /* Those of the other module have not waited, those of this one have. */
    await_served(&world, 2, 0);
    assert_int_equal(world_stats(&world).heartbeats, 2);
    assert_true(peer_has_nothing(&peer));
    slow_store_end(world.store, 0, PYWATT_OK);
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 3, PW_OP_UNREGISTER, PYWATT_OK);
    expect(&peer, 4, PW_OP_HEARTBEAT, PYWATT_MODULE_NOT_FOUND);
    expect(&peer, 5, PW_OP_HEARTBEAT, PYWATT_OK);
    expect(&peer, 6, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 7, PW_OP_HEARTBEAT, PYWATT_MODULE_NOT_FOUND);
    expect(&peer, 8, PW_OP_HEARTBEAT, PYWATT_OK);
    assert_int_equal(world_stats(&world).modules, 2);
    peer_close(&peer);
    world_stop(&world);
}

/* A registration names its module by the name alone: the beat of its holder waits all the same. */
static void a_beat_does_not_overtake_a_takeover_by_name(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity a;
    begin(&world, false);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &a), PYWATT_OK); /* 1 */
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&peer, "a", NULL, a.token)); /* 2 */
    struct pw_request beat = beat_of(&a, PYWATT_DEGRADED);
    beat.generation = 1;
    assert_true(peer_send(&peer, &beat)); /* 3 */
    assert_true(slow_store_await(world.store, 1));
    await_requests(&world, 3);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 2, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 3, PW_OP_HEARTBEAT, PYWATT_STALE_GENERATION);
    assert_int_equal(peer.response.health, PYWATT_DEGRADED);
    peer_close(&peer);
    world_stop(&world);
}

static void a_deferred_beat_is_a_whole_beat(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity a;
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "load", "0.75"), PYWATT_OK);
    begin(&world, false);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &a), PYWATT_OK); /* 1 */
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&peer, "a", &a.id, a.token)); /* 2 */
    struct pw_request beat = beat_of(&a, PYWATT_UNHEALTHY);
    beat.details = details;
    assert_true(peer_send(&peer, &beat)); /* 3 */
    assert_true(slow_store_await(world.store, 1));
    await_requests(&world, 3);
    assert_int_equal(world_stats(&world).heartbeats, 0);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 2, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 3, PW_OP_HEARTBEAT, PYWATT_OK);
    struct pywatt_module_view *view = world_view(&world, &a.id);
    assert_int_equal(pywatt_module_view_health(view), PYWATT_UNHEALTHY);
    assert_string_equal(pywatt_string_map_get(pywatt_module_view_details(view), "load"), "0.75");
    pywatt_module_view_free(view);
    pywatt_string_map_free(details);
    peer_close(&peer);
    world_stop(&world);
}

/* More than one connection may have waiting at once: what is over that is read later. */
static void a_long_chain_of_requests_ends_in_order(void **state)
{
    (void)state;
    enum {
        ROUNDS = 300
    };
    struct world world;
    struct peer peer;
    struct identity a;
    begin(&world, false);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &a), PYWATT_OK); /* 1 */
    slow_store_set_slow(world.store, true);
    for (int i = 0; i < ROUNDS; i++) {
        assert_true(send_register(&peer, "a", &a.id, a.token));
        assert_true(send_beat(&peer, &a));
    }
    assert_true(slow_store_await(world.store, 1));
    assert_int_equal(slow_store_submitted(world.store), 2);
    slow_store_set_slow(world.store, false);
    slow_store_end(world.store, 0, PYWATT_OK);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        expect(&peer, 2 + 2 * i, PW_OP_REGISTER, PYWATT_OK);
        assert_int_equal(pywatt_registration_generation(peer.response.registration), 2 + i);
        expect(&peer, 3 + 2 * i, PW_OP_HEARTBEAT, PYWATT_OK);
    }
    peer_close(&peer);
    world_stop(&world);
}

static void a_peer_may_go_while_its_requests_wait_for_each_other(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity a;
    begin(&world, false);
    assert_true(peer_open(&peer, world.memory_url, "json"));
    assert_int_equal(peer_register(&peer, "a", &a), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    for (int i = 0; i < 5; i++) {
        assert_true(send_register(&peer, "a", &a.id, a.token));
        assert_true(send_beat(&peer, &a));
    }
    assert_true(slow_store_await(world.store, 1));
    peer_close(&peer);
    world_await_connections(&world, 0);
    /* The one that is in the store goes on; those that wait for it are dropped with their peer. */
    slow_store_end(world.store, 0, PYWATT_OK);
    world_await(&world, 0, PYWATT_EVENT_REREGISTERED, &a.id);
    assert_int_equal(slow_store_submitted(world.store), 2);
    world_stop(&world);
}

/* ---- Memory ---- */

enum {
    LARGE_REQUESTS = 40,
    /* Some 90 KiB each: with a dozen there is more than a MiB. */
    LARGE_TAKEN = 12
};

struct sender {
    struct world *world;
    struct peer peer;
};

/* Sends what there is room for. True once so many were handed to the store. */
static bool sends_until_taken(void *user)
{
    struct sender *sender = user;
    struct pw_buffer *out = &sender->peer.out;
    const struct iovec piece = {.iov_base = out->data + out->start, .iov_len = pw_buffer_len(out)};
    size_t n = 0;
    if (pw_conn_send(sender->peer.conn, &piece, 1, &n, NULL) == PW_IO_OK) {
        pw_buffer_consume(out, n);
    }
    return slow_store_submitted(sender->world->store) >= LARGE_TAKEN;
}

static bool pack_large(struct peer *peer, int number)
{
    struct pywatt_module_info *info = NULL;
    char value[3000];
    char text[16];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    snprintf(text, sizeof(text), "m%d", number);
    assert_int_equal(pywatt_module_info_new(text, "1", value, &info), PYWATT_OK);
    for (int k = 0; k < 30; k++) {
        snprintf(text, sizeof(text), "key %d", k);
        assert_int_equal(pywatt_module_info_set_metadata(info, text, value), PYWATT_OK);
    }
    struct pw_request request = register_of(info);
    const bool packed = peer_pack(peer, &request, &peer->out);
    pywatt_module_info_free(info);
    return packed;
}

/* Those that wait hold what they were sent with. What is over the mark is not read. */
static void requests_that_wait_hold_so_much_memory_and_no_more(void **state)
{
    (void)state;
    struct world world;
    struct peer other;
    struct sender sender = {.world = &world};
    world_prepare(&world);
    world.store = slow_store_open(true);
    world.options.workers = 1;
    world.options.max_unproven_frame_bytes = world.options.max_frame_bytes;
    world.hooks.reply_timeout_ms = 3600000;
    world_start(&world);
    assert_true(peer_open(&sender.peer, world.memory_url, "protobuf"));
    assert_true(peer_open(&other, world.memory_url, "json"));
    for (int i = 0; i < LARGE_REQUESTS; i++) {
        assert_true(pack_large(&sender.peer, i));
    }
    assert_true(pw_test_wait_until(sends_until_taken, &sender, 20000));
    /* When the worker has answered somebody else it had the time to take more. */
    const struct identity nobody = {.token = "nobody's"};
    for (int i = 0; i < 20; i++) {
        (void)sends_until_taken(&sender);
        assert_int_equal(peer_beat(&other, &nobody, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    }
    assert_int_equal(slow_store_submitted(world.store), LARGE_TAKEN);
    peer_close(&sender.peer);
    peer_close(&other);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(beats_are_served_while_an_older_request_waits_and_answered_after_it),
        cmocka_unit_test(every_order_of_completion_keeps_the_order_of_replies),
        cmocka_unit_test(other_connections_do_not_wait),
        cmocka_unit_test(requests_of_one_module_are_done_in_their_order),
        cmocka_unit_test(a_beat_does_not_overtake_a_takeover_by_name),
        cmocka_unit_test(a_deferred_beat_is_a_whole_beat),
        cmocka_unit_test(a_long_chain_of_requests_ends_in_order),
        cmocka_unit_test(a_peer_may_go_while_its_requests_wait_for_each_other),
        cmocka_unit_test(requests_that_wait_hold_so_much_memory_and_no_more),
    };
    return PW_TEST_RUN(cases);
}

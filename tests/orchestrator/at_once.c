/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How many there may be at once, or in a second, and what counts as proof of who somebody is. Those of
 * connections in all, and of modules, stand in bad_peers.c.
 */
#include "slow_store.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

/* Of the modules "m0", "m1" and so on; in one piece, so that they come in the same moment. */
static void send_registrations(struct peer *peer, int count)
{
    struct pw_buffer bytes;
    pw_buffer_init(&bytes, 100000);
    for (int i = 0; i < count; i++) {
        struct pywatt_module_info *info = NULL;
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
        struct pw_request request = register_of(info);
        assert_true(peer_pack(peer, &request, &bytes));
        pywatt_module_info_free(info);
    }
    assert_true(peer_send_raw(peer, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes)));
    pw_buffer_destroy(&bytes);
}

static void only_so_many_requests_of_a_connection_wait_for_the_store(void **state)
{
    (void)state;
    enum {
        LIMIT = 4,
        REQUESTS = 10
    };
    struct world world;
    struct peer peer;
    struct peer other;
    world_prepare(&world);
    world.options.workers = 1;
    world.options.max_pending_requests = LIMIT;
    world.store = slow_store_open(true);
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    world_peer(&world, &other, "protobuf");
    send_registrations(&peer, REQUESTS);
    assert_true(slow_store_await(world.store, LIMIT));
    /* The worker is done with that by the time it answers somebody else, and would be again. */
    const struct identity nobody = {.token = "t"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(peer_beat(&other, &nobody, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    }
    assert_int_equal(slow_store_submitted(world.store), LIMIT);
    for (int i = 0; i < REQUESTS; i++) {
        assert_true(slow_store_await(world.store, 1));
        slow_store_end(world.store, 0, PYWATT_OK);
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
    }
    peer_close(&peer);
    peer_close(&other);
    world_stop(&world);
}

static bool one_has_proven_nothing(void *user)
{
    return world_stats(user).connections_unproven == 1;
}

static void only_so_many_connections_of_an_address_may_have_proven_nothing(void **state)
{
    (void)state;
    struct world world;
    struct peer peers[2];
    struct peer extra;
    struct peer local;
    struct identity who;
    world_prepare(&world);
    world.options.max_unproven_per_peer = 2;
    world_start(&world);
    for (int i = 0; i < 2; i++) {
        world_peer(&world, &peers[i], "json");
    }
    world_await_connections(&world, 2);
    world_peer(&world, &extra, "json");
    assert_true(peer_is_closed_by_other(&extra));
    peer_close(&extra);
    assert_int_equal(world_stats(&world).connections_refused, 1);
    assert_int_equal(world_stats(&world).peers_refused, 1);
    /* Peers without an address have no limit of it. */
    assert_true(peer_open(&local, world.memory_url, "json"));
    assert_int_equal(peer_register(&local, "local", NULL), PYWATT_OK);
    peer_close(&local);
    world_await_connections(&world, 2);
    /* Who proves something makes room; by its beat on a new connection, too. */
    assert_int_equal(peer_register(&peers[0], "a", &who), PYWATT_OK);
    assert_true(pw_test_wait_until(one_has_proven_nothing, &world, 20000));
    world_peer(&world, &extra, "json");
    assert_int_equal(peer_beat(&extra, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_true(pw_test_wait_until(one_has_proven_nothing, &world, 20000));
    /* And so does who goes. */
    peer_close(&peers[1]);
    world_await_connections(&world, 2);
    assert_int_equal(world_stats(&world).connections_unproven, 0);
    peer_close(&extra);
    peer_close(&peers[0]);
    world_await_connections(&world, 0);
    assert_int_equal(world_stats(&world).connections_unproven, 0);
    world_stop(&world);
}

/* ---- A crowd that has proven nothing ---- */

static void prepare_crowd(struct world *world, uint32_t connections, uint32_t unproven)
{
    world_prepare(world);
    world->options.max_connections = connections;
    world->options.max_unproven_connections = unproven;
    world->options.first_frame_timeout_ms = 3600000;
}

static bool four_had_to_go(void *user)
{
    return world_stats(user).connections_refused == 4;
}

static void a_module_comes_back_beside_a_full_crowd(void **state)
{
    (void)state;
    struct world world;
    struct peer module;
    struct peer crowd[8];
    struct peer local;
    struct identity who;
    prepare_crowd(&world, 8, 0);
    world_start(&world);
    world_peer(&world, &module, "json");
    assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
    peer_close(&module);
    world_await_connections(&world, 0);
    /* Half of the connections are for those, if nothing else is said. */
    for (int i = 0; i < 8; i++) {
        world_peer(&world, &crowd[i], "json");
    }
    assert_true(pw_test_wait_until(four_had_to_go, &world, 20000));
    world_await_connections(&world, 4);
    assert_int_equal(world_stats(&world).connections_unproven, 4);
    world_peer(&world, &module, "json");
    assert_int_equal(peer_beat(&module, &who, PYWATT_HEALTHY), PYWATT_OK);
    /* Where they come from does not matter. */
    assert_true(peer_open(&local, world.memory_url, "json"));
    assert_int_equal(peer_register(&local, "local", NULL), PYWATT_OK);
    assert_int_equal(world_stats(&world).connections, 5);
    assert_int_equal(world_stats(&world).connections_unproven, 3);
    peer_close(&local);
    peer_close(&module);
    for (int i = 0; i < 8; i++) {
        peer_close(&crowd[i]);
    }
    world_await_connections(&world, 0);
    assert_int_equal(world_stats(&world).connections_unproven, 0);
    world_stop(&world);
}

/* Connections go round the two workers: the one that is silent is with the other one. */
static void one_goes_for_another_whichever_limit_it_is(void **state)
{
    (void)state;
    static const uint32_t limits[][2] = {{100, 1}, {1, 100}};
    for (int i = 0; i < 2; i++) {
        struct world world;
        struct peer silent;
        struct peer module;
        struct peer extra;
        prepare_crowd(&world, limits[i][0], limits[i][1]);
        world_start(&world);
        world_peer(&world, &silent, "json");
        assert_true(pw_test_wait_until(one_has_proven_nothing, &world, 20000));
        world_peer(&world, &module, "json");
        assert_int_equal(peer_register(&module, "a", NULL), PYWATT_OK);
        assert_true(peer_is_closed_by_other(&silent));
        assert_int_equal(world_stats(&world).connections, 1);
        assert_int_equal(world_stats(&world).connections_refused, 1);
        /* Who has proven something never has to. */
        world_peer(&world, &extra, "json");
        assert_int_equal(peer_register(&extra, "b", NULL), i == 0 ? PYWATT_OK : PYWATT_CHANNEL);
        assert_int_equal(peer_register(&module, "c", NULL), PYWATT_OK);
        peer_close(&extra);
        peer_close(&module);
        peer_close(&silent);
        world_stop(&world);
    }
}

static enum pywatt_status register_patiently(struct peer *peer, const char *name)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    struct pw_request request = register_of(info);
    request.can_wait = true;
    const enum pywatt_status status = peer_call(peer, &request);
    pywatt_module_info_free(info);
    return status;
}

static void who_waits_for_the_store_or_was_told_to_come_again_need_not_go(void **state)
{
    (void)state;
    enum {
        /* Seconds that somebody who can wait has to. */
        AHEAD = 100
    };
    struct world world;
    struct peer waiting;
    struct peer deferred;
    struct peer extra;
    prepare_crowd(&world, 8, 2);
    world.options.registrations_per_s = 1;
    world.hooks.reply_timeout_ms = 3600000;
    world.store = slow_store_open(true);
    world_start(&world);
    world_peer(&world, &waiting, "protobuf");
    send_registrations(&waiting, AHEAD);
    assert_true(slow_store_await(world.store, AHEAD));
    world_peer(&world, &deferred, "protobuf");
    assert_int_equal(register_patiently(&deferred, "patient"), PYWATT_UNAVAILABLE);
    world_peer(&world, &extra, "protobuf");
    assert_true(peer_is_closed_by_other(&extra));
    peer_close(&extra);
    for (int i = 0; i < AHEAD; i++) {
        slow_store_end(world.store, 0, PYWATT_OK);
        assert_true(peer_receive(&waiting));
        assert_true(waiting.response.success);
    }
    assert_true(peer_has_nothing(&deferred));
    peer_close(&deferred);
    peer_close(&waiting);
    world_stop(&world);
}

static void what_lies_in_a_socket_counts_before_anybody_goes(void **state)
{
    (void)state;
    enum {
        COUNT = 6
    };
    struct world world;
    struct peer module;
    struct peer peers[COUNT];
    struct identity who;
    prepare_crowd(&world, COUNT + 1, 1);
    world.options.workers = 1;
    world.store = slow_store_open(false);
    world_start(&world);
    world_peer(&world, &module, "protobuf");
    assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
    /* The worker is held up, and finds them all at once. */
    slow_store_set_blocked(world.store, true);
    send_registrations(&module, 1);
    assert_true(slow_store_await_blocked(world.store));
    for (int i = 0; i < COUNT; i++) {
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        world_peer(&world, &peers[i], "protobuf");
        assert_true(peer_send(&peers[i], &beat));
    }
    slow_store_set_blocked(world.store, false);
    for (int i = 0; i < COUNT; i++) {
        assert_true(peer_receive(&peers[i]));
        assert_true(peers[i].response.success);
        peer_close(&peers[i]);
    }
    assert_int_equal(world_stats(&world).connections_refused, 0);
    peer_close(&module);
    world_stop(&world);
}

/* ---- What proves something ---- */

static bool beats_in_a_run(struct peer *peer, const struct identity *who)
{
    struct pw_buffer bytes;
    pw_buffer_init(&bytes, 100000);
    for (int i = 0; i < 2; i++) {
        struct pw_request beat = beat_of(who, PYWATT_HEALTHY);
        assert_true(peer_pack(peer, &beat, &bytes));
    }
    bool good = peer_send_raw(peer, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes));
    pw_buffer_destroy(&bytes);
    for (int i = 0; i < 2; i++) {
        good &= peer_receive(peer) && peer->response.success;
    }
    return good;
}

static bool beats_in_a_batch(struct peer *peer, const struct identity *who)
{
    const struct pw_batched_beat beat = {
        .module_id = who->id, .token = pw_str_from(who->token), .health = PYWATT_HEALTHY};
    struct pw_request request = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = &beat, .beat_count = 1};
    return peer_call(peer, &request) == PYWATT_OK && peer->response.exception_count == 0;
}

static bool beats_with_details(struct peer *peer, const struct identity *who)
{
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "load", "7"), PYWATT_OK);
    const enum pywatt_status status = peer_beat_with(peer, who, PYWATT_HEALTHY, 0, details);
    pywatt_string_map_free(details);
    return status == PYWATT_OK;
}

static bool beats(struct peer *peer, const struct identity *who)
{
    return peer_beat(peer, who, PYWATT_HEALTHY) == PYWATT_OK;
}

static bool advertises(struct peer *peer, const struct identity *who)
{
    return peer_advertise(peer, who, "/a") == PYWATT_OK;
}

static bool unregisters(struct peer *peer, const struct identity *who)
{
    return peer_unregister(peer, who) == PYWATT_OK;
}

static void whatever_comes_through_proves_who_sent_it(void **state)
{
    (void)state;
    static bool (*const acts[])(struct peer * peer, const struct identity *who) = {
        beats, beats_in_a_run, beats_in_a_batch, beats_with_details, advertises, unregisters};
    struct world world;
    struct peer module;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &module, "protobuf");
    assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        struct identity wrong = who;
        struct peer peer;
        wrong.token[0] ^= 1;
        world_peer(&world, &peer, "protobuf");
        world_await_connections(&world, 2);
        (void)acts[i](&peer, &wrong);
        assert_int_equal(world_stats(&world).connections_unproven, 1);
        assert_true(acts[i](&peer, &who));
        assert_int_equal(world_stats(&world).connections_unproven, 0);
        peer_close(&peer);
        world_await_connections(&world, 1);
    }
    peer_close(&module);
    world_stop(&world);
}

static void an_address_may_register_only_so_often(void **state)
{
    (void)state;
    static const char *const codecs[] = {"json", "protobuf"};
    for (size_t c = 0; c < 2; c++) {
        struct world world;
        struct peer peer;
        struct peer local;
        world_prepare(&world);
        world.options.registrations_per_s_per_peer = 1;
        world_start(&world);
        world_peer(&world, &peer, codecs[c]);
        send_registrations(&peer, 3);
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
        for (int i = 1; i < 3; i++) {
            assert_true(peer_receive(&peer));
            assert_int_equal(peer.response.status, PYWATT_UNAVAILABLE);
            assert_non_null(strstr(peer.error, "from this address"));
            assert_in_range(peer.response.retry_after_ms, 1, 1001);
        }
        assert_int_equal(world_stats(&world).registrations_throttled, 2);
        assert_true(peer_open(&local, world.memory_url, "json"));
        for (int i = 0; i < 3; i++) {
            char name[32];
            snprintf(name, sizeof(name), "local %d", i);
            assert_int_equal(peer_register(&local, name, NULL), PYWATT_OK);
        }
        peer_close(&local);
        peer_close(&peer);
        world_stop(&world);
    }
}

/* Half a megabyte of metadata, which the reply has as well. */
static struct pywatt_module_info *large_info(void)
{
    struct pywatt_module_info *info = NULL;
    char value[4001];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    assert_int_equal(pywatt_module_info_new("large", "1", "d", &info), PYWATT_OK);
    for (int i = 0; i < 120; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key %d", i);
        assert_int_equal(pywatt_module_info_set_metadata(info, key, value), PYWATT_OK);
    }
    return info;
}

static void only_so_much_is_buffered_for_a_peer_that_does_not_read(void **state)
{
    (void)state;
    struct pywatt_module_info *info = large_info();
    for (int tight = 0; tight < 2; tight++) {
        struct world world;
        struct peer peer;
        struct pw_request request = register_of(info);
        world_prepare(&world);
        world.options.max_unproven_frame_bytes = world.options.max_frame_bytes;
        world.options.max_output_bytes = tight == 1 ? 65536 : world.options.max_output_bytes;
        world_start(&world);
        assert_true(peer_open(&peer, world.memory_url, "protobuf"));
        assert_true(peer_send(&peer, &request));
        if (tight == 1) {
            world_await_connections(&world, 0);
        } else {
            assert_true(peer_receive(&peer));
            assert_true(peer.response.success);
        }
        peer_close(&peer);
        world_stop(&world);
    }
    pywatt_module_info_free(info);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(only_so_many_requests_of_a_connection_wait_for_the_store),
        cmocka_unit_test(only_so_many_connections_of_an_address_may_have_proven_nothing),
        cmocka_unit_test(a_module_comes_back_beside_a_full_crowd),
        cmocka_unit_test(one_goes_for_another_whichever_limit_it_is),
        cmocka_unit_test(who_waits_for_the_store_or_was_told_to_come_again_need_not_go),
        cmocka_unit_test(what_lies_in_a_socket_counts_before_anybody_goes),
        cmocka_unit_test(whatever_comes_through_proves_who_sent_it),
        cmocka_unit_test(an_address_may_register_only_so_often),
        cmocka_unit_test(only_so_much_is_buffered_for_a_peer_that_does_not_read),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Limits and deadlines that an orchestrator keeps with its peers: each is met from both sides. Those
 * of the frames' times stand in slow_peers.c, those of connections in all in bad_peers.c.
 */
#include "slow_store.h"
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Deadlines ---- */

static void the_first_frame_has_a_time_of_its_own(void **state)
{
    (void)state;
    struct world world;
    struct peer good;
    struct peer silent;
    struct peer slow;
    world_prepare(&world);
    world.options.first_frame_timeout_ms = 300;
    world_start(&world);
    /* By its memory: connecting takes no time. */
    assert_true(peer_open(&good, world.memory_url, "json"));
    const enum pywatt_status status = peer_register(&good, "a", NULL);
    world_peer(&world, &silent, "json");
    world_peer(&world, &slow, "json");
    (void)peer_send_raw(&slow, "\x00\x00\x00\x10\x01", 5);
    assert_true(peer_is_closed_by_other(&silent));
    assert_true(peer_is_closed_by_other(&slow));
    /* Later frames do not have it. */
    if (status == PYWATT_OK) {
        assert_true(peer_send_raw(&good, "\x00\x00\x00\x10\x01", 5));
        world_await_connections(&world, 1);
        assert_true(peer_has_nothing(&good));
    }
    peer_close(&good);
    peer_close(&silent);
    peer_close(&slow);
    world_stop(&world);
}

static void who_has_proven_nothing_may_not_be_silent_for_long(void **state)
{
    (void)state;
    struct world world;
    struct peer stranger;
    struct peer module;
    struct identity who;
    world_prepare(&world);
    world.options.unproven_idle_timeout_ms = 300;
    world_start(&world);
    world_peer(&world, &module, "json");
    assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
    world_peer(&world, &stranger, "json");
    /* A frame, but one that anybody could send. */
    struct identity wrong = who;
    wrong.token[0] ^= 1;
    (void)peer_beat(&stranger, &wrong, PYWATT_HEALTHY);
    assert_true(peer_is_closed_by_other(&stranger));
    world_await_connections(&world, 1);
    assert_true(peer_has_nothing(&module));
    assert_int_equal(peer_beat(&module, &who, PYWATT_HEALTHY), PYWATT_OK);
    peer_close(&stranger);
    peer_close(&module);
    world_stop(&world);
}

/* ---- A stall of ours ---- */

enum {
    /* More than a worker looks at in one go. */
    PEERS = 300
};

static _Atomic int64_t ahead_ns;

static uint64_t moved_now(const struct pw_clock *clock)
{
    (void)clock;
    return pw_clock_now_ns(&pw_clock_monotonic) + (uint64_t)atomic_load(&ahead_ns);
}

static const struct pw_clock moved = {.now_ns = moved_now};

static void begin_stall(struct world *world)
{
    world_prepare(world);
    atomic_store(&ahead_ns, 0);
    world->options.workers = 1;
    world->options.lease_ms = 3600000;
    world->options.unproven_idle_timeout_ms = 600000;
    world->hooks.clock = &moved;
    world->hooks.reply_timeout_ms = 36000000;
    world->store = slow_store_open(false);
    world_start(world);
}

/* Holds the only worker up, inside of a registration. */
static void hold_up(struct world *world, struct peer *blocker)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("in the way", "1", "d", &info), PYWATT_OK);
    struct pw_request request = register_of(info);
    slow_store_set_blocked(world->store, true);
    assert_true(peer_send(blocker, &request));
    pywatt_module_info_free(info);
    assert_true(slow_store_await_blocked(world->store));
}

/* Two rounds of the worker: whoever was accepted before has come to it by then. */
static void await_arrivals(struct world *world, struct peer *blocker)
{
    world_await_connections(world, PEERS + 1);
    assert_int_equal(peer_register(blocker, "one", NULL), PYWATT_OK);
    assert_int_equal(peer_register(blocker, "two", NULL), PYWATT_OK);
}

static void a_stall_of_ours_ends_no_connection(void **state)
{
    (void)state;
    struct world world;
    struct peer blocker;
    struct identity nobody = {.token = "t"};
    struct peer *peers = calloc(PEERS, sizeof(*peers));
    assert_non_null(peers);
    begin_stall(&world);
    assert_true(peer_open(&blocker, world.memory_url, "json"));
    for (int i = 0; i < PEERS; i++) {
        assert_true(peer_open(&peers[i], world.memory_url, "json"));
    }
    await_arrivals(&world, &blocker);
    for (int i = 0; i < PEERS; i += 2) {
        /* Some are past their first frame: for them it is idleness. */
        assert_int_equal(peer_beat(&peers[i], &nobody, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    }
    hold_up(&world, &blocker);
    for (int i = 0; i < PEERS; i++) {
        struct pw_request beat = beat_of(&nobody, PYWATT_HEALTHY);
        assert_true(peer_send(&peers[i], &beat));
    }
    atomic_store(&ahead_ns, INT64_C(3600) * 1000000000);
    slow_store_set_blocked(world.store, false);
    for (int i = 0; i < PEERS; i++) {
        assert_true(peer_receive(&peers[i]));
        peer_close(&peers[i]);
    }
    peer_close(&blocker);
    world_stop(&world);
    free(peers);
}

/* ---- What a stranger may send ---- */

/* A beat in JSON of exactly so many bytes: there may be spaces around it. */
static bool send_beat_of(struct peer *peer, const struct identity *who, size_t size)
{
    char id[PYWATT_UUID_TEXT_SIZE];
    char *payload = malloc(size + 1);
    assert_non_null(payload);
    pywatt_uuid_format(&who->id, id);
    memset(payload, ' ', size);
    payload[size] = '\0';
    char text[512];
    const int len = snprintf(text, sizeof(text),
                             "{\"id\":\"%s\",\"content\":{\"request_type\":\"heartbeat\","
                             "\"module_id\":\"%s\",\"token\":\"%s\",\"status\":\"Healthy\"}}",
                             id, id, who->token);
    assert_in_range(len, 1, size);
    memcpy(payload, text, (size_t)len);
    const bool sent = peer_send_frame(peer, 1, payload);
    free(payload);
    return sent;
}

static void frames_of_who_has_proven_nothing_may_be_shorter(void **state)
{
    (void)state;
    struct world world;
    struct peer module;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.options.max_unproven_frame_bytes = 1000;
    world.options.max_frame_bytes = 2000;
    world_start(&world);
    world_peer(&world, &module, "json");
    assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
    struct identity wrong = who;
    wrong.token[0] ^= 1;
    /* A refused beat proves nothing. */
    world_peer(&world, &peer, "json");
    assert_true(send_beat_of(&peer, &wrong, 1000));
    assert_true(peer_receive(&peer));
    assert_false(peer.response.success);
    (void)send_beat_of(&peer, &who, 1001);
    assert_true(peer_is_closed_by_other(&peer));
    assert_int_equal(world_stats(&world).bad_frames, 1);
    peer_close(&peer);
    /* One that goes well does, also for what comes in the same piece. */
    world_peer(&world, &peer, "json");
    assert_true(send_beat_of(&peer, &who, 1000));
    assert_true(send_beat_of(&peer, &who, 2000));
    for (int i = 0; i < 2; i++) {
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
    }
    (void)send_beat_of(&peer, &who, 2001);
    assert_true(peer_is_closed_by_other(&peer));
    assert_int_equal(world_stats(&world).bad_frames, 2);
    peer_close(&peer);
    peer_close(&module);
    world_stop(&world);
}

/* Whether a beat is answered that has `inside`, which nobody looks at, beside what it needs. */
static bool takes(struct world *world, const struct identity *who, const char *inside)
{
    struct peer peer;
    char id[PYWATT_UUID_TEXT_SIZE];
    char text[4096];
    pywatt_uuid_format(&who->id, id);
    snprintf(text, sizeof(text),
             "{\"id\":\"%s\",\"content\":{\"request_type\":\"heartbeat\",\"module_id\":\"%s\","
             "\"token\":\"%s\",\"status\":\"Healthy\"},\"more\":%s}",
             id, id, who->token, inside);
    world_peer(world, &peer, "json");
    assert_true(peer_send_frame(&peer, 1, text));
    const bool taken = peer_receive(&peer) && peer.response.success;
    peer_close(&peer);
    return taken;
}

static void messages_may_be_only_so_deep_and_have_only_so_many_elements(void **state)
{
    (void)state;
    struct world world;
    struct peer module;
    struct identity who;
    char many[512] = "[0";
    for (int i = 0; i < 100; i++) {
        strcat(many, ",0");
    }
    strcat(many, "]");
    for (int tight = 0; tight < 2; tight++) {
        world_prepare(&world);
        if (tight == 1) {
            world.options.max_depth = 6;
            world.options.max_elements = 64;
        }
        world_start(&world);
        world_peer(&world, &module, "json");
        assert_int_equal(peer_register(&module, "a", &who), PYWATT_OK);
        assert_true(takes(&world, &who, "[[[0]]]"));
        assert_int_equal(takes(&world, &who, "[[[[[[0]]]]]]"), tight == 0);
        assert_int_equal(takes(&world, &who, many), tight == 0);
        assert_int_equal(peer_beat(&module, &who, PYWATT_HEALTHY), PYWATT_OK);
        peer_close(&module);
        world_stop(&world);
    }
}

/* ---- How many at once ---- */

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
    struct pw_buffer bytes;
    world_prepare(&world);
    world.options.workers = 1;
    world.options.max_pending_requests = LIMIT;
    world.store = slow_store_open(true);
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    world_peer(&world, &other, "protobuf");
    pw_buffer_init(&bytes, 100000);
    for (int i = 0; i < REQUESTS; i++) {
        struct pywatt_module_info *info = NULL;
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
        struct pw_request request = register_of(info);
        assert_true(peer_pack(&peer, &request, &bytes));
        pywatt_module_info_free(info);
    }
    assert_true(peer_send_raw(&peer, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes)));
    pw_buffer_destroy(&bytes);
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

static bool one_has_proven(void *user)
{
    return world_stats(user).connections_unproven == 1;
}

static void only_so_many_connections_may_have_proven_nothing(void **state)
{
    (void)state;
    for (int per_peer = 0; per_peer < 2; per_peer++) {
        struct world world;
        struct peer peers[2];
        struct peer extra;
        struct peer local;
        struct identity who;
        world_prepare(&world);
        if (per_peer == 1) {
            world.options.max_unproven_per_peer = 2;
        } else {
            world.options.max_unproven_connections = 2;
        }
        world_start(&world);
        for (int i = 0; i < 2; i++) {
            world_peer(&world, &peers[i], "json");
        }
        world_await_connections(&world, 2);
        assert_int_equal(world_stats(&world).connections_unproven, 2);
        world_peer(&world, &extra, "json");
        assert_true(peer_is_closed_by_other(&extra));
        peer_close(&extra);
        assert_int_equal(world_stats(&world).connections_refused, 1);
        assert_int_equal(world_stats(&world).peers_refused, per_peer);
        /* Peers without an address have no limit of it. */
        assert_true(peer_open(&local, world.memory_url, "json"));
        if (per_peer == 1) {
            assert_int_equal(peer_register(&local, "local", NULL), PYWATT_OK);
        } else {
            assert_true(peer_is_closed_by_other(&local));
        }
        peer_close(&local);
        world_await_connections(&world, 2);
        /* Who proves something makes room; by its beat on a new connection, too. */
        assert_int_equal(peer_register(&peers[0], "a", &who), PYWATT_OK);
        assert_true(pw_test_wait_until(one_has_proven, &world, 20000));
        world_peer(&world, &extra, "json");
        assert_int_equal(peer_beat(&extra, &who, PYWATT_HEALTHY), PYWATT_OK);
        assert_true(pw_test_wait_until(one_has_proven, &world, 20000));
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
}

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
        struct pw_buffer bytes;
        world_prepare(&world);
        world.options.registrations_per_s_per_peer = 1;
        world_start(&world);
        world_peer(&world, &peer, codecs[c]);
        pw_buffer_init(&bytes, 100000);
        /* In one piece, so that they come in the same moment. */
        for (int i = 0; i < 3; i++) {
            struct pywatt_module_info *info = NULL;
            char name[16];
            snprintf(name, sizeof(name), "m%d", i);
            assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
            struct pw_request request = register_of(info);
            assert_true(peer_pack(&peer, &request, &bytes));
            pywatt_module_info_free(info);
        }
        assert_true(peer_send_raw(&peer, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes)));
        pw_buffer_destroy(&bytes);
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

/* ---- Signals ---- */

static void the_disposition_of_sigpipe_is_left_alone(void **state)
{
    (void)state;
    struct sigaction before;
    struct sigaction after;
    struct world world;
    struct peer peer;
    struct identity who;
    assert_int_equal(sigaction(SIGPIPE, NULL, &before), 0);
    assert_true(before.sa_handler == SIG_DFL); /* it would end this process */
    world_begin(&world);
    for (int i = 0; i < 20; i++) {
        world_peer(&world, &peer, "json");
        assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        for (int k = 0; k < 20; k++) {
            assert_true(peer_send(&peer, &beat));
        }
        peer_close(&peer); /* and nobody is there for the replies */
        world_await_connections(&world, 0);
    }
    world_stop(&world);
    assert_int_equal(sigaction(SIGPIPE, NULL, &after), 0);
    assert_true(after.sa_handler == SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_first_frame_has_a_time_of_its_own),
        cmocka_unit_test(who_has_proven_nothing_may_not_be_silent_for_long),
        cmocka_unit_test(a_stall_of_ours_ends_no_connection),
        cmocka_unit_test(frames_of_who_has_proven_nothing_may_be_shorter),
        cmocka_unit_test(messages_may_be_only_so_deep_and_have_only_so_many_elements),
        cmocka_unit_test(only_so_many_requests_of_a_connection_wait_for_the_store),
        cmocka_unit_test(only_so_many_connections_may_have_proven_nothing),
        cmocka_unit_test(whatever_comes_through_proves_who_sent_it),
        cmocka_unit_test(an_address_may_register_only_so_often),
        cmocka_unit_test(only_so_much_is_buffered_for_a_peer_that_does_not_read),
        cmocka_unit_test(the_disposition_of_sigpipe_is_left_alone),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peers that are broken, slow, greedy or hostile: they harm themselves only.
 */
#include "world.h"

#include "transport/frame.h"

#include <pywatt/log.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A peer of good standing: whatever the other one does, this one's beats go on. */
struct good {
    struct peer peer;
    struct identity who;
};

static void begin_good(struct world *world, struct good *good)
{
    world_peer(world, &good->peer, "protobuf");
    assert_int_equal(peer_register_with(&good->peer, "good", NULL, NULL, "3600000", &good->who),
                     PYWATT_OK);
}

static void check_good(struct world *world, struct good *good)
{
    for (int i = 0; i < 10; i++) {
        assert_int_equal(peer_beat(&good->peer, &good->who, PYWATT_HEALTHY), PYWATT_OK);
    }
    assert_int_equal(world_liveness(world, &good->who.id), PYWATT_ALIVE);
    assert_int_equal(world_count_events(world, PYWATT_EVENT_LIVENESS, &good->who.id), 0);
}

static void end_good(struct world *world, struct good *good)
{
    check_good(world, good);
    peer_close(&good->peer);
    world_stop(world);
}

/* ---- What is closed ---- */

#define BYTES(text) (text), sizeof(text) - 1

static void garbage_ends_its_own_connection_only(void **state)
{
    (void)state;
    const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {BYTES("\xff\xff\xff\xff")},                         /* 4 GiB, and not even a format */
        {BYTES("\xff\xff\xff\xff\x01{}")},                   /* the same, in JSON */
        {BYTES("\x00\x10\x00\x01\x01")},                     /* one byte over 1 MiB */
        {BYTES("\x00\x00\x00\x03\x01\x81\xa1\x61")},         /* msgpack */
        {BYTES("\x00\x00\x00\x02\x63{}")},                   /* a format that nobody has */
        {BYTES("\x00\x00\x00\x02\x02\x01\x02")},             /* bincode */
        {BYTES("\x00\x00\x00\x04\x01{\"a\"")},               /* JSON that breaks off */
        {BYTES("\x00\x00\x00\x04\x00null")},                 /* JSON, but no object */
        {BYTES("\x00\x00\x00\x00\x01")},                     /* nothing */
        {BYTES("\x00\x00\x00\x04\x10\xff\xff\xff\xff")},     /* no protobuf */
        {BYTES("\x00\x00\x00\x00\x10")},                     /* protobuf of nothing */
        {BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")} /* somebody else's protocol */
    };
    struct world world;
    struct good good;
    world_begin(&world);
    begin_good(&world, &good);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer bad;
        world_peer(&world, &bad, "json");
        assert_true(peer_send_raw(&bad, cases[i].bytes, cases[i].len));
        assert_true(peer_is_closed_by_other(&bad));
        peer_close(&bad);
        assert_int_equal(world_stats(&world).bad_frames, i + 1);
        check_good(&world, &good);
    }
    end_good(&world, &good);
}

static void requests_before_the_garbage_are_answered(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    /* In one piece, so that they are read together. */
    struct pw_request beat = beat_of(&who, PYWATT_DEGRADED);
    struct pw_buffer bytes;
    pw_buffer_init(&bytes, 100000);
    assert_true(peer_pack(&peer, &beat, &bytes));
    assert_int_equal(pw_buffer_append(&bytes, "\xff\xff\xff\xff\xff", 5), PYWATT_OK);
    assert_true(peer_send_raw(&peer, pw_buffer_bytes(&bytes), pw_buffer_len(&bytes)));
    pw_buffer_destroy(&bytes);
    assert_true(peer_receive(&peer));
    assert_true(peer.response.success);
    assert_int_equal(peer.response.health, PYWATT_DEGRADED);
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
    world_stop(&world);
}

static void a_frame_of_the_largest_size_is_taken(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.options.max_frame_bytes = 200000;
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    /* JSON may have spaces around it: a beat of exactly so many bytes. */
    for (uint32_t size = 199999; size <= 200001; size++) {
        char id[PYWATT_UUID_TEXT_SIZE];
        char *frame = malloc(PW_FRAME_HEADER_SIZE + size + 1);
        assert_non_null(frame);
        pywatt_uuid_format(&who.id, id);
        memset(frame + PW_FRAME_HEADER_SIZE, ' ', size);
        char payload[512];
        const int len = snprintf(payload, sizeof(payload),
                                 "{\"id\":\"%s\",\"content\":{\"request_type\":\"heartbeat\","
                                 "\"module_id\":\"%s\",\"token\":\"%s\",\"status\":\"Healthy\"}}",
                                 id, id, who.token);
        memcpy(frame + PW_FRAME_HEADER_SIZE, payload, (size_t)len);
        pw_frame_write_header((uint8_t *)frame, size, 1);
        assert_true(peer_send_raw(&peer, frame, PW_FRAME_HEADER_SIZE + size) || size > 200000);
        free(frame);
        if (size <= 200000) {
            assert_true(peer_receive(&peer));
            assert_true(peer.response.success);
        } else {
            assert_true(peer_is_closed_by_other(&peer));
        }
    }
    peer_close(&peer);
    world_stop(&world);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        world_peer(&world, &peer, (*codec)->name);
        assert_int_equal(peer_register(&peer, (*codec)->name, &who), PYWATT_OK);
        struct pw_request beat = beat_of(&who, PYWATT_DEGRADED);
        assert_true(peer_send(&peer, &beat));
        assert_true(peer_receive(&peer));
        /* The same bytes once more. */
        for (size_t i = 0; i < pw_buffer_len(&peer.out); i++) {
            assert_true(peer_send_raw(&peer, pw_buffer_bytes(&peer.out) + i, 1));
        }
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
        assert_int_equal(peer.response.health, PYWATT_DEGRADED);
        peer_close(&peer);
    }
    world_stop(&world);
}

/* ---- What is answered, or left unanswered ---- */

static void a_request_that_cannot_be_read_is_refused_if_it_is_one(void **state)
{
    (void)state;
    const char *const payloads[] = {
        "{\"id\":\"11111111-1111-4111-8111-111111111111\",\"content\":{\"request_type\":"
        "\"heartbeat\",\"module_id\":\"no uuid\",\"token\":\"t\",\"status\":\"Degraded\"}}",
        "{\"id\":\"11111111-1111-4111-8111-111111111111\",\"content\":{\"request_type\":"
        "\"register\"}}",
        "{\"id\":\"11111111-1111-4111-8111-111111111111\",\"content\":{\"request_type\":"
        "\"unregister\",\"token\":7}}",
    };
    struct world world;
    struct peer peer;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        assert_true(peer_send_frame(&peer, 1, payloads[i]));
        assert_true(peer_receive(&peer));
        assert_false(peer.response.success);
        assert_int_equal(peer.response.status, PYWATT_SERIALIZATION);
        assert_true(strlen(peer.error) > 0);
        assert_int_equal(peer.response.request_id.bytes[0], 0x11);
    }
    assert_int_equal(world_stats(&world).requests_refused, 3);
    assert_int_equal(world_stats(&world).bad_frames, 0);
    /* The connection is good still. */
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

static void frames_without_a_request_get_no_reply(void **state)
{
    (void)state;
    const char *const payloads[] = {
        "{\"id\":\"11111111-1111-4111-8111-111111111111\",\"content\":{\"type\":\"identify\"}}",
        "{\"type\":\"Identify\",\"module_id\":\"11111111-1111-4111-8111-111111111111\"}", "{}"};
    struct world world;
    struct peer peer;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        assert_true(peer_send_frame(&peer, 1, payloads[i]));
    }
    /* The first reply is that of the request that follows. */
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    assert_true(peer_has_nothing(&peer));
    assert_int_equal(world_stats(&world).requests, 1);
    peer_close(&peer);
    world_stop(&world);
}

static void a_probe_that_sends_nothing_is_left_alone_for_a_while(void **state)
{
    (void)state;
    struct world world;
    struct peer probe;
    struct peer peer;
    world_begin(&world);
    world_peer(&world, &probe, "json");
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    assert_true(peer_has_nothing(&probe));
    assert_int_equal(world_stats(&world).connections, 2);
    peer_close(&probe);
    world_await_connections(&world, 1);
    peer_close(&peer);
    world_stop(&world);
}

static void a_peer_that_ends_after_its_requests_gets_its_replies(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    for (int i = 0; i < 100; i++) {
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        assert_true(peer_send(&peer, &beat));
    }
    for (int i = 0; i < 100; i++) {
        assert_true(peer_receive(&peer));
    }
    pw_conn_shutdown(peer.conn);
    world_await_connections(&world, 0);
    peer_close(&peer);
    world_stop(&world);
}

static void peers_may_break_off_without_reading(void **state)
{
    (void)state;
    struct world world;
    struct good good;
    struct identity who;
    world_begin(&world);
    begin_good(&world, &good);
    for (int i = 0; i < 60; i++) {
        struct peer peer;
        world_peer(&world, &peer, i % 2 == 0 ? "json" : "protobuf");
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(peer_register(&peer, name, &who), PYWATT_OK);
        /* Replies that nobody has read when it closes make it break off instead of end. */
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        for (int k = 0; k < i; k++) {
            assert_true(peer_send(&peer, &beat));
        }
        peer_close(&peer);
    }
    world_await_connections(&world, 1);
    assert_int_equal(world_stats(&world).bad_frames, 0);
    end_good(&world, &good);
}

/* ---- Limits ---- */

static void connections_over_the_limit_are_turned_away(void **state)
{
    (void)state;
    struct world world;
    struct peer peers[3];
    struct peer extra;
    world_prepare(&world);
    world.options.max_connections = 3;
    world_start(&world);
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        world_peer(&world, &peers[i], "json");
        assert_int_equal(peer_register(&peers[i], names[i], NULL), PYWATT_OK);
    }
    for (int i = 0; i < 5; i++) {
        world_peer(&world, &extra, "json");
        assert_true(peer_is_closed_by_other(&extra));
        peer_close(&extra);
    }
    assert_int_equal(world_stats(&world).connections_refused, 5);
    assert_int_equal(world_stats(&world).connections_accepted, 3);
    assert_int_equal(peer_register(&peers[0], "d", NULL), PYWATT_OK);
    peer_close(&peers[1]);
    world_await_connections(&world, 2);
    world_peer(&world, &extra, "json");
    assert_int_equal(peer_register(&extra, "e", NULL), PYWATT_OK);
    peer_close(&extra);
    peer_close(&peers[0]);
    peer_close(&peers[2]);
    world_stop(&world);
}

/* The soft limit of descriptors, so that only so many more can be opened. */
static void connections_of_one_address_may_be_limited(void **state)
{
    (void)state;
    struct world world;
    struct peer peers[3];
    struct peer more;
    world_prepare(&world);
    world.options.max_connections_per_peer = 2;
    world_start(&world);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            world_peer(&world, &peers[i], "json");
            assert_int_equal(peer_register(&peers[i], i == 0 ? "a" : "b", NULL), PYWATT_OK);
        }
        world_peer(&world, &more, "json");
        assert_true(peer_is_closed_by_other(&more));
        peer_close(&more);
        assert_int_equal(world_stats(&world).connections_refused, round + 1);
        /* Peers without an address are not counted. */
        assert_true(peer_open(&peers[2], world.memory_url, "json"));
        assert_int_equal(peer_register(&peers[2], "c", NULL), PYWATT_OK);
        for (int i = 0; i < 3; i++) {
            peer_close(&peers[i]);
        }
        world_await_connections(&world, 0);
    }
    world_stop(&world);
}

static void allow_descriptors(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void peers_wait_while_descriptors_are_out(void **state)
{
    (void)state;
    struct world world;
    struct good good;
    struct peer late;
    struct rlimit before;
    if (strcmp(pw_test_tool(), "memcheck") == 0 || strcmp(pw_test_tool(), "helgrind") == 0) {
        skip(); /* Valgrind has its own limit: it accepts, and closes what is over it */
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    world_begin(&world);
    begin_good(&world, &good);
    /* One for the peer's own end; none is left for the orchestrator's. */
    const int next = dup(0);
    assert_true(next >= 0);
    close(next);
    allow_descriptors((rlim_t)next + 1);
    const bool connected = peer_open(&late, world.url, "json");
    check_good(&world, &good);
    allow_descriptors(before.rlim_cur);
    assert_true(connected);
    assert_int_equal(world_stats(&world).connections, 1);
    /* It is taken as soon as there is room again. */
    assert_int_equal(peer_register(&late, "late", NULL), PYWATT_OK);
    peer_close(&late);
    end_good(&world, &good);
}

static void modules_over_the_limit_are_refused(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.options.max_modules = 2;
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "b", NULL), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "c", NULL), PYWATT_LIMIT);
    assert_non_null(strstr(peer.error, "2 modules"));
    /* One that is there already may register again. */
    assert_int_equal(peer_register_with(&peer, "a", &who.id, who.token, NULL, &who), PYWATT_OK);
    assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "c", NULL), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(garbage_ends_its_own_connection_only),
        cmocka_unit_test(requests_before_the_garbage_are_answered),
        cmocka_unit_test(a_frame_of_the_largest_size_is_taken),
        cmocka_unit_test(a_frame_may_come_byte_by_byte),
        cmocka_unit_test(a_request_that_cannot_be_read_is_refused_if_it_is_one),
        cmocka_unit_test(frames_without_a_request_get_no_reply),
        cmocka_unit_test(a_probe_that_sends_nothing_is_left_alone_for_a_while),
        cmocka_unit_test(a_peer_that_ends_after_its_requests_gets_its_replies),
        cmocka_unit_test(peers_may_break_off_without_reading),
        cmocka_unit_test(connections_over_the_limit_are_turned_away),
        cmocka_unit_test(connections_of_one_address_may_be_limited),
        cmocka_unit_test(peers_wait_while_descriptors_are_out),
        cmocka_unit_test(modules_over_the_limit_are_refused),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peers that are slow, silent, or do not read, and what is said of bad peers in the log.
 */
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- Too slow, too silent ---- */

static void a_frame_that_takes_too_long_ends_the_connection(void **state)
{
    (void)state;
    struct world world;
    struct good good;
    struct peer slow;
    world_prepare(&world);
    world.options.frame_timeout_ms = 300;
    world_start(&world);
    begin_good(&world, &good);
    world_peer(&world, &slow, "json");
    assert_int_equal(peer_register(&slow, "slow", NULL), PYWATT_OK);
    /* Byte after byte does not buy more time: it runs from the first one. */
    bool open = true;
    const int64_t deadline_ns = pw_test_deadline_ns(10000);
    assert_true(peer_send_raw(&slow, "\x00\x0f\x00\x00\x01", 5));
    while (open && pw_test_now_ns() < deadline_ns) {
        open = peer_send_raw(&slow, " ", 1) && peer_has_nothing(&slow);
        assert_int_equal(peer_beat(&good.peer, &good.who, PYWATT_HEALTHY), PYWATT_OK);
    }
    assert_false(open);
    peer_close(&slow);
    end_good(&world, &good);
}

/* Bytes that never become a frame do not keep a connection, either. */
static void a_connection_without_a_frame_ends(void **state)
{
    (void)state;
    struct world world;
    struct good good;
    struct peer silent;
    struct peer slow;
    world_prepare(&world);
    world.options.first_frame_timeout_ms = 300;
    world_start(&world);
    begin_good(&world, &good);
    world_peer(&world, &silent, "json");
    world_peer(&world, &slow, "json");
    assert_true(peer_send_raw(&slow, "\x00\x0f", 2));
    assert_true(peer_is_closed_by_other(&silent));
    assert_true(peer_is_closed_by_other(&slow));
    /* One that has sent a frame may be silent. */
    world_await_connections(&world, 1);
    peer_close(&silent);
    peer_close(&slow);
    end_good(&world, &good);
}

static void a_long_frame_that_comes_in_time_is_no_slow_one(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_prepare(&world);
    world.options.frame_timeout_ms = 60000;
    world.options.max_unproven_frame_bytes = world.options.max_frame_bytes;
    world_start(&world);
    world_peer(&world, &peer, "json");
    /* A description and a lot of metadata, of some 300 KiB. */
    struct pywatt_module_info *info = NULL;
    char value[3000];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    assert_int_equal(pywatt_module_info_new("big", "1", value, &info), PYWATT_OK);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key %d", i);
        assert_int_equal(pywatt_module_info_set_metadata(info, key, value), PYWATT_OK);
    }
    struct pw_request request = register_of(info);
    assert_int_equal(peer_call(&peer, &request), PYWATT_OK);
    assert_true(
        pywatt_module_info_equal(info, pywatt_registration_info(peer.response.registration)));
    pywatt_module_info_free(info);
    peer_close(&peer);
    world_stop(&world);
}

static void a_silent_connection_ends_if_that_is_wanted(void **state)
{
    (void)state;
    struct world world;
    struct peer silent;
    struct identity who;
    world_prepare(&world);
    world.options.idle_timeout_ms = 50;
    world_start(&world);
    world_peer(&world, &silent, "json");
    assert_int_equal(peer_register(&silent, "a", &who), PYWATT_OK);
    assert_true(peer_is_closed_by_other(&silent));
    world_await_liveness(&world, 0, &who.id, PYWATT_SUSPECT);
    peer_close(&silent);
    world_stop(&world);
}

/* Sends beats, many in one piece, until the connection breaks or so many are sent. */
static bool flood(struct peer *peer, const struct identity *who, unsigned count)
{
    struct pw_request beat = beat_of(who, PYWATT_HEALTHY);
    bool good = true;
    for (unsigned i = 0; i < count && good; i += 1000) {
        pw_buffer_clear(&peer->out);
        for (unsigned k = 0; k < 1000 && good; k++) {
            good = peer_pack(peer, &beat, &peer->out);
        }
        good = good && peer_send_raw(peer, pw_buffer_bytes(&peer->out), pw_buffer_len(&peer->out));
    }
    return good;
}

struct flooder {
    struct peer peer;
    struct identity who;
    unsigned count;
    bool sent_all;
};

static void *flood_main(void *user)
{
    struct flooder *flooder = user;
    flooder->sent_all = flood(&flooder->peer, &flooder->who, flooder->count);
    return NULL;
}

static void a_peer_that_does_not_read_is_not_read_from_and_then_ended(void **state)
{
    (void)state;
    struct world world;
    struct good good;
    struct flooder flooder = {.count = 1000000};
    pthread_t thread;
    world_prepare(&world);
    world.options.write_timeout_ms = 300;
    world.options.max_output_bytes = 65536;
    world_start(&world);
    begin_good(&world, &good);
    assert_true(peer_open(&flooder.peer, world.memory_url, "json"));
    assert_int_equal(peer_register(&flooder.peer, "flooder", &flooder.who), PYWATT_OK);
    assert_int_equal(pthread_create(&thread, NULL, flood_main, &flooder), 0);
    check_good(&world, &good);
    world_await_liveness(&world, 0, &flooder.who.id, PYWATT_SUSPECT);
    pthread_join(thread, NULL);
    assert_false(flooder.sent_all);
    peer_close(&flooder.peer);
    end_good(&world, &good);
}

/* By what it was answered, and what left. Nobody reads, so the rest is what was held for it. */
static void only_so_many_short_replies_are_held_for_who_does_not_read(void **state)
{
    (void)state;
    for (uint32_t limit = 8192; limit <= 65536; limit *= 8) {
        struct world world;
        struct flooder flooder = {.count = 1000000};
        world_prepare(&world);
        world.options.write_timeout_ms = 100;
        world.options.max_output_bytes = limit;
        world_start(&world);
        assert_true(peer_open(&flooder.peer, world.memory_url, "json"));
        assert_int_equal(peer_register(&flooder.peer, "flooder", &flooder.who), PYWATT_OK);
        assert_int_equal(peer_beat(&flooder.peer, &flooder.who, PYWATT_HEALTHY), PYWATT_OK);
        const size_t reply = flooder.peer.frame_size;
        const struct pywatt_orchestrator_stats before = world_stats(&world);
        (void)flood_main(&flooder);
        assert_false(flooder.sent_all);
        world_await_connections(&world, 0);
        const struct pywatt_orchestrator_stats after = world_stats(&world);
        const uint64_t answered = (after.heartbeats - before.heartbeats) * reply;
        assert_in_range(answered - (after.bytes_sent - before.bytes_sent), 1, limit);
        peer_close(&flooder.peer);
        world_stop(&world);
    }
}

static void a_peer_that_reads_late_gets_all_its_replies_in_order(void **state)
{
    (void)state;
    enum {
        BEATS = 30000
    };
    struct world world;
    struct flooder flooder = {.count = BEATS};
    pthread_t thread;
    world_prepare(&world);
    /* Less than the replies to what is read at once: frames are held back, too. */
    world.options.max_output_bytes = 16384;
    world_start(&world);
    assert_true(peer_open(&flooder.peer, world.memory_url, "json"));
    assert_int_equal(peer_register(&flooder.peer, "late", &flooder.who), PYWATT_OK);
    const uint64_t first = flooder.peer.next_id;
    /* More than all buffers hold: the sender has to wait until somebody reads. */
    struct peer reader = {.conn = flooder.peer.conn, .codec = flooder.peer.codec};
    pw_buffer_init(&reader.in, (size_t)1 << 26);
    pw_arena_init(&reader.arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&reader.response);
    assert_int_equal(pthread_create(&thread, NULL, flood_main, &flooder), 0);
    for (uint64_t i = 0; i < BEATS; i++) {
        uint64_t id;
        assert_true(peer_receive(&reader));
        memcpy(&id, reader.response.request_id.bytes, sizeof(id));
        assert_int_equal(id, first + i);
    }
    pthread_join(thread, NULL);
    assert_true(flooder.sent_all);
    reader.conn = NULL;
    peer_close(&reader);
    peer_close(&flooder.peer);
    world_stop(&world);
}

/* ---- The log ---- */

struct lines {
    pthread_mutex_t mutex;
    unsigned count;
    char last[512];
    bool secret_seen;
    const char *secret;
};

static void keep_line(void *user, enum pywatt_log_level level, const char *line)
{
    struct lines *lines = user;
    (void)level;
    pthread_mutex_lock(&lines->mutex);
    lines->count++;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
    if (lines->secret != NULL && strstr(line, lines->secret) != NULL) {
        lines->secret_seen = true;
    }
    pthread_mutex_unlock(&lines->mutex);
}

static void check_first_line(struct lines *lines)
{
    pthread_mutex_lock(&lines->mutex);
    const unsigned count = lines->count;
    char last[sizeof(lines->last)];
    memcpy(last, lines->last, sizeof(last));
    pthread_mutex_unlock(&lines->mutex);
    assert_int_equal(count, 1);
    assert_non_null(strstr(last, "127.0.0.1:"));
    assert_non_null(strstr(last, "longer than the limit"));
}

static void a_bad_peer_is_worth_one_line_and_many_are_worth_few(void **state)
{
    (void)state;
    struct world world;
    struct lines lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    world_begin(&world);
    pywatt_set_log_sink(keep_line, &lines, PYWATT_LOG_DEBUG);
    for (int i = 0; i < 300; i++) {
        struct peer bad;
        world_peer(&world, &bad, "json");
        assert_true(peer_send_raw(&bad, "\xff\xff\xff\xff\xff", 5));
        assert_true(peer_is_closed_by_other(&bad));
        peer_close(&bad);
        if (i == 0) {
            check_first_line(&lines);
        }
    }
    world_stop(&world);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    /* Ten a second, however slow this machine is. */
    assert_true(lines.count <= 200);
}

static void tokens_do_not_get_into_the_log(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct lines lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    lines.secret = who.token;
    pywatt_set_log_sink(keep_line, &lines, PYWATT_LOG_DEBUG);
    struct identity wrong = who;
    wrong.id.bytes[0] ^= 1;
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer_beat(&peer, &wrong, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    char frame[512];
    snprintf(frame, sizeof(frame), "{\"content\":{\"token\":\"%s\",", who.token);
    assert_true(peer_send_frame(&peer, 1, frame));
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
    world_stop(&world);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    assert_true(lines.count > 0);
    assert_false(lines.secret_seen);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_frame_that_takes_too_long_ends_the_connection),
        cmocka_unit_test(a_connection_without_a_frame_ends),
        cmocka_unit_test(a_long_frame_that_comes_in_time_is_no_slow_one),
        cmocka_unit_test(a_silent_connection_ends_if_that_is_wanted),
        cmocka_unit_test(a_peer_that_does_not_read_is_not_read_from_and_then_ended),
        cmocka_unit_test(only_so_many_short_replies_are_held_for_who_does_not_read),
        cmocka_unit_test(a_peer_that_reads_late_gets_all_its_replies_in_order),
        cmocka_unit_test(a_bad_peer_is_worth_one_line_and_many_are_worth_few),
        cmocka_unit_test(tokens_do_not_get_into_the_log),
    };
    return PW_TEST_RUN(cases);
}

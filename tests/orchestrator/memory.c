/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory: none is taken for a beat, little for a module, and when there is none the peer gets an
 * answer or is closed, the orchestrator lives on, and nothing leaks.
 */
#include "malloc_fail.h"
#include "slow_store.h"
#include "world.h"

#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* ---- Beats ---- */

/* Nobody's lease ends meanwhile, however slow this is: that would be told, which takes memory. */
static void begin_with_long_leases(struct world *world)
{
    world_prepare(world);
    world->options.lease_ms = 3600000;
    world_start(world);
}

/* Sends the bytes of the last request once more, and takes as many bytes as the reply has. */
static void beat_again(struct peer *peer, size_t reply_len)
{
    static uint8_t bytes[65536];
    size_t got = 0;
    assert_true(reply_len <= sizeof(bytes));
    if (!peer_send_raw(peer, pw_buffer_bytes(&peer->out), pw_buffer_len(&peer->out))) {
        fail_msg("the connection broke");
    }
    while (got < reply_len) {
        size_t n = 0;
        const enum pw_io result = pw_conn_receive(peer->conn, bytes, reply_len - got, &n, NULL);
        got += n;
        if (result != PW_IO_OK && result != PW_IO_AGAIN) {
            fail_msg("the connection broke");
        }
    }
}

static void expect_no_allocation(struct peer *peer, size_t reply_len, int times)
{
    pw_malloc_fail_at_any_thread(UINT32_MAX);
    for (int i = 0; i < times; i++) {
        beat_again(peer, reply_len);
    }
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
}

static void a_beat_takes_no_memory(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "load", "0.75"), PYWATT_OK);
    assert_int_equal(pywatt_string_map_set(details, "queue", "12"), PYWATT_OK);
    begin_with_long_leases(&world);
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (int with_details = 0; with_details < 2; with_details++) {
            char name[64];
            snprintf(name, sizeof(name), "%s %d", (*codec)->name, with_details);
            world_peer(&world, &peer, (*codec)->name);
            assert_int_equal(peer_register(&peer, name, &who), PYWATT_OK);
            struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
            beat.details = with_details ? details : NULL;
            assert_int_equal(peer_call(&peer, &beat), PYWATT_OK);
            const size_t reply_len = peer.frame_size;
            for (int i = 0; i < 10; i++) {
                beat_again(&peer, reply_len);
            }
            expect_no_allocation(&peer, reply_len, 1000);
            struct pywatt_module_view *view = world_view(&world, &who.id);
            assert_int_equal(pywatt_module_view_beats(view), 1011);
            pywatt_module_view_free(view);
            /* That it closes is told to the application, which takes memory. */
            peer_close(&peer);
            world_await_connections(&world, 0);
        }
    }
    pywatt_string_map_free(details);
    world_stop(&world);
}

/* Half of them go well, one gets another view than its own, the others are refused. */
static void nor_does_a_batch(void **state)
{
    (void)state;
    enum {
        BEATS = 300
    };
    struct world world;
    struct peer peer;
    struct identity who[2];
    static struct pw_batched_beat beats[BEATS];
    begin_with_long_leases(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &who[0]), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "b", &who[1]), PYWATT_OK);
    assert_int_equal(
        pywatt_orchestrator_set_verdict(world.orchestrator, &who[1].id, PYWATT_UNHEALTHY),
        PYWATT_OK);
    for (size_t i = 0; i < BEATS; i++) {
        const struct identity *of = &who[i == 7 ? 1 : 0];
        beats[i] = (struct pw_batched_beat){.module_id = of->id, .token = pw_str_from(of->token)};
        beats[i].module_id.bytes[9] ^= i % 2 == 0 ? 0x55 : 0;
    }
    struct pw_request batch = {
        .operation = PW_OP_HEARTBEAT_BATCH, .beats = beats, .beat_count = BEATS};
    assert_int_equal(peer_call(&peer, &batch), PYWATT_OK);
    assert_int_equal(peer.response.exception_count, BEATS / 2 + 1);
    const size_t reply_len = peer.frame_size;
    expect_no_allocation(&peer, reply_len, 200);
    assert_int_equal(world_stats(&world).heartbeats, 201 * BEATS / 2);
    /* By aliases: those of the even ones were not given. */
    static pw_short_beat short_beats[BEATS];
    for (uint32_t i = 0; i < BEATS; i++) {
        beats[i].alias = i + 1;
        short_beats[i] = pw_short_beat_of(i + 1, PYWATT_HEALTHY);
    }
    assert_int_equal(peer_call(&peer, &batch), PYWATT_OK);
    batch.short_beats = short_beats;
    assert_int_equal(peer_call(&peer, &batch), PYWATT_OK);
    assert_int_equal(peer.response.exception_count, BEATS / 2 + 1);
    const size_t short_reply_len = peer.frame_size;
    expect_no_allocation(&peer, short_reply_len, 200);
    assert_int_equal(world_stats(&world).heartbeats, 403 * BEATS / 2);
    peer_close(&peer);
    world_stop(&world);
}

static void a_module_takes_less_than_600_bytes(void **state)
{
    (void)state;
    enum {
        MODULES = 20000
    };
    if (pw_test_slow_factor() > 1) {
        skip(); /* the tool's own allocator says nothing of ours */
    }
    struct world world;
    struct peer peer;
    world_prepare(&world);
    world.options.on_event = NULL;
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < MODULES; i++) {
        struct identity who;
        char name[32];
        snprintf(name, sizeof(name), "module-%06d", i);
        assert_int_equal(peer_register(&peer, name, &who), PYWATT_OK);
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    const size_t each = (mallinfo2().uordblks - before) / MODULES;
    print_message("%zu bytes a module\n", each);
    assert_true(each <= 600);
    peer_close(&peer);
    world_stop(&world);
}

/* ---- Failure ---- */

/* Whether a call had an end that is good for a call in want of memory. */
static bool is_bearable(enum pywatt_status status)
{
    return status == PYWATT_OK || status == PYWATT_NO_MEMORY || status == PYWATT_CHANNEL ||
           status == PYWATT_UNAVAILABLE;
}

/*
 * In one message, where the codec can; of the second it is said that there is no such module. Then
 * once more by its alias, if that was given.
 */
static enum pywatt_status beat_twice(struct peer *peer, const struct identity *who)
{
    struct pw_batched_beat beats[2] = {
        {.module_id = who->id, .token = pw_str_from(who->token), .alias = 1000}};
    const pw_short_beat short_beat = pw_short_beat_of(1000, PYWATT_HEALTHY);
    struct pw_request batch = {.operation = PW_OP_HEARTBEAT_BATCH, .beats = beats, .beat_count = 2};
    if (!peer->codec->batches) {
        return PYWATT_OK;
    }
    beats[1] = beats[0];
    beats[1].module_id.bytes[9] ^= 0x55;
    const enum pywatt_status status = peer_call(peer, &batch);
    if (status != PYWATT_OK || peer->response.exception_count != 1) {
        return status != PYWATT_OK ? status : peer->response.exceptions[0].status;
    }
    batch.short_beats = &short_beat;
    batch.beat_count = 1;
    const enum pywatt_status by_alias = peer_call(peer, &batch);
    if (by_alias != PYWATT_OK || peer->response.exception_count == 0) {
        return by_alias;
    }
    /* When memory is out the beat counts, but gives no alias. */
    assert_int_equal(peer->response.exceptions[0].status, PYWATT_INVALID_ARGUMENT);
    return PYWATT_NO_MEMORY;
}

/*
 * All operations, on connections of their own where one was closed. False once no allocation
 * failed: then everything must have worked.
 */
static bool live_in_want(struct world *world, const char *codec, unsigned long n)
{
    struct peer peer;
    struct identity who = {.generation = 0};
    pw_malloc_fail_pause();
    world_peer(world, &peer, codec);
    pw_malloc_fail_at_any_thread(n);
    enum pywatt_status status[5] = {PYWATT_OK, PYWATT_OK, PYWATT_OK, PYWATT_OK, PYWATT_OK};
    struct pywatt_string_map *details = pywatt_string_map_new();
    pywatt_string_map_set(details, "k", "v");
    status[0] = peer_register(&peer, "wanting", &who);
    if (status[0] == PYWATT_OK) {
        status[1] = peer_beat_with(&peer, &who, PYWATT_DEGRADED, 0, details);
        status[2] = peer_advertise(&peer, &who, "/x");
        status[3] = beat_twice(&peer, &who);
        status[4] = peer_unregister(&peer, &who);
    }
    const bool failed = pw_malloc_fail_disarm();
    pw_malloc_fail_resume();
    pywatt_string_map_free(details);
    peer_close(&peer);
    for (int i = 0; i < 5; i++) {
        if (!is_bearable(status[i]) || (!failed && status[i] != PYWATT_OK)) {
            fail_msg("allocation %lu of %s: operation %d gave %s", n, codec, i,
                     pywatt_status_name(status[i]));
        }
    }
    return failed;
}

/* After the trouble: whoever is there still can be taken over, and all works. */
static void check_recovered(struct world *world, const char *codec)
{
    struct peer peer;
    struct identity who;
    world_await_connections(world, 0);
    world_peer(world, &peer, codec);
    assert_int_equal(peer_register(&peer, "wanting", &who), PYWATT_OK);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer_advertise(&peer, &who, "/x"), PYWATT_OK);
    assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
    assert_int_equal(world_stats(world).modules, 0);
    peer_close(&peer);
    world_await_connections(world, 0);
}

static void every_allocation_may_fail_while_modules_are_served(void **state)
{
    (void)state;
    struct world world;
    world_prepare(&world);
    world.options.max_connections_per_peer = 100; /* so that they are counted */
    world.options.registrations_per_s_per_peer = 10000000;
    world_start(&world);
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (unsigned long n = 1; live_in_want(&world, (*codec)->name, n); n++) {
            check_recovered(&world, (*codec)->name);
            assert_true(n < 1000);
        }
    }
    world_stop(&world);
}

static void every_allocation_may_fail_while_a_takeover_replaces_an_id(void **state)
{
    (void)state;
    static const struct pywatt_uuid other = {.bytes = {0x42, 1}};
    struct world world;
    world_begin(&world);
    for (unsigned long n = 1;; n++) {
        struct peer holder;
        struct peer peer;
        struct identity first;
        struct identity second;
        world_peer(&world, &holder, "json");
        world_peer(&world, &peer, "protobuf");
        assert_int_equal(peer_register(&holder, "held", &first), PYWATT_OK);
        const size_t from = world_event_count(&world);
        peer_close(&holder);
        world_await_liveness(&world, from == 0 ? 0 : from - 1, &first.id, PYWATT_SUSPECT);
        pw_malloc_fail_pause();
        pw_malloc_fail_at_any_thread(n);
        const enum pywatt_status status =
            peer_register_with(&peer, "held", &other, NULL, NULL, &second);
        const bool failed = pw_malloc_fail_disarm();
        pw_malloc_fail_resume();
        assert_true(is_bearable(status));
        assert_true(failed || status == PYWATT_OK);
        /* Whatever came of it, one of the two has the name, and it can be given up. */
        assert_int_equal(world_stats(&world).modules, 1);
        peer_close(&peer);
        world_await_connections(&world, 0);
        world_peer(&world, &peer, "json");
        assert_int_equal(peer_register(&peer, "held", &second), PYWATT_OK);
        assert_int_equal(peer_unregister(&peer, &second), PYWATT_OK);
        peer_close(&peer);
        if (!failed) {
            break;
        }
        assert_true(n < 1000);
    }
    world_stop(&world);
}

/*
 * The store answers when there is no memory for the reply: the peer gets one, or its connection
 * ends, and it never waits for ever.
 */
static void every_allocation_may_fail_when_the_store_has_answered(void **state)
{
    (void)state;
    for (unsigned long n = 1;; n++) {
        struct world world;
        struct peer peer;
        struct pywatt_module_info *info = NULL;
        world_prepare(&world);
        world.store = slow_store_open(true);
        world.hooks.reply_timeout_ms = 3600000;
        world_start(&world);
        world_peer(&world, &peer, n % 2 == 0 ? "json" : "protobuf");
        assert_int_equal(pywatt_module_info_new("a", "1", "d", &info), PYWATT_OK);
        struct pw_request request = register_of(info);
        assert_true(peer_send(&peer, &request));
        pywatt_module_info_free(info);
        assert_true(slow_store_await(world.store, 1));
        pw_malloc_fail_pause();
        pw_malloc_fail_at_any_thread(n);
        slow_store_end(world.store, 0, PYWATT_OK);
        const bool answered = peer_receive(&peer);
        const bool failed = pw_malloc_fail_disarm();
        pw_malloc_fail_resume();
        assert_true(answered || failed);
        if (!answered) {
            world_await_connections(&world, 0);
        }
        peer_close(&peer);
        world_stop(&world);
        if (!failed) {
            break;
        }
        assert_true(n < 1000);
    }
}

/* A batch beside a change that the store takes its time for; one of its two beats waits for that. */
static bool want_while_a_batch_waits(unsigned long n)
{
    struct world world;
    struct peer peer;
    struct identity who[2];
    struct pw_batched_beat beats[2];
    world_prepare(&world);
    world.store = slow_store_open(false);
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &who[0]), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "b", &who[1]), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    for (int i = 0; i < 2; i++) {
        beats[i] =
            (struct pw_batched_beat){.module_id = who[i].id, .token = pw_str_from(who[i].token)};
    }
    struct pw_request unregister = {
        .operation = PW_OP_UNREGISTER, .module_id = who[1].id, .token = pw_str_from(who[1].token)};
    struct pw_request batch = {.operation = PW_OP_HEARTBEAT_BATCH, .beats = beats, .beat_count = 2};
    assert_true(peer_send(&peer, &unregister));
    assert_true(slow_store_await(world.store, 1));
    pw_malloc_fail_pause();
    pw_malloc_fail_at_any_thread(n);
    assert_true(peer_send(&peer, &batch));
    while (world_stats(&world).requests < 4 && world_stats(&world).connections > 0) {
        sched_yield();
    }
    slow_store_end(world.store, 0, PYWATT_OK);
    const bool first = peer_receive(&peer);
    const bool second = first && peer_receive(&peer);
    const bool failed = pw_malloc_fail_disarm();
    pw_malloc_fail_resume();
    assert_true(second || failed);
    if (second && peer.response.success) {
        assert_int_equal(peer.response.operation, PW_OP_HEARTBEAT_BATCH);
        assert_int_equal(peer.response.beat_count, 2);
        assert_int_equal(peer.response.exception_count, 1);
        assert_int_equal(peer.response.exceptions[0].index, 1);
        assert_int_equal(peer.response.exceptions[0].status, PYWATT_MODULE_NOT_FOUND);
    } else if (second) {
        assert_int_equal(peer.response.status, PYWATT_NO_MEMORY);
    }
    peer_close(&peer);
    world_stop(&world);
    return failed;
}

static void every_allocation_may_fail_while_a_batch_waits(void **state)
{
    (void)state;
    unsigned long n = 1;
    while (want_while_a_batch_waits(n)) {
        assert_true(++n < 1000);
    }
    assert_true(n > 3);
}

static enum pywatt_status try_to_start(const struct pywatt_orchestrator_options *options,
                                       struct pywatt_error *error)
{
    struct pywatt_orchestrator *orchestrator = NULL;
    enum pywatt_status status = pywatt_orchestrator_new(options, &orchestrator, error);
    if (status == PYWATT_OK) {
        status = pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", NULL, 0, error);
    }
    if (status == PYWATT_OK) {
        status = pywatt_orchestrator_start(orchestrator, error);
    }
    pywatt_orchestrator_free(orchestrator);
    return status;
}

static void nobody(void *user, const struct pywatt_event *event)
{
    (void)user;
    (void)event;
}

static void every_allocation_may_fail_while_it_starts(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options options;
    pywatt_orchestrator_options_init(&options);
    options.workers = 3;
    options.advertise_host = "10.0.0.1";
    options.on_event = nobody;
    options.allow_names = "a, b*";
    options.unix_allow_uids = "0";
    options.unix_allow_gids = "0, 1";
    char *const folder = pw_test_temp_dir();
    char file[256];
    snprintf(file, sizeof(file), "%s/join", folder);
    free(folder);
    FILE *const out = fopen(file, "w");
    assert_non_null(out);
    fputs("a-token-of-some-length", out);
    fclose(out);
    options.join_token_file = file;
    const size_t fds = pw_test_open_fds();
    for (unsigned long n = 1;; n++) {
        struct pywatt_error error = {.text = ""};
        pw_malloc_fail_at(n);
        const enum pywatt_status status = try_to_start(&options, &error);
        if (!pw_malloc_fail_disarm()) {
            assert_int_equal(status, PYWATT_OK);
            break;
        }
        if (status != PYWATT_OK) {
            assert_true(strlen(error.text) > 0);
            assert_int_equal(error.status, status);
        }
        assert_true(status == PYWATT_NO_MEMORY || status == PYWATT_OK);
        assert_int_equal(pw_test_open_fds(), fds);
        assert_true(n < 10000);
    }
}

static void every_allocation_may_fail_while_the_store_is_read(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options options;
    static const char token[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    pywatt_orchestrator_options_init(&options);
    options.workers = 1;
    for (unsigned long n = 1;; n++) {
        struct pywatt_orchestrator *orchestrator = NULL;
        struct pw_store *store = slow_store_open(false);
        for (uint8_t i = 1; i < 20; i++) {
            char name[16];
            const struct pywatt_uuid id = {.bytes = {i, 5}};
            snprintf(name, sizeof(name), "stored %d", i);
            slow_store_add(store, &id, name, token, i, 1000);
        }
        pw_malloc_fail_at(n);
        const enum pywatt_status status =
            pw_orchestrator_new(&options, NULL, store, &orchestrator, NULL);
        const bool failed = pw_malloc_fail_disarm();
        if (status == PYWATT_OK) {
            struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
            assert_int_equal(pywatt_orchestrator_get_stats(orchestrator, &stats), PYWATT_OK);
            assert_int_equal(stats.modules, 19);
            pywatt_orchestrator_free(orchestrator);
        } else {
            assert_int_equal(status, PYWATT_NO_MEMORY);
            pw_store_close(store);
        }
        if (!failed) {
            assert_int_equal(status, PYWATT_OK);
            break;
        }
        assert_true(n < 10000);
    }
}

static bool see(void *user, const struct pywatt_module_view *view)
{
    (void)view;
    ++*(unsigned *)user;
    return true;
}

static void every_allocation_may_fail_while_somebody_looks(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "k", "v"), PYWATT_OK);
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(peer_beat_with(&peer, &who, PYWATT_HEALTHY, 0, details), PYWATT_OK);
    for (unsigned long n = 1;; n++) {
        struct pywatt_module_view *view = NULL;
        unsigned seen = 0;
        pw_malloc_fail_at(n);
        const enum pywatt_status found =
            pywatt_orchestrator_find_by_name(world.orchestrator, "a", &view);
        const enum pywatt_status walked =
            pywatt_orchestrator_for_each(world.orchestrator, see, &seen);
        const bool failed = pw_malloc_fail_disarm();
        pywatt_module_view_free(view);
        assert_true(found == PYWATT_OK || found == PYWATT_NO_MEMORY);
        assert_int_equal(walked, seen == 1 ? PYWATT_OK : PYWATT_NO_MEMORY);
        assert_int_equal(failed, found != PYWATT_OK || walked != PYWATT_OK);
        if (!failed) {
            break;
        }
    }
    pywatt_string_map_free(details);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_beat_takes_no_memory),
        cmocka_unit_test(nor_does_a_batch),
        cmocka_unit_test(a_module_takes_less_than_600_bytes),
        cmocka_unit_test(every_allocation_may_fail_while_modules_are_served),
        cmocka_unit_test(every_allocation_may_fail_while_a_takeover_replaces_an_id),
        cmocka_unit_test(every_allocation_may_fail_when_the_store_has_answered),
        cmocka_unit_test(every_allocation_may_fail_while_a_batch_waits),
        cmocka_unit_test(every_allocation_may_fail_while_it_starts),
        cmocka_unit_test(every_allocation_may_fail_while_the_store_is_read),
        cmocka_unit_test(every_allocation_may_fail_while_somebody_looks),
    };
    return PW_TEST_RUN(cases);
}

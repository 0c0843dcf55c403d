/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Listening, starting, stopping, freeing: in every order, with connections open, and from inside
 * of on_event what is allowed there. No descriptor and no thread is left behind.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct pywatt_orchestrator *new_orchestrator(void)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    pywatt_orchestrator_options_init(&options);
    options.workers = 2;
    assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, NULL), PYWATT_OK);
    return orchestrator;
}

struct threads {
    size_t count;
};

static bool has_threads(void *user)
{
    return pw_test_threads() == ((const struct threads *)user)->count;
}

static void await_threads(size_t count)
{
    struct threads wanted = {.count = count};
    assert_true(pw_test_wait_until(has_threads, &wanted, 20000));
}

static void may_be_freed_in_every_state(void **state)
{
    (void)state;
    /* A tool may start a thread of its own when the first one of ours starts. */
    struct pywatt_orchestrator *first = new_orchestrator();
    assert_int_equal(pywatt_orchestrator_start(first, NULL), PYWATT_OK);
    pywatt_orchestrator_free(first);
    const size_t fds = pw_test_open_fds();
    const size_t threads = pw_test_threads();
    for (int step = 0; step < 5; step++) {
        struct pywatt_orchestrator *orchestrator = new_orchestrator();
        if (step > 0) {
            assert_int_equal(
                pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", NULL, 0, NULL),
                PYWATT_OK);
        }
        if (step > 1) {
            assert_int_equal(pywatt_orchestrator_start(orchestrator, NULL), PYWATT_OK);
        }
        if (step > 2) {
            pywatt_orchestrator_stop(orchestrator);
        }
        if (step > 3) {
            pywatt_orchestrator_stop(orchestrator);
        }
        pywatt_orchestrator_free(orchestrator);
        assert_int_equal(pw_test_open_fds(), fds);
        await_threads(threads);
    }
}

static void stops_with_connections_open(void **state)
{
    (void)state;
    const size_t fds = pw_test_open_fds();
    const size_t threads = pw_test_threads();
    struct world world;
    struct peer peers[50];
    struct identity who[50];
    world_begin(&world);
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        world_peer(&world, &peers[i], i % 2 == 0 ? "json" : "protobuf");
        assert_int_equal(peer_register(&peers[i], name, &who[i]), PYWATT_OK);
    }
    pywatt_orchestrator_stop(world.orchestrator);
    for (int i = 0; i < 50; i++) {
        assert_true(peer_is_closed_by_other(&peers[i]));
        peer_close(&peers[i]);
    }
    /* What it knew is there still; and that it closed the connections itself is no suspicion. */
    assert_int_equal(world_stats(&world).modules, 50);
    assert_int_equal(world_stats(&world).connections, 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(world_liveness(&world, &who[i].id), PYWATT_ALIVE);
    }
    assert_int_equal(world_count_events(&world, PYWATT_EVENT_LIVENESS, NULL), 0);
    assert_int_equal(world_count_events(&world, PYWATT_EVENT_REGISTERED, NULL), 50);
    world_stop(&world);
    assert_int_equal(pw_test_open_fds(), fds);
    await_threads(threads);
}

static void what_has_arrived_is_answered_before_it_stops(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct world world;
        struct peer peer;
        struct identity who;
        world_begin(&world);
        world_peer(&world, &peer, "protobuf");
        assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
        for (int i = 0; i < 500; i++) {
            struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
            assert_true(peer_send(&peer, &beat));
        }
        pywatt_orchestrator_stop(world.orchestrator);
        for (int i = 0; i < 500; i++) {
            assert_true(peer_receive(&peer));
            assert_true(peer.response.success);
        }
        assert_true(peer_is_closed_by_other(&peer));
        peer_close(&peer);
        world_stop(&world);
    }
}

static void a_peer_that_does_not_read_does_not_hold_up_the_end(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.hooks.stop_timeout_ms = 50;
    world_start(&world);
    assert_true(peer_open(&peer, world.memory_url, "json"));
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    /* As many as it can take: then it waits for the peer to read. */
    struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
    assert_true(peer_send(&peer, &beat));
    struct iovec piece = {.iov_base = peer.out.data + peer.out.start,
                          .iov_len = pw_buffer_len(&peer.out)};
    size_t sent = 0;
    int full = 0;
    const int64_t deadline_ns = pw_test_deadline_ns(20000);
    while (full < 200 && pw_test_now_ns() < deadline_ns) {
        full = pw_conn_send(peer.conn, &piece, 1, &sent, NULL) == PW_IO_OK ? 0 : full + 1;
        if (full > 0) {
            usleep(200);
        }
    }
    pywatt_orchestrator_stop(world.orchestrator);
    peer_close(&peer);
    world_stop(&world);
}

static void is_started_once(void **state)
{
    (void)state;
    struct pywatt_error error;
    struct pywatt_orchestrator *orchestrator = new_orchestrator();
    assert_int_equal(pywatt_orchestrator_start(orchestrator, &error), PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_start(orchestrator, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "started already"));
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", NULL, 0, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "tcp://127.0.0.1:0"));
    pywatt_orchestrator_stop(orchestrator);
    assert_int_equal(pywatt_orchestrator_start(orchestrator, &error), PYWATT_INVALID_ARGUMENT);
    pywatt_orchestrator_free(orchestrator);
}

static void says_why_it_cannot_listen(void **state)
{
    (void)state;
    struct pywatt_error error;
    char bound[128];
    char small[12];
    struct pywatt_orchestrator *orchestrator = new_orchestrator();
    struct pywatt_orchestrator *other = new_orchestrator();
    assert_int_equal(
        pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", bound, sizeof(bound), &error),
        PYWATT_OK);
    assert_int_equal(strncmp(bound, "tcp://127.0.0.1:", 16), 0);
    assert_true(strtol(bound + 16, NULL, 10) > 0);
    assert_int_equal(pywatt_orchestrator_listen(other, bound, NULL, 0, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, bound));
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "pigeon://loft:7", NULL, 0, &error),
                     PYWATT_UNSUPPORTED);
    assert_non_null(strstr(error.text, "pigeon"));
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1", NULL, 0, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(
        pywatt_orchestrator_listen(orchestrator, "unix:/no/such/folder/s", NULL, 0, &error),
        PYWATT_IO);
    assert_non_null(strstr(error.text, "/no/such/folder/s"));
    assert_int_equal(
        pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", small, sizeof(small), &error),
        PYWATT_OK);
    assert_string_equal(small, "tcp://127.0");
    pywatt_orchestrator_free(other);
    pywatt_orchestrator_free(orchestrator);
}

static void says_why_it_cannot_start(void **state)
{
    (void)state;
    struct pywatt_orchestrator *orchestrator = new_orchestrator();
    struct pywatt_error error = {.text = ""};
    struct rlimit limit;
    char url[128];
    assert_int_equal(
        pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", url, sizeof(url), NULL),
        PYWATT_OK);
    /* No descriptor is left for the workers. */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const enum pywatt_status status = pywatt_orchestrator_start(orchestrator, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(status, PYWATT_IO);
    assert_int_equal(error.status, PYWATT_IO);
    assert_non_null(strstr(error.text, url));
    assert_non_null(strstr(error.text, "descriptors"));
    assert_int_equal(pywatt_orchestrator_start(orchestrator, NULL), PYWATT_INVALID_ARGUMENT);
    pywatt_orchestrator_free(orchestrator);
}

static void there_may_be_only_so_many_listeners(void **state)
{
    (void)state;
    struct pywatt_error error;
    struct pywatt_orchestrator *orchestrator = new_orchestrator();
    for (int i = 0; i < PW_LISTENERS_MAX; i++) {
        char url[32];
        snprintf(url, sizeof(url), "memory:many-%d", i);
        assert_int_equal(pywatt_orchestrator_listen(orchestrator, url, NULL, 0, &error), PYWATT_OK);
    }
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "memory:more", NULL, 0, &error),
                     PYWATT_INVALID_ARGUMENT);
    pywatt_orchestrator_free(orchestrator);
}

static void serves_every_transport_at_once(void **state)
{
    (void)state;
    char *folder = pw_test_temp_dir();
    char unix_url[128];
    struct peer peers[3];
    struct identity who;
    char tcp_url[128];
    struct pywatt_orchestrator *orchestrator = new_orchestrator();
    snprintf(unix_url, sizeof(unix_url), "unix:%s/socket", folder);
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, unix_url, NULL, 0, NULL), PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", tcp_url,
                                                sizeof(tcp_url), NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "memory:three", NULL, 0, NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_start(orchestrator, NULL), PYWATT_OK);
    const char *const urls[] = {unix_url, tcp_url, "memory:three"};
    for (int i = 0; i < 3; i++) {
        assert_true(peer_open(&peers[i], urls[i], "json"));
        assert_int_equal(peer_register(&peers[i], urls[i], &who), PYWATT_OK);
        assert_string_equal(who.host, "127.0.0.1");
        assert_int_equal(who.port, strtol(strrchr(tcp_url, ':') + 1, NULL, 10));
    }
    for (int i = 0; i < 3; i++) {
        peer_close(&peers[i]);
    }
    pywatt_orchestrator_free(orchestrator);
    free(folder);
}

/* ---- Inside of on_event ---- */

struct nosy {
    struct pywatt_orchestrator *orchestrator;
    unsigned events;
    bool good;
};

static bool see(void *user, const struct pywatt_module_view *view)
{
    (void)view;
    ++*(unsigned *)user;
    return true;
}

static void look_around(void *user, const struct pywatt_event *event)
{
    struct nosy *nosy = user;
    struct pywatt_module_view *view = NULL;
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
    unsigned seen = 0;
    nosy->events++;
    nosy->good =
        nosy->good &&
        pywatt_orchestrator_find(nosy->orchestrator, &event->module_id, &view) == PYWATT_OK &&
        pywatt_orchestrator_for_each(nosy->orchestrator, see, &seen) == PYWATT_OK && seen == 1 &&
        pywatt_orchestrator_get_stats(nosy->orchestrator, &stats) == PYWATT_OK &&
        pywatt_orchestrator_set_verdict(nosy->orchestrator, &event->module_id, PYWATT_DEGRADED) ==
            PYWATT_OK &&
        pywatt_orchestrator_listen(nosy->orchestrator, "tcp://127.0.0.1:0", NULL, 0, NULL) ==
            PYWATT_INVALID_ARGUMENT &&
        pywatt_orchestrator_start(nosy->orchestrator, NULL) == PYWATT_INVALID_ARGUMENT;
    pywatt_module_view_free(view);
}

static void on_event_may_call_in(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct nosy nosy = {.good = true};
    world_prepare(&world);
    world.options.on_event = look_around;
    world.options.event_user = &nosy;
    assert_int_equal(pw_orchestrator_new(&world.options, NULL, NULL, &nosy.orchestrator, NULL),
                     PYWATT_OK);
    world.orchestrator = nosy.orchestrator;
    assert_int_equal(pywatt_orchestrator_listen(nosy.orchestrator, "tcp://127.0.0.1:0", world.url,
                                                sizeof(world.url), NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_start(nosy.orchestrator, NULL), PYWATT_OK);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(peer_beat(&peer, &who, (enum pywatt_health)(i % 2)), PYWATT_OK);
    }
    /* While the events that are left are told. */
    pywatt_orchestrator_stop(nosy.orchestrator);
    assert_true(nosy.good);
    assert_int_equal(nosy.events, 200);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(may_be_freed_in_every_state),
        cmocka_unit_test(stops_with_connections_open),
        cmocka_unit_test(what_has_arrived_is_answered_before_it_stops),
        cmocka_unit_test(a_peer_that_does_not_read_does_not_hold_up_the_end),
        cmocka_unit_test(is_started_once),
        cmocka_unit_test(says_why_it_cannot_listen),
        cmocka_unit_test(says_why_it_cannot_start),
        cmocka_unit_test(there_may_be_only_so_many_listeners),
        cmocka_unit_test(serves_every_transport_at_once),
        cmocka_unit_test(on_event_may_call_in),
    };
    return PW_TEST_RUN(cases);
}

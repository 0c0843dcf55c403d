/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handshakes begin at their pace, and who waits for his gets in; also while system calls fail. */
#include "tls/pace.h"
#include "transport/tls.h"

#include "scene.h"

#include <arpa/inet.h>
#include <call_fail.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS ((uint64_t)1000000)

static void lets_a_tenth_of_a_second_begin_at_once_and_then_one_by_one(void **state)
{
    (void)state;
    struct pw_tls_pace pace;
    const uint64_t now_ns = 1000 * MS;
    pw_tls_pace_init(&pace, 100); /* ten at once, then one each 10 ms */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pw_tls_pace_take(&pace, now_ns), 0);
    }
    assert_int_equal(pw_tls_pace_take(&pace, now_ns), 10 * MS);
    assert_int_equal(pw_tls_pace_take(&pace, now_ns + 4 * MS), 6 * MS);
    assert_int_equal(pw_tls_pace_take(&pace, now_ns + 10 * MS), 0);
    assert_int_equal(pw_tls_pace_take(&pace, now_ns + 10 * MS), 10 * MS);
    pw_tls_pace_give_back(&pace);
    assert_int_equal(pw_tls_pace_take(&pace, now_ns + 10 * MS), 0);
    /* What nobody took is not saved up beyond that. */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pw_tls_pace_take(&pace, now_ns + 9000 * MS), 0);
    }
    assert_int_equal(pw_tls_pace_take(&pace, now_ns + 9000 * MS), 10 * MS);
}

static void a_slow_pace_lets_one_begin_at_a_time(void **state)
{
    (void)state;
    struct pw_tls_pace pace;
    pw_tls_pace_init(&pace, 2);
    assert_int_equal(pw_tls_pace_take(&pace, 1000 * MS), 0);
    assert_int_equal(pw_tls_pace_take(&pace, 1000 * MS), 500 * MS);
    assert_int_equal(pw_tls_pace_take(&pace, 1500 * MS), 0);
}

static void no_pace_lets_everybody_begin(void **state)
{
    (void)state;
    struct pw_tls_pace pace;
    pw_tls_pace_init(&pace, 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pw_tls_pace_take(&pace, 0), 0);
    }
    pw_tls_pace_give_back(&pace);
    assert_int_equal(pw_tls_pace_take(&pace, 0), 0);
}

enum {
    CLIENTS_MAX = 40,
    PATIENCE_MS = 20000
};

/* Under the tools a handshake takes its time anyhow. */
static unsigned client_count(void)
{
    return pw_test_slow_factor() == 1 ? CLIENTS_MAX : 8;
}

struct crowd {
    struct pywatt_client *clients[CLIENTS_MAX];
    struct pywatt_module *modules[CLIENTS_MAX];
    struct pywatt_uuid ids[CLIENTS_MAX];
    uint64_t answered[CLIENTS_MAX]; /* before the restart */
};

static bool all_beat(void *user)
{
    struct crowd *const crowd = user;
    for (unsigned i = 0; i < client_count(); i++) {
        if (client_stats(crowd->clients[i]).beats_answered == 0) {
            return false;
        }
    }
    return true;
}

static void open_all(struct crowd *crowd, const struct host *host, struct pywatt_tls *tls)
{
    for (unsigned i = 0; i < client_count(); i++) {
        struct pywatt_client_options options;
        char name[32];
        snprintf(name, sizeof(name), "%u.floor2", i);
        client_options(&options, host->url, i % 2 == 0 ? "json" : "protobuf");
        options.tls = tls;
        options.reconnect_spread_ms = 0;
        crowd->clients[i] = client_open_with(&options);
        crowd->modules[i] = client_register(crowd->clients[i], name);
        crowd->ids[i] = *pywatt_module_id(crowd->modules[i]);
    }
}

static bool all_are_back(void *user)
{
    struct crowd *const crowd = user;
    for (unsigned i = 0; i < client_count(); i++) {
        const struct pywatt_client_stats stats = client_stats(crowd->clients[i]);
        if (stats.connects < 2 || stats.beats_answered <= crowd->answered[i]) {
            return false;
        }
    }
    return true;
}

/* As who they were, with what they had. */
static void expect_the_same(struct crowd *crowd, struct host *host)
{
    for (unsigned i = 0; i < client_count(); i++) {
        struct pywatt_module_view *view = NULL;
        assert_int_equal(client_stats(crowd->clients[i]).reregistrations, 0);
        assert_true(pywatt_uuid_equal(pywatt_module_id(crowd->modules[i]), &crowd->ids[i]));
        assert_int_equal(pywatt_orchestrator_find(host->orchestrator, &crowd->ids[i], &view),
                         PYWATT_OK);
        assert_int_equal(pywatt_module_view_generation(view), 1);
        pywatt_module_view_free(view);
    }
    assert_int_equal(host_stats(host).modules, client_count());
    assert_int_equal(host_stats(host).modules_lost, 0);
}

static void leave(struct crowd *crowd)
{
    for (unsigned i = 0; i < client_count(); i++) {
        pywatt_module_free(crowd->modules[i]);
        pywatt_client_free(crowd->clients[i]);
    }
}

/* It knows everybody from its store, but resumes no session that is older than itself. */
static void everybody_comes_back_to_one_that_has_started_again(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct crowd crowd;
    struct host host;
    char store[256];
    char *const folder = pw_test_temp_dir();
    snprintf(store, sizeof(store), "sqlite:%s/store.db", folder);
    struct pywatt_tls *const tls = scene_host_init(&host, 0);
    struct pywatt_tls *const first = host.options.tls;
    host.options.store = store;
    host.options.lease_ms = 3600000; /* a slow machine costs nobody his */
    host_start(&host);
    open_all(&crowd, &host, tls);
    for (unsigned i = 0; i < client_count(); i++) {
        assert_int_equal(pywatt_start_heartbeat_loop(crowd.modules[i], 20, NULL, NULL, NULL, NULL),
                         PYWATT_OK);
    }
    assert_true(pw_test_wait_until(all_beat, &crowd, PATIENCE_MS));
    host_stop(&host);
    for (unsigned i = 0; i < client_count(); i++) {
        crowd.answered[i] = client_stats(crowd.clients[i]).beats_answered;
    }
    scene_server_options(&options);
    scene_ask(&options);
    options.handshakes_per_s = client_count() * 5; /* half of them at once, the others wait */
    host.options.tls = scene_server(&options);
    host_start(&host);
    assert_true(pw_test_wait_until(all_are_back, &crowd, PATIENCE_MS));
    expect_the_same(&crowd, &host);
    assert_true(scene_stats(host.options.tls).handshakes >= client_count());
    leave(&crowd);
    pywatt_tls_free(tls);
    pywatt_tls_free(first);
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
    free(folder);
}

static void who_comes_too_soon_waits_to_be_accepted(void **state)
{
    (void)state;
    enum {
        N = 6
    };
    struct pywatt_tls_options options;
    struct host host;
    int fds[N];
    scene_server_options(&options);
    options.handshakes_per_s = 20; /* two at once */
    scene_host(&host, &options);
    const int64_t began_ns = pw_test_now_ns();
    for (int i = 0; i < N; i++) {
        fds[i] = scene_dial(&host);
    }
    scene_await_connections(&host, N);
    /* Four of them one after the other, 50 ms apart; clocks are not compared more closely than that. */
    assert_true(pw_test_now_ns() - began_ns >= 150 * (int64_t)MS);
    assert_true(scene_stats(host.options.tls).paced >= 1);
    /* When nobody waits any more, who comes is accepted as before. */
    scene_client_options(&options);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    for (int i = 0; i < N; i++) {
        close(fds[i]);
    }
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

/* A listener that nobody polls but we; `place` gets its URL. */
static struct pw_listener *listen_alone(struct pywatt_tls *tls, struct host *place)
{
    struct pw_endpoint endpoint;
    struct pw_listener *listener = NULL;
    assert_int_equal(pw_endpoint_parse("tls://127.0.0.1:0", true, &endpoint, NULL), PYWATT_OK);
    assert_int_equal(pw_endpoint_secure(&endpoint, true, tls, NULL), PYWATT_OK);
    assert_int_equal(pw_transport_listen(&endpoint, &listener, NULL), PYWATT_OK);
    pw_listener_url(listener, place->url, sizeof(place->url));
    return listener;
}

/* Whose place in the queue is worth nothing any more takes none from those who wait. */
static void who_has_gone_is_passed_over_and_uses_nothing_up(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct host place = {.orchestrator = NULL};
    scene_server_options(&options);
    options.handshakes_per_s = 1;
    struct pywatt_tls *const tls = scene_server(&options);
    struct pw_listener *const listener = listen_alone(tls, &place);
    struct pollfd item = {.fd = pw_listener_fd(listener), .events = POLLIN};
    struct pw_conn *conn = NULL;
    char expected[64];
    char peer[64];
    for (unsigned i = 0; i < 6; i++) {
        close(scene_dial(&place));
    }
    const int fd = scene_dial(&place);
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(address.sin_port));
    assert_true(poll(&item, 1, PATIENCE_MS) == 1);
    assert_int_equal(pw_listener_accept(listener, &conn, NULL), PW_IO_OK);
    pw_conn_peer_name(conn, peer, sizeof(peer));
    assert_string_equal(peer, expected);
    pw_conn_destroy(conn);
    close(fd);
    pw_listener_destroy(listener);
    pywatt_tls_free(tls);
}

/* Whatever a system call says for once: the place in the queue is kept, and worth a handshake. */
static void a_call_that_fails_uses_nothing_up(void **state)
{
    (void)state;
    static const struct {
        enum call call;
        int number;
        enum pw_io result;
    } faults[] = {
        {CALL_ACCEPT4, EMFILE, PW_IO_ERROR}, {CALL_ACCEPT4, ENFILE, PW_IO_ERROR},
        {CALL_ACCEPT4, ENOMEM, PW_IO_ERROR}, {CALL_ACCEPT4, EAGAIN, PW_IO_AGAIN},
        {CALL_ACCEPT4, EINTR, PW_IO_OK},     {CALL_POLL, EINTR, PW_IO_OK},
        {CALL_POLL, ENOMEM, PW_IO_OK},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct pywatt_tls_options options;
        struct host place = {.orchestrator = NULL};
        struct pw_conn *conn = NULL;
        scene_server_options(&options);
        options.handshakes_per_s = 1;
        struct pywatt_tls *const tls = scene_server(&options);
        struct pw_listener *const listener = listen_alone(tls, &place);
        struct pollfd item = {.fd = pw_listener_fd(listener), .events = POLLIN};
        const int fd = scene_dial(&place);
        assert_true(poll(&item, 1, PATIENCE_MS) == 1);
        call_fail_at(faults[i].call, 1, faults[i].number);
        enum pw_io result = pw_listener_accept(listener, &conn, NULL);
        assert_true(call_fail_disarm());
        assert_int_equal(result, faults[i].result);
        if (result != PW_IO_OK) {
            assert_true(poll(&item, 1, 0) == 1);
            result = pw_listener_accept(listener, &conn, NULL);
        }
        assert_int_equal(result, PW_IO_OK);
        pw_conn_destroy(conn);
        close(fd);
        pw_listener_destroy(listener);
        pywatt_tls_free(tls);
    }
}

/* What is polled at a listener says when to accept, also after a pause. */
static void a_listener_is_polled_for_as_before_when_its_pause_is_over(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct host place = {.orchestrator = NULL};
    scene_server_options(&options);
    options.handshakes_per_s = 20; /* two at once */
    struct pywatt_tls *const tls = scene_server(&options);
    struct pw_listener *const listener = listen_alone(tls, &place);
    struct pollfd item = {.fd = pw_listener_fd(listener), .events = POLLIN};
    unsigned accepted = 0;
    int fds[4];
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = scene_dial(&place);
    }
    /* Until nobody is left; a machine that is not too slow has paused it meanwhile. */
    while (accepted < 4 || poll(&item, 1, 0) == 1) {
        struct pw_conn *conn = NULL;
        assert_true(accepted == 4 || poll(&item, 1, PATIENCE_MS) == 1);
        if (pw_listener_accept(listener, &conn, NULL) == PW_IO_OK) {
            accepted++;
            pw_conn_destroy(conn);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        close(fds[i]);
    }
    const int fd = scene_dial(&place);
    struct pw_conn *conn = NULL;
    do {
        assert_true(poll(&item, 1, PATIENCE_MS) == 1);
    } while (pw_listener_accept(listener, &conn, NULL) == PW_IO_AGAIN);
    assert_non_null(conn);
    pw_conn_destroy(conn);
    close(fd);
    pw_listener_destroy(listener);
    pywatt_tls_free(tls);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(lets_a_tenth_of_a_second_begin_at_once_and_then_one_by_one),
        cmocka_unit_test(a_slow_pace_lets_one_begin_at_a_time),
        cmocka_unit_test(no_pace_lets_everybody_begin),
        cmocka_unit_test(everybody_comes_back_to_one_that_has_started_again),
        cmocka_unit_test(who_comes_too_soon_waits_to_be_accepted),
        cmocka_unit_test(who_has_gone_is_passed_over_and_uses_nothing_up),
        cmocka_unit_test(a_call_that_fails_uses_nothing_up),
        cmocka_unit_test(a_listener_is_polled_for_as_before_when_its_pause_is_over),
    };
    return pw_test_run("pace", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

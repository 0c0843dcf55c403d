/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every transport must do with bytes, as transport.h promises it: what is sent arrives, in order,
 * whole, however full the buffers are, until either side ends it.
 */
#include "places.h"

#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* Bytes that do not repeat where a buffer ends. */
#define PERIOD 65521

static uint8_t pattern[PERIOD];

static void fill_pattern(void)
{
    for (size_t i = 0; i < PERIOD; i++) {
        pattern[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    }
}

static void echoes_what_is_sent(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    char answer[5];
    net_pair(listener, &client, &server);
    net_send(client, "hello", 5);
    net_receive(server, answer, 5);
    net_send(server, answer, 5);
    memset(answer, 0, sizeof(answer));
    net_receive(client, answer, 5);
    assert_memory_equal(answer, "hello", 5);
    assert_false(pw_conn_buffered(client));
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

/* One end of a transfer both ways, driven without blocking. */
struct end {
    struct pw_conn *conn;
    size_t sent;
    size_t got;
    size_t to_send;
    size_t to_get;
    bool in_pieces;
};

/* Sends what fits of the pattern. */
static enum pw_io send_pattern(struct end *end)
{
    const size_t at = end->sent % PERIOD;
    const size_t left = end->to_send - end->sent;
    const size_t first = left < PERIOD - at ? left : PERIOD - at;
    const struct iovec pieces[] = {{pattern + at, first},
                                   {pattern, left - first < PERIOD ? left - first : PERIOD}};
    size_t moved = 0;
    const enum pw_io result = pw_conn_send(end->conn, pieces, end->in_pieces ? 2 : 1, &moved, NULL);
    assert_true(result == PW_IO_OK || result == PW_IO_AGAIN);
    end->sent += moved;
    return result;
}

static void receive_pattern(struct end *end)
{
    static uint8_t in[PERIOD];
    const size_t at = end->got % PERIOD;
    size_t moved = 0;
    const enum pw_io result = pw_conn_receive(end->conn, in, PERIOD - at, &moved, NULL);
    assert_true(result == PW_IO_OK || result == PW_IO_AGAIN);
    assert_true(memcmp(in, pattern + at, moved) == 0);
    end->got += moved;
}

/* One step in each direction that is open; what to wait for then, 0 if all is done. */
static short step(struct end *end)
{
    if (end->sent < end->to_send) {
        (void)send_pattern(end);
    }
    if (end->got < end->to_get) {
        receive_pattern(end);
    }
    return (short)((end->sent < end->to_send ? POLLOUT : 0) |
                   (end->got < end->to_get ? POLLIN : 0));
}

static void fill_up(struct end *end)
{
    end->to_send = SIZE_MAX;
    while (send_pattern(end) == PW_IO_OK) {
    }
    end->to_send = end->sent + ((size_t)4 << 20);
    end->in_pieces = true; /* the first of which found no room before */
}

static void carries_much_both_ways_through_full_buffers(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct end a = {.sent = 0};
    struct end b = {.sent = 0};
    net_pair(listener, &a.conn, &b.conn);
    fill_up(&a);
    fill_up(&b);
    a.to_get = b.to_send;
    b.to_get = a.to_send;
    for (;;) {
        const short a_wants = step(&a);
        const short b_wants = step(&b);
        if (a_wants == 0 && b_wants == 0) {
            break;
        }
        struct pollfd fds[] = {{pw_conn_fd(a.conn), pw_conn_poll_events(a.conn, a_wants), 0},
                               {pw_conn_fd(b.conn), pw_conn_poll_events(b.conn, b_wants), 0}};
        assert_true(poll(fds, 2, NET_PATIENCE_MS) > 0);
    }
    pw_conn_destroy(a.conn);
    pw_conn_destroy(b.conn);
    pw_listener_destroy(listener);
}

static void sends_pieces_in_order(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    char one[] = "one";
    char two[] = "twotwo";
    const struct iovec pieces[] = {{one, 3}, {one, 0}, {two, 6}, {NULL, 0}, {one, 3}};
    for (int i = 0; i < 5;) {
        size_t sent = 0;
        assert_int_equal(pw_conn_send(client, pieces + i, 5 - i, &sent, NULL), PW_IO_OK);
        while (i < 5 && sent >= pieces[i].iov_len) {
            sent -= pieces[i++].iov_len;
        }
        assert_int_equal(sent, 0);
    }
    char got[12];
    net_receive(server, got, sizeof(got));
    assert_memory_equal(got, "onetwotwoone", 12);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void takes_more_pieces_than_the_kernel_does_at_once(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    enum {
        N = 3000
    };
    static struct iovec pieces[N];
    for (size_t i = 0; i < N; i++) {
        pieces[i] = (struct iovec){&pattern[i], 1};
    }
    size_t done = 0;
    while (done < N) {
        size_t sent = 0;
        assert_int_equal(pw_conn_send(client, pieces + done, (int)(N - done), &sent, NULL),
                         PW_IO_OK);
        done += sent;
    }
    char got[N];
    net_receive(server, got, N);
    assert_memory_equal(got, pattern, N);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void says_again_when_nothing_is_there(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *nobody = NULL;
    assert_int_equal(net_ready(pw_listener_fd(listener), POLLIN), 0);
    assert_int_equal(pw_listener_accept(listener, &nobody, NULL), PW_IO_AGAIN);
    assert_null(nobody);

    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    assert_int_equal(net_ready(pw_listener_fd(listener), POLLIN), 0);
    assert_int_equal(pw_listener_accept(listener, &nobody, NULL), PW_IO_AGAIN);

    uint8_t byte;
    size_t got = 1;
    assert_int_equal(pw_conn_receive(client, &byte, 1, &got, NULL), PW_IO_AGAIN);
    assert_int_equal(got, 0);
    assert_int_equal(net_ready(pw_conn_fd(client), pw_conn_poll_events(client, POLLIN)), 0);
    assert_true(net_ready(pw_conn_fd(client), pw_conn_poll_events(client, POLLOUT)) == POLLOUT);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

struct patient {
    struct pw_conn *conn;
    atomic_bool waits;
    enum pw_io result;
};

static void *receive_patiently(void *user)
{
    struct patient *patient = user;
    uint8_t byte;
    size_t got = 0;
    do {
        atomic_store(&patient->waits, true);
        patient->result = pw_conn_receive_patiently(patient->conn, &byte, 1, &got, NULL);
    } while (patient->result == PW_IO_AGAIN);
    return NULL;
}

static void who_is_patient_waits_a_little(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    uint8_t byte = 0;
    size_t got = 1;
    net_pair(listener, &client, &server);
    assert_true(pw_conn_may_wait(client));
    const int64_t before_ns = pw_test_now_ns();
    assert_int_equal(pw_conn_receive_patiently(client, &byte, 1, &got, NULL), PW_IO_AGAIN);
    assert_int_equal(got, 0);
    assert_true(pw_test_now_ns() - before_ns >= PW_PATIENCE_MS * 500000);
    net_send(server, "x", 1);
    assert_int_equal(pw_conn_receive_patiently(client, &byte, 1, &got, NULL), PW_IO_OK);
    assert_int_equal(byte, 'x');
    /* What comes, and the end, wake it. */
    for (int end = 0; end < 2; end++) {
        struct patient patient = {.conn = client};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, receive_patiently, &patient), 0);
        while (!atomic_load(&patient.waits)) {
            sched_yield();
        }
        if (end) {
            pw_conn_shutdown(client);
        } else {
            net_send(server, "y", 1);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(patient.result, end ? PW_IO_EOF : PW_IO_OK);
    }
    assert_int_equal(pw_conn_receive_patiently(client, &byte, 1, &got, NULL), PW_IO_EOF);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void has_room_again_after_the_peer_has_read(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    static uint8_t block[65536];
    size_t in_flight = 0;
    size_t moved = 0;
    enum pw_io result;
    while ((result = net_send_some(client, block, sizeof(block), &moved, NULL)) == PW_IO_OK) {
        in_flight += moved;
    }
    assert_int_equal(result, PW_IO_AGAIN);
    assert_int_equal(moved, 0);
    while (in_flight > 0) {
        const size_t len = in_flight < sizeof(block) ? in_flight : sizeof(block);
        net_receive(server, block, len);
        in_flight -= len;
    }
    assert_true((net_wait(pw_conn_fd(client), pw_conn_poll_events(client, POLLOUT)) & POLLOUT) !=
                0);
    assert_int_equal(net_send_some(client, block, sizeof(block), &moved, NULL), PW_IO_OK);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void gives_what_came_before_the_end(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    char got[4];
    net_pair(listener, &client, &server);
    net_send(client, "last", 4);
    pw_conn_shutdown(client);
    net_receive(server, got, 4);
    assert_memory_equal(got, "last", 4);
    net_expect_eof(server);
    net_expect_eof(server);
    net_expect_eof(client);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void ends_when_the_peer_is_destroyed(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    pw_conn_destroy(server);
    net_expect_eof(client);
    pw_conn_destroy(client);
    pw_listener_destroy(listener);
}

static void a_connection_that_was_shut_down_sends_nothing(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    struct pywatt_error error = {.status = PYWATT_OK};
    size_t sent = 1;
    net_pair(listener, &client, &server);
    pw_conn_shutdown(client);
    pw_conn_shutdown(client);
    assert_int_equal(net_send_some(client, "x", 1, &sent, &error), PW_IO_ERROR);
    assert_int_equal(sent, 0);
    assert_int_equal(error.status, PYWATT_IO);
    net_expect_eof(server);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void sending_to_a_closed_peer_is_an_error_and_no_signal(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    char peer[PW_ENDPOINT_URL_MAX];
    pw_conn_peer_name(client, peer, sizeof(peer));
    signal(SIGPIPE, SIG_DFL);
    pw_conn_destroy(server);
    struct pywatt_error error = {.status = PYWATT_OK};
    const struct iovec two[] = {{peer, 1}, {peer, 1}};
    for (int round = 0; round < 2; round++) {
        const uint64_t deadline_ns = net_deadline_ns();
        enum pw_io result;
        size_t sent = 0;
        do {
            result = round == 0 ? net_send_some(client, "x", 1, &sent, &error)
                                : pw_conn_send(client, two, 2, &sent, &error);
            assert_true(pw_clock_now_ns(&pw_clock_monotonic) < deadline_ns);
            (void)net_wait(pw_conn_fd(client), pw_conn_poll_events(client, POLLOUT));
        } while (result == PW_IO_OK || result == PW_IO_AGAIN);
        assert_int_equal(result, PW_IO_ERROR);
        assert_int_equal(error.status, PYWATT_IO);
        net_expect_text(&error, peer);
        net_expect_text(&error, "sending failed: ");
    }
    pw_conn_destroy(client);
    pw_listener_destroy(listener);
}

struct poller {
    struct pw_conn *conn;
    atomic_int tid;
    short events;
    enum pw_io result;
};

static void *poller_main(void *arg)
{
    struct poller *const poller = arg;
    uint8_t byte;
    size_t got;
    atomic_store(&poller->tid, gettid());
    poller->events = net_wait(pw_conn_fd(poller->conn), pw_conn_poll_events(poller->conn, POLLIN));
    poller->result = pw_conn_receive(poller->conn, &byte, 1, &got, NULL);
    return NULL;
}

static void shutdown_from_another_thread_wakes_a_poller(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    struct poller poller = {.result = PW_IO_OK};
    struct pw_conn *server;
    pthread_t thread;
    net_pair(listener, &poller.conn, &server);
    assert_int_equal(pthread_create(&thread, NULL, poller_main, &poller), 0);
    const bool sleeps = pw_test_wait_until(net_thread_sleeps, &poller.tid, NET_PATIENCE_MS);
    pw_conn_shutdown(poller.conn);
    pthread_join(thread, NULL);
    assert_true(sleeps);
    assert_true(poller.events != 0);
    assert_int_equal(poller.result, PW_IO_EOF);
    pw_conn_destroy(poller.conn);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

/* A thread that moves `len` bytes in one direction, and tells how many were right. */
struct mover {
    struct pw_conn *conn;
    size_t len;
    size_t done;
};

static void *sender_main(void *arg)
{
    struct mover *const mover = arg;
    uint8_t block[4096];
    while (mover->done < mover->len) {
        for (size_t i = 0; i < sizeof(block); i++) {
            block[i] = (uint8_t)(mover->done + i);
        }
        size_t moved = 0;
        const enum pw_io result = net_send_some(mover->conn, block, sizeof(block), &moved, NULL);
        if (result == PW_IO_ERROR ||
            (result == PW_IO_AGAIN &&
             net_wait(pw_conn_fd(mover->conn), pw_conn_poll_events(mover->conn, POLLOUT)) == 0)) {
            break;
        }
        mover->done += moved;
    }
    return NULL;
}

static void *receiver_main(void *arg)
{
    struct mover *const mover = arg;
    uint8_t block[4096];
    while (mover->done < mover->len) {
        size_t moved = 0;
        const enum pw_io result = pw_conn_receive(mover->conn, block, sizeof(block), &moved, NULL);
        if (result == PW_IO_AGAIN) {
            if (net_wait(pw_conn_fd(mover->conn), pw_conn_poll_events(mover->conn, POLLIN)) == 0) {
                break;
            }
            continue;
        }
        if (result != PW_IO_OK) {
            break;
        }
        for (size_t i = 0; i < moved; i++) {
            if (block[i] != (uint8_t)(mover->done + i)) {
                return NULL;
            }
        }
        mover->done += moved;
    }
    return NULL;
}

static void sends_and_receives_in_two_threads_at_once(void **state)
{
    struct pw_listener *const listener = place_listen(state);
    const size_t len = (size_t)1 << 20;
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    struct mover movers[] = {
        {client, len, 0}, {server, len, 0}, {server, len, 0}, {client, len, 0}};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, i % 2 == 0 ? sender_main : receiver_main, &movers[i]),
            0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(movers[i].done, len);
    }
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(echoes_what_is_sent),
    cmocka_unit_test(carries_much_both_ways_through_full_buffers),
    cmocka_unit_test(sends_pieces_in_order),
    cmocka_unit_test(takes_more_pieces_than_the_kernel_does_at_once),
    cmocka_unit_test(says_again_when_nothing_is_there),
    cmocka_unit_test(who_is_patient_waits_a_little),
    cmocka_unit_test(has_room_again_after_the_peer_has_read),
    cmocka_unit_test(gives_what_came_before_the_end),
    cmocka_unit_test(ends_when_the_peer_is_destroyed),
    cmocka_unit_test(a_connection_that_was_shut_down_sends_nothing),
    cmocka_unit_test(sending_to_a_closed_peer_is_an_error_and_no_signal),
    cmocka_unit_test(shutdown_from_another_thread_wakes_a_poller),
    cmocka_unit_test(sends_and_receives_in_two_threads_at_once),
};

int main(void)
{
    fill_pattern();
    return places_run("carrying", cases, sizeof(cases) / sizeof(cases[0]));
}

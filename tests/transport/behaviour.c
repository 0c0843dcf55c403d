/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every transport must do, as transport.h promises it: each case runs over each place of the
 * list below. A new transport adds its line there.
 */
#include "net.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct place {
    const char *scheme;
    char url[PW_ENDPOINT_URL_MAX];
    const char *client_sees; /* how the client's name of its peer begins */
    const char *server_sees;
    bool needs_v6;
};

static struct place places[] = {
    {"tcp", "tcp://127.0.0.1:0", "127.0.0.1:", "127.0.0.1:", false},
    {"tcp", "tcp://[::1]:0", "[::1]:", "[::1]:", true},
    {"unix", "unix:", "unix:/", "unix:pid ", false},
    {"unix", "unix:@", "unix:@", "unix:pid ", false},
    {"memory", "memory:behaviour", "memory:behaviour", "memory:behaviour", false},
};
#define N_PLACES (sizeof(places) / sizeof(places[0]))

static struct pw_listener *listen_at_place(void **state)
{
    const struct place *const place = *state;
    if (place->needs_v6 && !net_has_v6()) {
        skip(); /* this machine has no IPv6 */
    }
    return net_listen(place->url);
}

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
    struct pw_listener *const listener = listen_at_place(state);
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
};

/* Sends what fits of the pattern. */
static enum pw_io send_pattern(struct end *end)
{
    const size_t at = end->sent % PERIOD;
    const size_t left = end->to_send - end->sent;
    size_t moved = 0;
    const enum pw_io result = net_send_some(end->conn, pattern + at,
                                            left < PERIOD - at ? left : PERIOD - at, &moved, NULL);
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
}

static void carries_much_both_ways_through_full_buffers(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
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
    struct pw_listener *const listener = listen_at_place(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    char one[] = "one";
    char two[] = "twotwo";
    const struct iovec pieces[] = {{one, 3}, {one, 0}, {two, 6}, {NULL, 0}, {one, 3}};
    size_t sent = 0;
    assert_int_equal(pw_conn_send(client, pieces, 5, &sent, NULL), PW_IO_OK);
    assert_int_equal(sent, 12);
    char got[12];
    net_receive(server, got, sizeof(got));
    assert_memory_equal(got, "onetwotwoone", 12);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void takes_more_pieces_than_the_kernel_does_at_once(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
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
    struct pw_listener *const listener = listen_at_place(state);
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

static void has_room_again_after_the_peer_has_read(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
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
    assert_int_equal(net_send_some(client, block, 1, &moved, NULL), PW_IO_OK);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void gives_what_came_before_the_end(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
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
    struct pw_listener *const listener = listen_at_place(state);
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
    struct pw_listener *const listener = listen_at_place(state);
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
    struct pw_listener *const listener = listen_at_place(state);
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
    struct pw_listener *const listener = listen_at_place(state);
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
    struct pw_listener *const listener = listen_at_place(state);
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

static void connecting_to_nobody_names_the_url_and_the_reason(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    pw_listener_destroy(listener);
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error),
                     PYWATT_CONNECTION);
    assert_null(conn);
    assert_int_equal(error.status, PYWATT_CONNECTION);
    net_expect_text(&error, "cannot connect to ");
    net_expect_text(&error, endpoint.url);
    assert_true(strlen(error.text) > strlen("cannot connect to \"\": ") + strlen(endpoint.url));
    assert_int_equal(pw_transport_connect(&endpoint, PW_DEADLINE_NEVER, -1, &conn, NULL),
                     PYWATT_CONNECTION);
}

static void does_not_connect_after_the_deadline(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    const uint64_t now_ns = pw_clock_now_ns(&pw_clock_monotonic);
    assert_int_equal(pw_transport_connect(&endpoint, now_ns, -1, &conn, &error), PYWATT_TIMEOUT);
    assert_null(conn);
    assert_int_equal(error.status, PYWATT_TIMEOUT);
    net_expect_text(&error, endpoint.url);
    assert_int_equal(pw_listener_accept(listener, &conn, NULL), PW_IO_AGAIN);
    pw_listener_destroy(listener);
}

static void does_not_connect_when_cancelled(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    const int cancel_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), cancel_fd, &conn, &error),
                     PYWATT_OK);
    pw_conn_destroy(conn);
    conn = NULL;
    assert_int_equal(eventfd_write(cancel_fd, 1), 0);
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), cancel_fd, &conn, &error),
                     PYWATT_CLOSED);
    assert_null(conn);
    assert_int_equal(error.status, PYWATT_CLOSED);
    net_expect_text(&error, endpoint.url);
    /* The event is the canceller's, and stays. */
    assert_true(net_ready(cancel_fd, POLLIN) == POLLIN);
    close(cancel_fd);
    pw_listener_destroy(listener);
}

static void serves_many_connections(void **state)
{
    enum {
        N = 200
    };
    struct pw_listener *const listener = listen_at_place(state);
    struct pw_conn *clients[N];
    struct pw_conn *servers[N];
    bool seen[N] = {false};
    for (unsigned i = 0; i < N; i++) {
        clients[i] = net_connect(listener);
        net_send(clients[i], &i, sizeof(i));
    }
    for (unsigned i = 0; i < N; i++) {
        unsigned number = N;
        servers[i] = net_accept(listener);
        net_receive(servers[i], &number, sizeof(number));
        assert_true(number < N && !seen[number]);
        seen[number] = true;
        net_send(servers[i], &number, sizeof(number));
    }
    for (unsigned i = 0; i < N; i++) {
        unsigned number = N;
        net_receive(clients[i], &number, sizeof(number));
        assert_int_equal(number, i);
    }
    for (unsigned i = 0; i < N; i++) {
        pw_conn_destroy(clients[i]);
        pw_conn_destroy(servers[i]);
    }
    pw_listener_destroy(listener);
}

static void connections_that_nobody_accepted_end_with_the_listener(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
    struct pw_conn *const first = net_connect(listener);
    struct pw_conn *const second = net_connect(listener);
    pw_listener_destroy(listener);
    uint8_t byte;
    size_t got;
    assert_true(net_wait(pw_conn_fd(first), pw_conn_poll_events(first, POLLIN)) != 0);
    const enum pw_io result = pw_conn_receive(first, &byte, 1, &got, NULL);
    assert_true(result == PW_IO_EOF || result == PW_IO_ERROR);
    pw_conn_destroy(first);
    pw_conn_destroy(second);
}

static void connections_outlive_their_listener(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
    struct pw_conn *client;
    struct pw_conn *server;
    char got[2];
    net_pair(listener, &client, &server);
    pw_listener_destroy(listener);
    net_send(client, "hi", 2);
    net_receive(server, got, 2);
    assert_memory_equal(got, "hi", 2);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
}

static void one_place_has_one_listener(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
    char url[PW_ENDPOINT_URL_MAX];
    pw_listener_url(listener, url, sizeof(url));
    struct pywatt_error error = {.status = PYWATT_OK};
    net_refused_to_listen(url, &error);
    net_expect_text(&error, "ddress"); /* "address in use", in the system's words or ours */
    net_expect_text(&error, "in use");
    /* The first one did not notice. */
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void listens_again_at_once_where_it_listened_before(void **state)
{
    struct pw_listener *listener = listen_at_place(state);
    char url[PW_ENDPOINT_URL_MAX];
    pw_listener_url(listener, url, sizeof(url));
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    /* The side that ends first keeps the port for a while, over TCP. */
    pw_conn_destroy(server);
    net_expect_eof(client);
    pw_conn_destroy(client);
    pw_listener_destroy(listener);
    listener = net_listen(url);
    net_pair(listener, &client, &server);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void expect_flags(int fd)
{
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void descriptors_do_not_block_and_close_on_exec(void **state)
{
    struct pw_listener *const listener = listen_at_place(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    expect_flags(pw_listener_fd(listener));
    expect_flags(pw_conn_fd(client));
    expect_flags(pw_conn_fd(server));
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void expect_peer(struct pw_conn *conn, const char *beginning)
{
    char name[PW_ENDPOINT_URL_MAX];
    pw_conn_peer_name(conn, name, sizeof(name));
    if (strncmp(name, beginning, strlen(beginning)) != 0) {
        fail_msg("the peer is called %s, not %s...", name, beginning);
    }
    char cut[5];
    pw_conn_peer_name(conn, cut, sizeof(cut));
    assert_int_equal(strlen(cut), 4);
    assert_memory_equal(cut, name, 4);
}

static void names_its_peer_even_when_it_is_gone(void **state)
{
    const struct place *const place = *state;
    struct pw_listener *const listener = listen_at_place(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    expect_peer(client, place->client_sees);
    expect_peer(server, place->server_sees);
    pw_conn_destroy(server);
    net_expect_eof(client);
    expect_peer(client, place->client_sees);
    pw_conn_destroy(client);
    pw_listener_destroy(listener);
}

static void tells_its_local_address_if_it_has_one(void **state)
{
    const struct place *const place = *state;
    struct pw_listener *const listener = listen_at_place(state);
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    struct pw_conn *client;
    struct pw_conn *server;
    struct pw_address address = {.host = "x", .port = 1};
    net_pair(listener, &client, &server);
    pw_conn_local_address(server, &address);
    const bool is_ip = strcmp(place->scheme, "tcp") == 0;
    assert_string_equal(address.host, is_ip ? endpoint.host : "");
    assert_int_equal(address.port, is_ip ? endpoint.port : 0);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

/* Accepts in two threads at once until all have come. */
struct acceptor {
    struct pw_listener *listener;
    atomic_int *accepted;
    int total;
    bool failed;
};

static void *acceptor_main(void *arg)
{
    struct acceptor *const acceptor = arg;
    while (atomic_load(acceptor->accepted) < acceptor->total) {
        struct pw_conn *conn = NULL;
        const enum pw_io result = pw_listener_accept(acceptor->listener, &conn, NULL);
        if (result == PW_IO_OK) {
            atomic_fetch_add(acceptor->accepted, 1);
            pw_conn_destroy(conn);
        } else if (result == PW_IO_ERROR) {
            acceptor->failed = true;
            break;
        } else {
            struct pollfd poll_fd = {.fd = pw_listener_fd(acceptor->listener), .events = POLLIN};
            (void)poll(&poll_fd, 1, 1); /* the other thread may take the last one */
        }
    }
    return NULL;
}

static void several_threads_may_accept(void **state)
{
    enum {
        N = 100
    };
    struct pw_listener *const listener = listen_at_place(state);
    atomic_int accepted = 0;
    struct acceptor acceptors[2];
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        acceptors[i] = (struct acceptor){listener, &accepted, N, false};
        assert_int_equal(pthread_create(&threads[i], NULL, acceptor_main, &acceptors[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pw_conn_destroy(net_connect(listener));
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_false(acceptors[0].failed || acceptors[1].failed);
    assert_int_equal(accepted, N);
    pw_listener_destroy(listener);
}

static void destroying_nothing_does_nothing(void **state)
{
    (void)state;
    pw_conn_destroy(NULL);
    pw_listener_destroy(NULL);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(echoes_what_is_sent),
    cmocka_unit_test(carries_much_both_ways_through_full_buffers),
    cmocka_unit_test(sends_pieces_in_order),
    cmocka_unit_test(takes_more_pieces_than_the_kernel_does_at_once),
    cmocka_unit_test(says_again_when_nothing_is_there),
    cmocka_unit_test(has_room_again_after_the_peer_has_read),
    cmocka_unit_test(gives_what_came_before_the_end),
    cmocka_unit_test(ends_when_the_peer_is_destroyed),
    cmocka_unit_test(a_connection_that_was_shut_down_sends_nothing),
    cmocka_unit_test(sending_to_a_closed_peer_is_an_error_and_no_signal),
    cmocka_unit_test(shutdown_from_another_thread_wakes_a_poller),
    cmocka_unit_test(sends_and_receives_in_two_threads_at_once),
    cmocka_unit_test(connecting_to_nobody_names_the_url_and_the_reason),
    cmocka_unit_test(does_not_connect_after_the_deadline),
    cmocka_unit_test(does_not_connect_when_cancelled),
    cmocka_unit_test(serves_many_connections),
    cmocka_unit_test(connections_that_nobody_accepted_end_with_the_listener),
    cmocka_unit_test(connections_outlive_their_listener),
    cmocka_unit_test(one_place_has_one_listener),
    cmocka_unit_test(listens_again_at_once_where_it_listened_before),
    cmocka_unit_test(descriptors_do_not_block_and_close_on_exec),
    cmocka_unit_test(names_its_peer_even_when_it_is_gone),
    cmocka_unit_test(tells_its_local_address_if_it_has_one),
    cmocka_unit_test(several_threads_may_accept),
    cmocka_unit_test(destroying_nothing_does_nothing),
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static void every_transport_has_a_place_here(void **state)
{
    (void)state;
    for (const struct pw_transport_ops *const *ops = pw_transport_all(); *ops != NULL; ops++) {
        bool found = false;
        for (size_t i = 0; i < N_PLACES; i++) {
            found = found || strcmp(places[i].scheme, (*ops)->scheme) == 0;
        }
        if (!found) {
            fail_msg("no case runs over %s: add it to the list of places", (*ops)->scheme);
        }
    }
}

/* The places that depend on the process. */
static void complete_places(void)
{
    char *const folder = pw_test_temp_dir();
    snprintf(places[2].url, sizeof(places[2].url), "unix:%s/s", folder);
    snprintf(places[3].url, sizeof(places[3].url), "unix:@pywatt-behaviour-%d", (int)getpid());
    free(folder);
}

int main(void)
{
    static struct CMUnitTest all[N_PLACES * N_CASES + 1];
    static char names[N_PLACES * N_CASES][128];
    size_t n = 0;
    complete_places();
    fill_pattern();
    for (size_t p = 0; p < N_PLACES; p++) {
        for (size_t c = 0; c < N_CASES; c++) {
            snprintf(names[n], sizeof(names[n]), "%.40s %s", places[p].url, cases[c].name);
            all[n] = cases[c];
            all[n].name = names[n];
            all[n].setup_func = net_count_fds;
            all[n].teardown_func = net_compare_fds;
            all[n].initial_state = &places[p];
            n++;
        }
    }
    all[n++] = (struct CMUnitTest)cmocka_unit_test(every_transport_has_a_place_here);
    return pw_test_run("behaviour", all, n, NULL, NULL);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every transport must do with listeners and connections, as transport.h promises it: how one
 * comes to a connection, or learns why not, and what they tell of themselves.
 */
#include "places.h"

#include "base/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void connecting_to_nobody_names_the_url_and_the_reason(void **state)
{
    struct pw_listener *const listener = place_listen(state);
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
    struct pw_listener *const listener = place_listen(state);
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
    struct pw_listener *const listener = place_listen_alone(state);
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
    struct pw_listener *const listener = place_listen_alone(state);
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
    struct pw_listener *const listener = place_listen_alone(state);
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
    struct pw_listener *const listener = place_listen(state);
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
    struct pw_listener *const listener = place_listen(state);
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
    struct pw_listener *listener = place_listen(state);
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

static void descriptors_close_on_exec_and_those_of_servers_do_not_block(void **state)
{
    const struct place *const place = *state;
    struct pw_listener *const listener = place_listen(state);
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    const int fds[] = {pw_listener_fd(listener), pw_conn_fd(server), pw_conn_fd(client)};
    for (int i = 0; i < 3; i++) {
        assert_true((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        /* Who has connected may wait for what comes, but only in the call that says so. */
        if (i > 0 || !place->shakes_hands) { /* what is polled there is an epoll set */
            assert_int_equal((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0, i < 2);
        }
    }
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
    struct pw_listener *const listener = place_listen(state);
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
    struct pw_listener *const listener = place_listen(state);
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    struct pw_conn *client;
    struct pw_conn *server;
    struct pw_address address = {.host = "x", .port = 1};
    net_pair(listener, &client, &server);
    pw_conn_local_address(server, &address);
    const bool is_ip = place->scheme[0] == 't'; /* tcp, tls */
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
    struct pw_listener *const listener = place_listen_alone(state);
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
    cmocka_unit_test(connecting_to_nobody_names_the_url_and_the_reason),
    cmocka_unit_test(does_not_connect_after_the_deadline),
    cmocka_unit_test(does_not_connect_when_cancelled),
    cmocka_unit_test(serves_many_connections),
    cmocka_unit_test(connections_that_nobody_accepted_end_with_the_listener),
    cmocka_unit_test(connections_outlive_their_listener),
    cmocka_unit_test(one_place_has_one_listener),
    cmocka_unit_test(listens_again_at_once_where_it_listened_before),
    cmocka_unit_test(descriptors_close_on_exec_and_those_of_servers_do_not_block),
    cmocka_unit_test(names_its_peer_even_when_it_is_gone),
    cmocka_unit_test(tells_its_local_address_if_it_has_one),
    cmocka_unit_test(several_threads_may_accept),
    cmocka_unit_test(destroying_nothing_does_nothing),
};

int main(void)
{
    return places_run("connecting", cases, sizeof(cases) / sizeof(cases[0]));
}

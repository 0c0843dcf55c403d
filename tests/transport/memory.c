/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is special to connections within the process. */
#include "net.h"

#include "transport/memory.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void a_pair_is_connected(void **state)
{
    (void)state;
    struct pw_conn *a;
    struct pw_conn *b;
    char got[4];
    char name[32];
    assert_int_equal(pw_memory_pair(&a, &b, NULL), PYWATT_OK);
    net_send(a, "ping", 4);
    net_receive(b, got, 4);
    assert_memory_equal(got, "ping", 4);
    net_send(b, "pong", 4);
    net_receive(a, got, 4);
    assert_memory_equal(got, "pong", 4);
    pw_conn_peer_name(a, name, sizeof(name));
    assert_string_equal(name, "memory:pair");
    pw_conn_destroy(a);
    net_expect_eof(b);
    pw_conn_destroy(b);
}

static void names_do_not_mix(void **state)
{
    (void)state;
    struct pw_listener *const one = net_listen("memory:one");
    struct pw_listener *const two = net_listen("memory:two");
    struct pw_conn *const client = net_connect(two);
    struct pw_conn *server = NULL;
    assert_int_equal(pw_listener_accept(one, &server, NULL), PW_IO_AGAIN);
    server = net_accept(two);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(one);
    pw_listener_destroy(two);
}

static void is_readable_while_anybody_waits(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("memory:queue");
    struct pw_conn *clients[3];
    for (size_t i = 0; i < 3; i++) {
        clients[i] = net_connect(listener);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(net_ready(pw_listener_fd(listener), POLLIN), POLLIN);
        pw_conn_destroy(net_accept(listener));
        pw_conn_destroy(clients[i]);
    }
    assert_int_equal(net_ready(pw_listener_fd(listener), POLLIN), 0);
    pw_listener_destroy(listener);
}

static void a_queue_that_is_full_refuses(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 9000) {
        skip(); /* both ends of a full queue do not fit into the limit of descriptors */
    }
    enum {
        BACKLOG = 4096
    };
    struct pw_listener *const listener = net_listen("memory:full");
    static struct pw_conn *clients[BACKLOG];
    for (size_t i = 0; i < BACKLOG; i++) {
        clients[i] = net_connect(listener);
    }
    const struct pw_endpoint endpoint = net_endpoint("memory:full", false);
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error),
                     PYWATT_CONNECTION);
    net_expect_text(&error, "\"memory:full\": too many connections wait");
    pw_conn_destroy(net_accept(listener));
    conn = net_connect(listener);
    pw_conn_destroy(conn);
    for (size_t i = 0; i < BACKLOG; i++) {
        pw_conn_destroy(clients[i]);
    }
    pw_listener_destroy(listener);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, net_count_fds, net_compare_fds)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_pair_is_connected),
        CASE(names_do_not_mix),
        CASE(is_readable_while_anybody_waits),
        CASE(a_queue_that_is_full_refuses),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is special to TCP: options, address families, names, and addresses that do not answer. */
#include "net.h"

#include "base/clock.h"
#include "transport/dial.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void both_ends_send_at_once_and_are_kept_alive(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    struct pw_conn *ends[2];
    net_pair(listener, &ends[0], &ends[1]);
    for (size_t i = 0; i < 2; i++) {
        const int fd = pw_conn_fd(ends[i]);
        assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
        assert_true(option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
        assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15);
        assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
        assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
        pw_conn_destroy(ends[i]);
    }
    assert_true(option(pw_listener_fd(listener), SOL_SOCKET, SO_REUSEADDR) != 0);
    pw_listener_destroy(listener);
}

static void who_is_accepted_may_leave_bytes_without_a_sign_for_so_long(void **state)
{
    (void)state;
    const uint32_t timeouts_ms[] = {0, 12345};
    for (size_t i = 0; i < 2; i++) {
        struct pywatt_error error = {.text = ""};
        struct pw_listener *listener = NULL;
        struct pw_conn *ends[2];
        struct pw_endpoint endpoint = net_endpoint("tcp://127.0.0.1:0", true);
        endpoint.user_timeout_ms = timeouts_ms[i];
        assert_int_equal(pw_transport_listen(&endpoint, &listener, &error), PYWATT_OK);
        net_pair(listener, &ends[0], &ends[1]);
        /* Who connects has 30 s. */
        assert_int_equal(option(pw_conn_fd(ends[0]), IPPROTO_TCP, TCP_USER_TIMEOUT) +
                             option(pw_conn_fd(ends[1]), IPPROTO_TCP, TCP_USER_TIMEOUT),
                         30000 + timeouts_ms[i]);
        pw_conn_destroy(ends[0]);
        pw_conn_destroy(ends[1]);
        pw_listener_destroy(listener);
    }
}

static struct pw_conn *connect_to(const char *host, uint16_t port)
{
    char url[PW_ENDPOINT_URL_MAX];
    struct pywatt_error error = {.status = PYWATT_OK};
    struct pw_conn *conn = NULL;
    snprintf(url, sizeof(url), "tcp://%s:%u", host, port);
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    if (pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return conn;
}

static void expect_ends(struct pw_conn *server, const char *peer, const char *local)
{
    char name[PW_ENDPOINT_URL_MAX];
    struct pw_address address;
    pw_conn_peer_name(server, name, sizeof(name));
    assert_memory_equal(name, peer, strlen(peer));
    pw_conn_local_address(server, &address);
    assert_string_equal(address.host, local);
}

static void an_empty_host_listens_on_both_families(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://:0");
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    assert_true(endpoint.port != 0);
    struct pw_conn *client = connect_to("127.0.0.1", endpoint.port);
    struct pw_conn *server = net_accept(listener);
    /* Not as ::ffff:127.0.0.1, under which nobody could reach it over IPv4. */
    expect_ends(server, "127.0.0.1:", "127.0.0.1");
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    if (net_has_v6()) {
        assert_string_equal(endpoint.host, "::");
        client = connect_to("[::1]", endpoint.port);
        server = net_accept(listener);
        expect_ends(server, "[::1]:", "::1");
        pw_conn_destroy(client);
        pw_conn_destroy(server);
    }
    /* What the listener says of itself can be connected to. */
    net_pair(listener, &client, &server);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void localhost_finds_the_family_that_listens(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    struct pw_conn *const client = connect_to("localhost", endpoint.port);
    struct pw_conn *const server = net_accept(listener);
    expect_ends(server, "127.0.0.1:", "127.0.0.1");
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

static void listens_at_a_name_and_tells_the_address(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://localhost:0");
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    assert_true(strcmp(endpoint.host, "127.0.0.1") == 0 || strcmp(endpoint.host, "::1") == 0);
    pw_conn_destroy(net_connect(listener));
    pw_listener_destroy(listener);
}

static void a_busy_port_is_named_with_the_reason(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    char url[64];
    char expected[256];
    struct pywatt_error error;
    pw_listener_url(listener, url, sizeof(url));
    net_refused_to_listen(url, &error);
    snprintf(expected, sizeof(expected), "cannot listen at \"%s\": %s: Address already in use", url,
             url + strlen("tcp://"));
    assert_string_equal(error.text, expected);
    /* Nor does the empty host fall back to one family of it. */
    struct pw_listener *const all = net_listen("tcp://:0");
    snprintf(url, sizeof(url), "tcp://:%u", net_endpoint_of(all).port);
    net_refused_to_listen(url, &error);
    pw_listener_destroy(all);
    pw_listener_destroy(listener);
}

static void an_address_of_another_machine_is_refused(void **state)
{
    (void)state;
    struct pywatt_error error;
    net_refused_to_listen("tcp://192.0.2.1:0", &error);
    net_expect_text(&error, "192.0.2.1:0: Cannot assign requested address");
}

static void a_reset_is_an_error_in_words(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    struct pw_conn *client;
    struct pw_conn *server;
    char peer[PW_ENDPOINT_URL_MAX];
    net_pair(listener, &client, &server);
    pw_conn_peer_name(client, peer, sizeof(peer));
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(pw_conn_fd(server), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
                     0);
    pw_conn_destroy(server);
    assert_true(net_wait(pw_conn_fd(client), POLLIN) != 0);
    uint8_t byte;
    size_t got = 1;
    struct pywatt_error error = {.status = PYWATT_OK};
    assert_int_equal(pw_conn_receive(client, &byte, 1, &got, &error), PW_IO_ERROR);
    assert_int_equal(got, 0);
    assert_int_equal(error.status, PYWATT_IO);
    net_expect_text(&error, peer);
    net_expect_text(&error, "receiving failed: Connection reset by peer");
    pw_conn_destroy(client);
    pw_listener_destroy(listener);
}

/* ---- Addresses that do not answer ---------------------------------------------------------- */

static void gives_up_at_the_deadline(void **state)
{
    (void)state;
    struct net_black_hole hole;
    net_black_hole_open(&hole);
    char url[PW_ENDPOINT_URL_MAX];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", hole.port);
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(50);
    assert_int_equal(pw_transport_connect(&endpoint, deadline_ns, -1, &conn, &error),
                     PYWATT_TIMEOUT);
    assert_true(pw_clock_now_ns(&pw_clock_monotonic) >= deadline_ns);
    assert_null(conn);
    assert_int_equal(error.status, PYWATT_TIMEOUT);
    net_expect_text(&error, url);
    net_expect_text(&error, "no answer in time");
    net_black_hole_close(&hole);
}

struct connector {
    const struct pw_endpoint *endpoint;
    int cancel_fd;
    atomic_int tid;
    enum pywatt_status status;
    struct pywatt_error error;
};

static void *connector_main(void *arg)
{
    struct connector *const connector = arg;
    struct pw_conn *conn = NULL;
    atomic_store(&connector->tid, gettid());
    connector->status = pw_transport_connect(connector->endpoint, net_deadline_ns(),
                                             connector->cancel_fd, &conn, &connector->error);
    return NULL;
}

static void can_be_cancelled_while_it_waits(void **state)
{
    (void)state;
    struct net_black_hole hole;
    net_black_hole_open(&hole);
    char url[PW_ENDPOINT_URL_MAX];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", hole.port);
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    struct connector connector = {.endpoint = &endpoint, .cancel_fd = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, connector_main, &connector), 0);
    const bool sleeps = pw_test_wait_until(net_thread_sleeps, &connector.tid, NET_PATIENCE_MS);
    assert_int_equal(eventfd_write(connector.cancel_fd, 1), 0);
    pthread_join(thread, NULL);
    assert_true(sleeps);
    assert_int_equal(connector.status, PYWATT_CLOSED);
    net_expect_text(&connector.error, url);
    net_expect_text(&connector.error, "cancelled");
    close(connector.cancel_fd);
    net_black_hole_close(&hole);
}

/* A list of addresses on 127.0.0.1, as the resolver would give it. */
struct address_list {
    struct sockaddr_in addresses[3];
    struct addrinfo items[3];
};

static const struct addrinfo *make_list(struct address_list *list, const uint16_t *ports,
                                        size_t count)
{
    memset(list, 0, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list->addresses[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                                  .sin_port = htons(ports[i]),
                                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
        list->items[i].ai_family = AF_INET;
        list->items[i].ai_addr = (struct sockaddr *)&list->addresses[i];
        list->items[i].ai_addrlen = sizeof(list->addresses[i]);
        list->items[i].ai_next = i + 1 < count ? &list->items[i + 1] : NULL;
    }
    return list->items;
}

static void tries_the_next_address_when_one_refuses(void **state)
{
    (void)state;
    uint16_t ports[3];
    const int silent[] = {net_silent_port(&ports[0]), net_silent_port(&ports[1])};
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    ports[2] = net_endpoint_of(listener).port;
    struct address_list list;
    int fd = -1;
    struct pywatt_error error;
    assert_int_equal(pw_dial(make_list(&list, ports, 3), net_deadline_ns(), -1, &fd, &error),
                     PYWATT_OK);
    close(fd);
    pw_listener_destroy(listener);
    close(silent[0]);
    close(silent[1]);
}

static void one_black_hole_does_not_use_up_the_time(void **state)
{
    (void)state;
    struct net_black_hole hole;
    net_black_hole_open(&hole);
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    const uint16_t ports[] = {hole.port, hole.port, net_endpoint_of(listener).port};
    struct address_list list;
    int fd = -1;
    struct pywatt_error error;
    /* On a machine that is busy the last one may need more. */
    enum pywatt_status status = PYWATT_TIMEOUT;
    for (uint32_t ms = 300; ms <= 30000 && status == PYWATT_TIMEOUT; ms *= 10) {
        status =
            pw_dial(make_list(&list, ports, 3), (uint64_t)pw_test_deadline_ns(ms), -1, &fd, &error);
    }
    assert_int_equal(status, PYWATT_OK);
    close(fd);
    pw_listener_destroy(listener);
    net_black_hole_close(&hole);
}

static void tells_the_reason_for_each_address(void **state)
{
    (void)state;
    struct net_black_hole hole;
    net_black_hole_open(&hole);
    uint16_t ports[3];
    const int silent[] = {net_silent_port(&ports[0]), net_silent_port(&ports[2])};
    ports[1] = hole.port;
    struct address_list list;
    int fd = -1;
    struct pywatt_error error;
    char expected[PYWATT_ERROR_TEXT_MAX];
    snprintf(expected, sizeof(expected),
             "127.0.0.1:%u: Connection refused; 127.0.0.1:%u: no answer in time; "
             "127.0.0.1:%u: Connection refused",
             ports[0], ports[1], ports[2]);
    /* On a machine that is busy the deadline may be over before the last one was asked. */
    enum pywatt_status status = PYWATT_TIMEOUT;
    error.text[0] = '\0';
    for (uint32_t ms = 100; ms <= 10000 && strcmp(error.text, expected) != 0; ms *= 10) {
        status =
            pw_dial(make_list(&list, ports, 3), (uint64_t)pw_test_deadline_ns(ms), -1, &fd, &error);
    }
    assert_int_equal(status, PYWATT_CONNECTION);
    assert_string_equal(error.text, expected);
    assert_int_equal(fd, -1);
    close(silent[0]);
    close(silent[1]);
    net_black_hole_close(&hole);
}

static void many_reasons_are_cut(void **state)
{
    (void)state;
    uint16_t port;
    const int silent = net_silent_port(&port);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct addrinfo items[20];
    memset(items, 0, sizeof(items));
    for (size_t i = 0; i < 20; i++) {
        items[i].ai_family = AF_INET;
        items[i].ai_addr = (struct sockaddr *)&address;
        items[i].ai_addrlen = sizeof(address);
        items[i].ai_next = i + 1 < 20 ? &items[i + 1] : NULL;
    }
    int fd = -1;
    struct pywatt_error error;
    assert_int_equal(pw_dial(items, net_deadline_ns(), -1, &fd, &error), PYWATT_CONNECTION);
    assert_int_equal(strlen(error.text), PYWATT_ERROR_TEXT_MAX - 1);
    close(silent);
}

/*
 * A free port of the ephemeral range, dialled again and again as a client does whose orchestrator
 * is away: at some point the system gives the socket that very port as its own.
 */
static void never_connects_to_itself(void **state)
{
    (void)state;
    enum {
        ROUNDS = 40000
    };
    if (pw_test_slow_factor() > 4) {
        skip(); /* tens of thousands of attempts take minutes under these tools */
    }
    uint16_t port;
    const int silent = net_silent_port(&port);
    close(silent);
    port = (uint16_t)(port & ~1u); /* connect(2) prefers even ports */
    struct address_list list;
    const struct addrinfo *const addresses = make_list(&list, &port, 1);
    for (int i = 0; i < ROUNDS; i++) {
        int fd = -1;
        const enum pywatt_status status = pw_dial(addresses, net_deadline_ns(), -1, &fd, NULL);
        if (status != PYWATT_CONNECTION) {
            fail_msg("round %d: status %d", i, status);
        }
    }
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, net_count_fds, net_compare_fds)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(both_ends_send_at_once_and_are_kept_alive),
        CASE(who_is_accepted_may_leave_bytes_without_a_sign_for_so_long),
        CASE(an_empty_host_listens_on_both_families),
        CASE(localhost_finds_the_family_that_listens),
        CASE(listens_at_a_name_and_tells_the_address),
        CASE(a_busy_port_is_named_with_the_reason),
        CASE(an_address_of_another_machine_is_refused),
        CASE(a_reset_is_an_error_in_words),
        CASE(gives_up_at_the_deadline),
        CASE(can_be_cancelled_while_it_waits),
        CASE(tries_the_next_address_when_one_refuses),
        CASE(one_black_hole_does_not_use_up_the_time),
        CASE(tells_the_reason_for_each_address),
        CASE(many_reasons_are_cut),
        CASE(never_connects_to_itself),
    };
    return PW_TEST_RUN(cases);
}

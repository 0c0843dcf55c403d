/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See net.h. */
#include "net.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pywatt_tls *tls_server;
static struct pywatt_tls *tls_client;
static size_t fds_before;
static size_t threads_before;

uint64_t net_deadline_ns(void)
{
    return (uint64_t)pw_test_deadline_ns(NET_PATIENCE_MS);
}

short net_wait(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    const uint64_t deadline_ns = net_deadline_ns();
    int ready;
    do {
        ready = poll(&poll_fd, 1,
                     pw_deadline_poll_ms(pw_clock_now_ns(&pw_clock_monotonic), deadline_ns));
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? poll_fd.revents : 0;
}

short net_ready(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return poll(&poll_fd, 1, 0) > 0 ? poll_fd.revents : 0;
}

void net_use_tls(struct pywatt_tls *server, struct pywatt_tls *client)
{
    tls_server = server;
    tls_client = client;
}

struct pw_endpoint net_endpoint(const char *url, bool for_listening)
{
    struct pw_endpoint endpoint;
    struct pywatt_error error = {.status = PYWATT_OK};
    if (pw_endpoint_parse(url, for_listening, &endpoint, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    if (endpoint.transport == &pw_tls_transport &&
        pw_endpoint_secure(&endpoint, for_listening, for_listening ? tls_server : tls_client,
                           &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return endpoint;
}

struct pw_listener *net_listen(const char *url)
{
    const struct pw_endpoint endpoint = net_endpoint(url, true);
    struct pywatt_error error = {.status = PYWATT_OK};
    struct pw_listener *listener = NULL;
    if (pw_transport_listen(&endpoint, &listener, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return listener;
}

void net_refused_to_listen(const char *url, struct pywatt_error *error)
{
    const struct pw_endpoint endpoint = net_endpoint(url, true);
    struct pw_listener *listener = NULL;
    assert_int_equal(pw_transport_listen(&endpoint, &listener, error), PYWATT_IO);
    assert_int_equal(error->status, PYWATT_IO);
    assert_null(listener);
    net_expect_text(error, "cannot listen at");
    net_expect_text(error, url);
}

struct pw_endpoint net_endpoint_of(struct pw_listener *listener)
{
    char url[PW_ENDPOINT_URL_MAX];
    pw_listener_url(listener, url, sizeof(url));
    return net_endpoint(url, false);
}

struct pw_conn *net_connect(struct pw_listener *listener)
{
    const struct pw_endpoint endpoint = net_endpoint_of(listener);
    struct pywatt_error error = {.status = PYWATT_OK};
    struct pw_conn *conn = NULL;
    if (pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return conn;
}

struct pw_conn *net_accept(struct pw_listener *listener)
{
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    assert_true((net_wait(pw_listener_fd(listener), POLLIN) & POLLIN) != 0);
    if (pw_listener_accept(listener, &conn, &error) != PW_IO_OK) {
        fail_msg("%s", error.text);
    }
    return conn;
}

struct connecting {
    struct pw_endpoint endpoint;
    struct pw_conn *conn;
    struct pywatt_error error;
};

static void *connect_main(void *arg)
{
    struct connecting *const connecting = arg;
    (void)pw_transport_connect(&connecting->endpoint, net_deadline_ns(), -1, &connecting->conn,
                               &connecting->error);
    return NULL;
}

/* True if a byte could be received, which nobody has sent. */
static bool has_a_byte(struct pw_conn *conn)
{
    uint8_t byte;
    size_t got;
    return pw_conn_receive(conn, &byte, 1, &got, NULL) != PW_IO_AGAIN;
}

static void open_pair(struct pw_listener *listener, struct pw_conn **client,
                      struct pw_conn **server)
{
    struct connecting connecting = {.endpoint = net_endpoint_of(listener)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, connect_main, &connecting), 0);
    *server = net_accept(listener);
    while (pw_conn_opening_ms(*server) > 0) {
        assert_true(net_wait(pw_conn_fd(*server), pw_conn_poll_events(*server, POLLIN)) != 0);
        assert_false(has_a_byte(*server));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (connecting.conn == NULL) {
        fail_msg("%s", connecting.error.text);
    }
    *client = connecting.conn;
    /* What belongs to the handshake still, and is nothing to receive. */
    assert_false(has_a_byte(*client));
}

void net_pair(struct pw_listener *listener, struct pw_conn **client, struct pw_conn **server)
{
    if (net_endpoint_of(listener).transport == &pw_tls_transport) {
        open_pair(listener, client, server);
        return;
    }
    *client = net_connect(listener);
    *server = net_accept(listener);
}

enum pw_io net_send_some(struct pw_conn *conn, const void *data, size_t len, size_t *sent,
                         struct pywatt_error *error)
{
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return pw_conn_send(conn, &piece, 1, sent, error);
}

void net_send(struct pw_conn *conn, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        size_t sent = 0;
        const enum pw_io result = net_send_some(conn, at, len, &sent, NULL);
        if (result == PW_IO_AGAIN) {
            assert_true(net_wait(pw_conn_fd(conn), pw_conn_poll_events(conn, POLLOUT)) != 0);
            continue;
        }
        assert_int_equal(result, PW_IO_OK);
        at += sent;
        len -= sent;
    }
}

void net_receive(struct pw_conn *conn, void *data, size_t len)
{
    uint8_t *at = data;
    while (len > 0) {
        size_t got = 0;
        const enum pw_io result = pw_conn_receive(conn, at, len, &got, NULL);
        if (result == PW_IO_AGAIN) {
            assert_true(net_wait(pw_conn_fd(conn), pw_conn_poll_events(conn, POLLIN)) != 0);
            continue;
        }
        assert_int_equal(result, PW_IO_OK);
        at += got;
        len -= got;
    }
}

void net_expect_eof(struct pw_conn *conn)
{
    uint8_t byte;
    size_t got = 1;
    assert_true(net_wait(pw_conn_fd(conn), pw_conn_poll_events(conn, POLLIN)) != 0);
    assert_int_equal(pw_conn_receive(conn, &byte, 1, &got, NULL), PW_IO_EOF);
    assert_int_equal(got, 0);
}

void net_expect_text(const struct pywatt_error *error, const char *fragment)
{
    if (strstr(error->text, fragment) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", fragment, error->text);
    }
}

static void *do_nothing(void *arg)
{
    return arg;
}

/* ThreadSanitizer starts a thread of its own with the program's first one, and keeps it. */
static void start_first_thread(void)
{
    static bool done;
    pthread_t thread;
    if (!done && pthread_create(&thread, NULL, do_nothing, NULL) == 0) {
        pthread_join(thread, NULL);
        done = true;
    }
}

int net_count_fds(void **state)
{
    (void)state;
    start_first_thread();
    fds_before = pw_test_open_fds();
    threads_before = pw_test_threads();
    return 0;
}

bool net_threads_are_gone(void *user)
{
    (void)user;
    return pw_test_threads() <= threads_before;
}

int net_compare_fds(void **state)
{
    (void)state;
    if (!pw_test_wait_until(net_threads_are_gone, NULL, NET_PATIENCE_MS)) {
        print_error("threads are left after the case\n");
        return -1;
    }
    const size_t now = pw_test_open_fds();
    if (now != fds_before) {
        print_error("%zu descriptors were open before the case, %zu are after it\n", fds_before,
                    now);
        return -1;
    }
    return 0;
}

bool net_has_v6(void)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return has;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

int net_silent_port(uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

void net_black_hole_open(struct net_black_hole *hole)
{
    hole->listener = net_silent_port(&hole->port);
    assert_int_equal(listen(hole->listener, 0), 0);
    const struct sockaddr_in address = loopback(hole->port);
    for (size_t i = 0; i < sizeof(hole->fillers) / sizeof(hole->fillers[0]); i++) {
        hole->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(hole->fillers[i] >= 0);
        (void)connect(hole->fillers[i], (const struct sockaddr *)&address, sizeof(address));
    }
    /* A queue of length 0 holds one. */
    assert_true(net_wait(hole->fillers[0], POLLOUT) != 0);
}

void net_black_hole_close(struct net_black_hole *hole)
{
    for (size_t i = 0; i < sizeof(hole->fillers) / sizeof(hole->fillers[0]); i++) {
        close(hole->fillers[i]);
    }
    close(hole->listener);
}

bool net_thread_sleeps(void *tid)
{
    const int number = atomic_load((atomic_int *)tid);
    if (number == 0) {
        return false;
    }
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", number);
    FILE *const file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    char line[256] = "";
    const char *const got = fgets(line, sizeof(line), file);
    fclose(file);
    const char *const after_name = got == NULL ? NULL : strrchr(line, ')');
    return after_name != NULL && after_name[1] == ' ' && after_name[2] == 'S';
}

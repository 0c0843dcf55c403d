/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the system calls of a socket may answer, and what becomes of it: the linker puts the test's
 * own in their place, which fail as a script says and then ask the system.
 */
#include "net.h"

#include "transport/memory.h"
#include "transport/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
ssize_t __real_recv(int fd, void *buffer, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t len, int flags);
ssize_t __real_send(int fd, const void *buffer, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buffer, size_t len, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __real_socketpair(int family, int type, int protocol, int fds[2]);
int __wrap_socketpair(int family, int type, int protocol, int fds[2]);
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);

/* The errnos with which the next calls fail, up to a 0. */
static const int *script;

static bool fails(void)
{
    if (script == NULL || *script == 0) {
        return false;
    }
    errno = *script++;
    return true;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return fails() ? -1 : __real_accept4(fd, address, len, flags);
}

ssize_t __wrap_recv(int fd, void *buffer, size_t len, int flags)
{
    return fails() ? -1 : __real_recv(fd, buffer, len, flags);
}

ssize_t __wrap_send(int fd, const void *buffer, size_t len, int flags)
{
    return fails() ? -1 : __real_send(fd, buffer, len, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return fails() ? -1 : __real_sendmsg(fd, message, flags);
}

int __wrap_socket(int family, int type, int protocol)
{
    return fails() ? -1 : __real_socket(family, type, protocol);
}

int __wrap_socketpair(int family, int type, int protocol, int fds[2])
{
    return fails() ? -1 : __real_socketpair(family, type, protocol, fds);
}

int __wrap_eventfd(unsigned value, int flags)
{
    return fails() ? -1 : __real_eventfd(value, flags);
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask)
{
    return fails() ? -1 : __real_ppoll(fds, count, timeout, mask);
}

static int end(void **state)
{
    script = NULL;
    return net_compare_fds(state);
}

static void accepting_passes_over_connections_that_are_gone(void **state)
{
    (void)state;
    static const int gone[] = {ECONNABORTED, EINTR,       EPROTO,    ENOPROTOOPT,
                               ENETDOWN,     ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,
                               ENONET,       EOPNOTSUPP,  0};
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    struct pw_conn *conn = NULL;
    script = gone;
    assert_int_equal(pw_listener_accept(listener, &conn, NULL), PW_IO_AGAIN);
    assert_int_equal(*script, 0);
    struct pw_conn *const client = net_connect(listener);
    script = gone;
    conn = net_accept(listener);
    assert_int_equal(*script, 0);
    pw_conn_destroy(conn);
    pw_conn_destroy(client);
    pw_listener_destroy(listener);
}

static void accepting_fails_for_want_of_anything(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum pywatt_status status;
    } wants[] = {{EMFILE, PYWATT_IO},
                 {ENFILE, PYWATT_IO},
                 {ENOMEM, PYWATT_NO_MEMORY},
                 {ENOBUFS, PYWATT_NO_MEMORY}};
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    struct pw_conn *const client = net_connect(listener);
    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        const int once[] = {wants[i].number, 0};
        struct pw_conn *conn = NULL;
        struct pywatt_error error = {.status = PYWATT_OK};
        script = once;
        assert_int_equal(pw_listener_accept(listener, &conn, &error), PW_IO_ERROR);
        assert_int_equal(error.status, wants[i].status);
        assert_null(conn);
        script = NULL;
    }
    pw_conn_destroy(net_accept(listener));
    pw_conn_destroy(client);
    pw_listener_destroy(listener);
}

static void connecting_and_listening_say_that_descriptors_are_out(void **state)
{
    (void)state;
    static const int out[] = {EMFILE, 0};
    char path_url[64];
    snprintf(path_url, sizeof(path_url), "unix:@pywatt-socket-%d", (int)getpid());
    const char *const urls[] = {"tcp://127.0.0.1:1", "tcp://localhost:1", path_url, "memory:fds"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        const struct pw_endpoint endpoint = net_endpoint(urls[i], false);
        struct pw_conn *conn = NULL;
        struct pw_listener *listener = NULL;
        struct pywatt_error error = {.status = PYWATT_OK};
        script = out;
        assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error),
                         PYWATT_CONNECTION);
        assert_null(conn);
        net_expect_text(&error, urls[i]);
        net_expect_text(&error, "Too many open files");
        script = out;
        assert_int_equal(pw_transport_listen(&endpoint, &listener, &error), PYWATT_IO);
        assert_null(listener);
        net_expect_text(&error, urls[i]);
        net_expect_text(&error, "Too many open files");
    }
    struct pw_conn *ends[2];
    struct pywatt_error error = {.status = PYWATT_OK};
    script = out;
    assert_int_equal(pw_memory_pair(&ends[0], &ends[1], &error), PYWATT_IO);
    net_expect_text(&error, "Too many open files");
}

static void a_signal_interrupts_nothing(void **state)
{
    (void)state;
    static const int signals[] = {EINTR, EINTR, 0};
    struct pw_conn *a;
    struct pw_conn *b;
    char text[2] = "x";
    const struct iovec pieces[] = {{text, 1}, {text, 1}};
    size_t moved = 0;
    assert_int_equal(pw_memory_pair(&a, &b, NULL), PYWATT_OK);
    script = signals;
    assert_int_equal(pw_conn_send(a, pieces, 1, &moved, NULL), PW_IO_OK);
    assert_int_equal(*script, 0);
    script = signals;
    assert_int_equal(pw_conn_send(a, pieces, 2, &moved, NULL), PW_IO_OK);
    assert_int_equal(*script, 0);
    script = signals;
    assert_int_equal(pw_fd_wait(pw_conn_fd(b), POLLIN, net_deadline_ns(), -1), PYWATT_OK);
    assert_int_equal(*script, 0);
    script = signals;
    assert_int_equal(pw_conn_receive(b, text, 1, &moved, NULL), PW_IO_OK);
    assert_int_equal(*script, 0);
    script = NULL;
    pw_conn_destroy(a);
    pw_conn_destroy(b);
}

static void other_failures_end_the_connection_in_words(void **state)
{
    (void)state;
    static const int broken[] = {EHOSTUNREACH, 0};
    struct pw_conn *a;
    struct pw_conn *b;
    char text[2] = "x";
    const struct iovec pieces[] = {{text, 1}, {text, 1}};
    size_t moved = 1;
    struct pywatt_error error = {.status = PYWATT_OK};
    assert_int_equal(pw_memory_pair(&a, &b, NULL), PYWATT_OK);
    script = broken;
    assert_int_equal(pw_conn_send(a, pieces, 2, &moved, &error), PW_IO_ERROR);
    assert_string_equal(error.text, "memory:pair: sending failed: No route to host");
    assert_int_equal(moved, 0);
    script = broken;
    assert_int_equal(pw_conn_receive(a, text, 1, &moved, &error), PW_IO_ERROR);
    assert_string_equal(error.text, "memory:pair: receiving failed: No route to host");
    script = broken;
    assert_int_equal(pw_conn_receive(a, text, 1, &moved, NULL), PW_IO_ERROR);
    script = NULL;
    pw_conn_destroy(a);
    pw_conn_destroy(b);
}

static void waiting_prefers_the_cancel(void **state)
{
    (void)state;
    const int ready = eventfd(1, EFD_CLOEXEC);
    const int cancel = eventfd(1, EFD_CLOEXEC);
    const int quiet = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pw_fd_wait(ready, POLLIN, net_deadline_ns(), cancel), PYWATT_CLOSED);
    assert_int_equal(pw_fd_wait(ready, POLLIN, net_deadline_ns(), quiet), PYWATT_OK);
    assert_int_equal(pw_fd_wait(ready, POLLIN, UINT64_MAX, -1), PYWATT_OK);
    assert_int_equal(pw_fd_wait(quiet, POLLIN, 0, -1), PYWATT_TIMEOUT);
    /* What is ready counts even when the time is over. */
    assert_int_equal(pw_fd_wait(ready, POLLIN, 0, -1), PYWATT_OK);
    assert_int_equal(pw_deadline_check(0, -1), PYWATT_TIMEOUT);
    assert_int_equal(pw_deadline_check(0, cancel), PYWATT_CLOSED);
    assert_int_equal(pw_deadline_check(net_deadline_ns(), cancel), PYWATT_CLOSED);
    assert_int_equal(pw_deadline_check(net_deadline_ns(), quiet), PYWATT_OK);
    assert_int_equal(pw_deadline_check(UINT64_MAX, -1), PYWATT_OK);
    close(ready);
    close(cancel);
    close(quiet);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, net_count_fds, end)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(accepting_passes_over_connections_that_are_gone),
        CASE(accepting_fails_for_want_of_anything),
        CASE(connecting_and_listening_say_that_descriptors_are_out),
        CASE(a_signal_interrupts_nothing),
        CASE(other_failures_end_the_connection_in_words),
        CASE(waiting_prefers_the_cancel),
    };
    return PW_TEST_RUN(cases);
}

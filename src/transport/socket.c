/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * socket.c - bytes through stream sockets, which never block but for the patient calls. No lock: the kernel has one per socket, and
 * the struct does not change between new and destroy.
 */
#include "transport/socket.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "transport/words.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static enum pw_io fail(struct pywatt_error *error, const char *what, int number)
{
    char words[PW_WORDS_ERRNO_MAX];
    pw_error_set(error, PYWATT_IO, "%s: %s", what, pw_words_errno(number, words));
    return PW_IO_ERROR;
}

/* What recv(2) said, and errno where it is negative. */
static enum pw_io received(ssize_t result, size_t *got, struct pywatt_error *error)
{
    if (result > 0) {
        *got = (size_t)result;
        return PW_IO_OK;
    }
    *got = 0;
    if (result == 0) {
        return PW_IO_EOF;
    }
    if (errno == EAGAIN) {
        return PW_IO_AGAIN;
    }
    return fail(error, "receiving failed", errno);
}

enum pw_io pw_fd_receive(int fd, void *buffer, size_t len, size_t *got, struct pywatt_error *error)
{
    ssize_t result;
    do {
        result = recv(fd, buffer, len, MSG_DONTWAIT);
    } while (result < 0 && errno == EINTR);
    return received(result, got, error);
}

enum pw_io pw_fd_receive_patiently(int fd, void *buffer, size_t len, size_t *got,
                                   struct pywatt_error *error)
{
    const ssize_t result = recv(fd, buffer, len, 0);
    if (result < 0 && errno == EINTR) {
        *got = 0;
        return PW_IO_AGAIN; /* it has waited for less */
    }
    return received(result, got, error);
}

void pw_fd_be_patient(int fd)
{
    const struct timeval patience = {.tv_usec = PW_PATIENCE_MS * 1000};
    const int flags = fcntl(fd, F_GETFL);
    /* Where that fails it does not wait, which is allowed. */
    if (flags >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0) {
        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
}

enum pw_io pw_fd_send(int fd, const struct iovec *pieces, int count, size_t *sent,
                      struct pywatt_error *error)
{
    struct msghdr message = {
        /* sendmsg(2) only reads them; its type is older than const. */
        .msg_iov = (struct iovec *)(uintptr_t)pieces,
        .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX),
    };
    ssize_t result;
    do {
        result = count == 1
                     ? send(fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                     : sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (result < 0 && errno == EINTR);
    if (result >= 0) {
        *sent = (size_t)result;
        return PW_IO_OK;
    }
    *sent = 0;
    if (errno == EAGAIN) {
        return PW_IO_AGAIN;
    }
    return fail(error, "sending failed", errno);
}

/* True for what accept(2) reports of a connection that is gone, not of the listener. */
static bool is_lost_connection(int number)
{
    switch (number) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP: return true;
    default: return false;
    }
}

enum pw_io pw_fd_accept(int listener_fd, int *out, struct pywatt_error *error)
{
    int fd;
    do {
        fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && is_lost_connection(errno));
    if (fd >= 0) {
        *out = fd;
        return PW_IO_OK;
    }
    if (errno == EAGAIN) {
        return PW_IO_AGAIN;
    }
    if (errno == ENOMEM || errno == ENOBUFS) {
        pw_error_no_memory(error);
        return PW_IO_ERROR;
    }
    return fail(error, "accepting a connection failed", errno);
}

/* One ppoll(2) until the deadline; its result. */
static int poll_until(struct pollfd *fds, nfds_t count, uint64_t deadline_ns)
{
    if (deadline_ns == PW_DEADLINE_NEVER) {
        return ppoll(fds, count, NULL, NULL);
    }
    const struct timespec left =
        pw_deadline_left(pw_clock_now_ns(&pw_clock_monotonic), deadline_ns);
    return ppoll(fds, count, &left, NULL);
}

enum pywatt_status pw_fd_wait(int fd, short events, uint64_t deadline_ns, int cancel_fd)
{
    struct pollfd fds[] = {{.fd = cancel_fd, .events = POLLIN}, {.fd = fd, .events = events}};
    int ready;
    do {
        ready = poll_until(fds, 2, deadline_ns);
    } while (ready < 0 && (errno == EINTR || errno == EAGAIN));
    assert(ready >= 0);
    if (ready == 0) {
        return PYWATT_TIMEOUT;
    }
    return fds[0].revents != 0 ? PYWATT_CLOSED : PYWATT_OK;
}

enum pywatt_status pw_deadline_check(uint64_t deadline_ns, int cancel_fd)
{
    if (cancel_fd >= 0 && pw_fd_wait(-1, 0, 0, cancel_fd) == PYWATT_CLOSED) {
        return PYWATT_CLOSED;
    }
    return pw_clock_now_ns(&pw_clock_monotonic) < deadline_ns ? PYWATT_OK : PYWATT_TIMEOUT;
}

static struct pw_socket *socket_of(struct pw_conn *conn)
{
    return PW_CONTAINER_OF(conn, struct pw_socket, conn);
}

enum pywatt_status pw_socket_new(const struct pw_conn_ops *ops, int fd, const char *peer,
                                 struct pw_conn **out, struct pywatt_error *error)
{
    const size_t peer_size = strlen(peer) + 1;
    struct pw_socket *new_socket = malloc(sizeof(*new_socket) + peer_size);
    if (new_socket == NULL) {
        close(fd);
        return pw_error_no_memory(error);
    }
    new_socket->conn.ops = ops;
    new_socket->fd = fd;
    memcpy(new_socket->peer, peer, peer_size);
    *out = &new_socket->conn;
    return PYWATT_OK;
}

enum pw_io pw_socket_receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                             struct pywatt_error *error)
{
    const enum pw_io result = pw_fd_receive(socket_of(conn)->fd, buffer, len, got, error);
    if (result == PW_IO_ERROR) {
        pw_error_prefix(error, "%s", socket_of(conn)->peer);
    }
    return result;
}

enum pw_io pw_socket_receive_patiently(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                                       struct pywatt_error *error)
{
    const enum pw_io result = pw_fd_receive_patiently(socket_of(conn)->fd, buffer, len, got, error);
    if (result == PW_IO_ERROR) {
        pw_error_prefix(error, "%s", socket_of(conn)->peer);
    }
    return result;
}

enum pw_io pw_socket_send(struct pw_conn *conn, const struct iovec *pieces, int count, size_t *sent,
                          struct pywatt_error *error)
{
    const enum pw_io result = pw_fd_send(socket_of(conn)->fd, pieces, count, sent, error);
    if (result == PW_IO_ERROR) {
        pw_error_prefix(error, "%s", socket_of(conn)->peer);
    }
    return result;
}

bool pw_socket_buffered(struct pw_conn *conn)
{
    (void)conn;
    return false;
}

int pw_socket_fd(struct pw_conn *conn)
{
    return socket_of(conn)->fd;
}

short pw_socket_poll_events(struct pw_conn *conn, short wanted)
{
    (void)conn;
    return wanted;
}

void pw_socket_shutdown(struct pw_conn *conn)
{
    /* ENOTCONN says that it is done already. */
    (void)shutdown(socket_of(conn)->fd, SHUT_RDWR);
}

void pw_socket_no_address(struct pw_conn *conn, struct pw_address *out)
{
    (void)conn;
    out->host[0] = '\0';
    out->port = 0;
}

void pw_socket_peer_name(struct pw_conn *conn, char *out, size_t size)
{
    snprintf(out, size, "%s", socket_of(conn)->peer);
}

void pw_socket_destroy(struct pw_conn *conn)
{
    struct pw_socket *gone = socket_of(conn);
    close(gone->fd);
    free(gone);
}

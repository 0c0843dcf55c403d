/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * See echo.h. The caller's thread works on `near`, the echo thread on `far`; the first byte of a
 * request comes back as the first byte of the reply, and counts up.
 */
#include "support/echo.h"

#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct bench_echo {
    int near;
    int far;
    size_t request_bytes;
    size_t reply_bytes;
    uint8_t *request; /* the caller's */
    uint8_t *reply;   /* the caller's */
    uint8_t count;
    pthread_t thread;
};

/* False when the other end has closed. */
static bool read_all(int fd, uint8_t *data, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, data + got, len - got, 0);
        if (n == 0) {
            return false;
        }
        bench_check(n > 0 || errno == EINTR, "recv: %s", strerror(errno));
        got += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void write_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, data + sent, len - sent, MSG_NOSIGNAL);
        bench_check(n > 0 || errno == EINTR, "send: %s", strerror(errno));
        sent += n > 0 ? (size_t)n : 0;
    }
}

static void *serve(void *user)
{
    struct bench_echo *echo = user;
    uint8_t *request = calloc(1, echo->request_bytes);
    uint8_t *reply = calloc(1, echo->reply_bytes);

    bench_check(request != NULL && reply != NULL, "out of memory");
    while (read_all(echo->far, request, echo->request_bytes)) {
        reply[0] = request[0];
        write_all(echo->far, reply, echo->reply_bytes);
    }
    free(request);
    free(reply);
    return NULL;
}

/*
 * Connects the two ends through a listener, as two processes would. The listener is bound to the
 * first `size` bytes of `address`, which has room for `capacity`.
 */
static void connect_ends(struct bench_echo *echo, struct sockaddr *address, socklen_t size,
                         socklen_t capacity)
{
    int family = address->sa_family;
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    echo->near = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_check(listener >= 0 && echo->near >= 0, "socket: %s", strerror(errno));
    bench_check(bind(listener, address, size) == 0 && listen(listener, 1) == 0, "listen: %s",
                strerror(errno));
    bench_check(getsockname(listener, address, &capacity) == 0, "getsockname: %s", strerror(errno));
    bench_check(connect(echo->near, address, capacity) == 0, "connect: %s", strerror(errno));
    echo->far = accept(listener, NULL, NULL);
    bench_check(echo->far >= 0, "accept: %s", strerror(errno));
    close(listener);
}

static void open_ends(struct bench_echo *echo, const char *scheme)
{
    int one = 1;
    int pair[2];

    if (strcmp(scheme, "tcp") == 0) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        connect_ends(echo, (struct sockaddr *)&address, sizeof(address), sizeof(address));
        setsockopt(echo->near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(echo->far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    } else if (strcmp(scheme, "unix") == 0) {
        /* An address of the family alone takes a free abstract name. */
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        connect_ends(echo, (struct sockaddr *)&address, sizeof(address.sun_family),
                     sizeof(address));
    } else {
        bench_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair: %s",
                    strerror(errno));
        echo->near = pair[0];
        echo->far = pair[1];
    }
}

struct bench_echo *bench_echo_start(const char *scheme, size_t request_bytes, size_t reply_bytes)
{
    struct bench_echo *echo = calloc(1, sizeof(*echo));

    bench_check(echo != NULL && request_bytes > 0 && reply_bytes > 0, "nothing to echo");
    echo->request_bytes = request_bytes;
    echo->reply_bytes = reply_bytes;
    echo->request = calloc(1, request_bytes);
    echo->reply = calloc(1, reply_bytes);
    bench_check(echo->request != NULL && echo->reply != NULL, "out of memory");
    open_ends(echo, scheme);
    bench_check(pthread_create(&echo->thread, NULL, serve, echo) == 0, "no thread is left");
    return echo;
}

void bench_echo_call(struct bench_echo *echo)
{
    echo->request[0] = ++echo->count;
    write_all(echo->near, echo->request, echo->request_bytes);
    bench_check(read_all(echo->near, echo->reply, echo->reply_bytes), "the echo has ended");
    bench_check(echo->reply[0] == echo->count, "the echo gave something else back");
}

void bench_echo_stop(struct bench_echo *echo)
{
    shutdown(echo->near, SHUT_RDWR);
    pthread_join(echo->thread, NULL);
    close(echo->near);
    close(echo->far);
    free(echo->request);
    free(echo->reply);
    free(echo);
}

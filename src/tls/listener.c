/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * listener.c - accepts connections, and no more of them in a second than handshakes may begin. Any
 * thread accepts; the context's lock guards the pace and who is paused by it.
 *
 * The descriptor that is polled is an epoll set with the socket and a timer in it. While the pace is
 * used up the socket is not waited for, and the timer tells when it is again: whoever polls need not
 * know of any of it, and who comes waits in the kernel's queue. The handshake itself begins with the
 * first bytes, on the thread that then receives, and costs nobody anything before.
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "tls/io.h"
#include "transport/socket.h"
#include "transport/tcp.h"
#include "transport/words.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* So many who have gone are passed over before others have their turn. */
#define GONE_AT_ONCE 256

/* Not woken for each single one: they come in handfuls. */
#define PAUSE_MIN_NS (10 * PW_NS_PER_MS)

struct tls_listener {
    struct pw_listener listener;
    struct pw_tls *tls; /* a reference */
    int socket_fd;
    int timer_fd;
    int poll_fd;
    bool paused; /* the context's lock */
};

static const struct pw_listener_ops tls_listener_ops;

static struct tls_listener *listener_of(struct pw_listener *listener)
{
    return PW_CONTAINER_OF(listener, struct tls_listener, listener);
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void tls_listener_destroy(struct pw_listener *listener)
{
    struct tls_listener *const self = listener_of(listener);
    close_fd(self->poll_fd);
    close_fd(self->timer_fd);
    close_fd(self->socket_fd);
    pw_tls_context_release(self->tls);
    free(self);
}

static bool watch(const struct tls_listener *self, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events};
    return epoll_ctl(self->poll_fd, operation, fd, &event) == 0;
}

static bool make_poll_fd(struct tls_listener *self)
{
    self->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    self->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    return self->timer_fd >= 0 && self->poll_fd >= 0 &&
           watch(self, EPOLL_CTL_ADD, self->timer_fd, EPOLLIN) &&
           watch(self, EPOLL_CTL_ADD, self->socket_fd, EPOLLIN);
}

enum pywatt_status pw_tls_listen(struct pywatt_tls *tls, const struct pw_endpoint *endpoint,
                                 struct pw_listener **out, struct pywatt_error *error)
{
    struct tls_listener *const self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return pw_error_no_memory(error);
    }
    self->listener.ops = &tls_listener_ops;
    self->tls = pw_tls_of(tls);
    self->socket_fd = self->timer_fd = self->poll_fd = -1;
    pw_tls_context_acquire(self->tls);
    enum pywatt_status status = pw_tcp_listen_fd(endpoint, &self->socket_fd, error);
    if (status == PYWATT_OK && !make_poll_fd(self)) {
        char quoted[PW_WORDS_URL_MAX];
        char words[PW_WORDS_ERRNO_MAX];
        status = pw_error_set(error, PYWATT_IO, "cannot listen at %s: %s",
                              pw_words_url(endpoint->url, quoted), pw_words_errno(errno, words));
    }
    if (status != PYWATT_OK) {
        tls_listener_destroy(&self->listener);
        return status;
    }
    *out = &self->listener;
    return PYWATT_OK;
}

/* ---- The pace ------------------------------------------------------------------------------ */

static void set_timer(const struct tls_listener *self, uint64_t wait_ns)
{
    const struct itimerspec when = {.it_value = pw_deadline_left(0, wait_ns)};
    const int result = timerfd_settime(self->timer_fd, 0, &when, NULL);
    assert(result == 0);
    (void)result;
}

/* The socket is left alone for so long. */
static void pause_locked(struct tls_listener *self, uint64_t wait_ns)
{
    set_timer(self, wait_ns < PAUSE_MIN_NS ? PAUSE_MIN_NS : wait_ns);
    self->paused = true;
    watch(self, EPOLL_CTL_MOD, self->socket_fd, 0);
    atomic_fetch_add_explicit(&self->tls->paced, 1, memory_order_relaxed);
}

/* False while the pause lasts. */
static bool is_awake_locked(struct tls_listener *self)
{
    uint64_t count;
    if (!self->paused) {
        return true;
    }
    if (read(self->timer_fd, &count, sizeof(count)) < 0 && errno == EAGAIN) {
        return false;
    }
    self->paused = false;
    watch(self, EPOLL_CTL_MOD, self->socket_fd, EPOLLIN);
    return true;
}

/* Whether a connection may be taken now. */
static bool may_begin(struct tls_listener *self)
{
    struct pw_tls *const tls = self->tls;
    pw_mutex_lock(&tls->lock);
    bool may = is_awake_locked(self);
    if (may) {
        const uint64_t wait_ns = pw_tls_pace_take(&tls->pace, pw_clock_now_ns(&pw_clock_monotonic));
        may = wait_ns == 0;
        if (!may) {
            pause_locked(self, wait_ns);
        }
    }
    pw_mutex_unlock(&tls->lock);
    return may;
}

static void did_not_begin(struct pw_tls *tls)
{
    pw_mutex_lock(&tls->lock);
    pw_tls_pace_give_back(&tls->pace);
    pw_mutex_unlock(&tls->lock);
}

/* ---- Accepting ----------------------------------------------------------------------------- */

/* Whoever has ended already would still get his certificate, and a signature, in somebody's place. */
static bool has_gone(int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLRDHUP};
    return poll(&item, 1, 0) > 0;
}

static enum pw_io accept_living(int listener_fd, int *out, struct pywatt_error *error)
{
    for (int i = 0; i < GONE_AT_ONCE; i++) {
        const enum pw_io result = pw_fd_accept(listener_fd, out, error);
        if (result != PW_IO_OK || !has_gone(*out)) {
            return result;
        }
        close(*out);
    }
    return PW_IO_AGAIN;
}

static enum pw_io tls_accept(struct pw_listener *listener, struct pw_conn **out,
                             struct pywatt_error *error)
{
    struct tls_listener *const self = listener_of(listener);
    int fd = -1;
    if (!may_begin(self)) {
        return PW_IO_AGAIN;
    }
    const enum pw_io result = accept_living(self->socket_fd, &fd, error);
    if (result != PW_IO_OK) {
        did_not_begin(self->tls);
        return result;
    }
    struct pw_tls_conn *c = NULL;
    if (pw_tls_conn_new(self->tls, fd, NULL, NULL, &c, error) != PYWATT_OK) {
        return PW_IO_ERROR;
    }
    c->conn.ops = &pw_tls_server_conn_ops;
    *out = &c->conn;
    return PW_IO_OK;
}

static int tls_listener_fd(struct pw_listener *listener)
{
    return listener_of(listener)->poll_fd;
}

static void tls_listener_url(struct pw_listener *listener, char *out, size_t size)
{
    char name[PW_TCP_NAME_MAX];
    snprintf(out, size, "tls://%s", pw_tcp_local_name(listener_of(listener)->socket_fd, name));
}

static const struct pw_listener_ops tls_listener_ops = {
    .accept = tls_accept,
    .fd = tls_listener_fd,
    .url = tls_listener_url,
    .destroy = tls_listener_destroy,
};

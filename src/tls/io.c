/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * io.c - bytes through a connection over TLS. Threads and the lock as conn.h says.
 */
#include "tls/io.h"

#include "base/error.h"
#include "transport/socket.h"
#include "transport/tcp.h"

#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- In ------------------------------------------------------------------------------------ */

/* How receiving ends that has no byte; what it waits for is noted. */
static enum pw_io received_none_locked(struct pw_tls_conn *c, int returned,
                                       struct pywatt_error *error)
{
    const enum pw_tls_result result = pw_tls_conn_result_locked(c, returned);
    atomic_store_explicit(&c->read_wants_write, result == PW_TLS_WANTS_WRITE, memory_order_relaxed);
    switch (result) {
    case PW_TLS_WANTS_READ:
    case PW_TLS_WANTS_WRITE: return PW_IO_AGAIN;
    case PW_TLS_ENDED: return PW_IO_EOF;
    case PW_TLS_FAILED: break;
    }
    if (c->eof && !c->heard) {
        return PW_IO_EOF; /* it has said nothing at all, as those do who try whether a port is open */
    }
    return pw_tls_conn_fail_locked(c, "receiving", error);
}

/* Whether there is ciphertext, or more, that the kernel no longer has. */
static bool holds_locked(const struct pw_tls_conn *c)
{
    return c->raw_len > 0 || SSL_has_pending(c->ssl) == 1;
}

/* Until the buffer is full, or nothing is held any more; the kernel tells of all else. */
static enum pw_io receive_all_locked(struct pw_tls_conn *c, uint8_t *buffer, size_t len,
                                     size_t *got, struct pywatt_error *error)
{
    enum pw_io last = PW_IO_OK;
    while (last == PW_IO_OK && *got < len) {
        size_t moved = 0;
        const int returned = SSL_read_ex(c->ssl, buffer + *got, len - *got, &moved);
        const enum pywatt_status status = pw_tls_conn_note_open_locked(c);
        if (status != PYWATT_OK) {
            return pw_tls_conn_not_open_locked(c, status, error);
        }
        if (returned != 1) {
            last = received_none_locked(c, returned, error);
            break;
        }
        *got += moved;
        if (!holds_locked(c)) {
            break;
        }
    }
    /* An end or a failure behind these bytes comes with the next call. */
    const bool more =
        *got > 0 && (last == PW_IO_EOF || last == PW_IO_ERROR || (*got == len && holds_locked(c)));
    atomic_store_explicit(&c->more, more, memory_order_relaxed);
    return *got > 0 ? PW_IO_OK : last;
}

static enum pw_io receive_locked(struct pw_tls_conn *c, void *buffer, size_t len, size_t *got,
                                 struct pywatt_error *error)
{
    struct pw_tls_call call;
    *got = 0;
    if (c->failed != PYWATT_OK) {
        atomic_store_explicit(&c->more, false, memory_order_relaxed);
        return pw_tls_conn_failed_locked(c, error);
    }
    const enum pw_io result = pw_tls_conn_enter_locked(c, &call)
                                  ? receive_all_locked(c, buffer, len, got, error)
                                  : pw_tls_conn_no_memory_locked(c, error);
    pw_tls_conn_leave_locked(c);
    return result;
}

static enum pw_io tls_receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                              struct pywatt_error *error)
{
    struct pw_tls_conn *const c = pw_tls_conn_of(conn);
    pw_mutex_lock(&c->lock);
    const enum pw_io result = receive_locked(c, buffer, len, got, error);
    pw_mutex_unlock(&c->lock);
    return result;
}

/* In recv(2), without the lock, if nothing is there already. PW_IO_OK: OpenSSL has something to do. */
static enum pw_io wait_for_bytes(struct pw_tls_conn *c, struct pywatt_error *error)
{
    pw_mutex_lock(&c->lock);
    const bool waits = c->failed == PYWATT_OK && c->raw_len == 0 &&
                       !atomic_load_explicit(&c->more, memory_order_relaxed) &&
                       !atomic_load_explicit(&c->read_wants_write, memory_order_relaxed);
    c->waiting = waits;
    pw_mutex_unlock(&c->lock);
    if (!waits) {
        return PW_IO_OK;
    }
    size_t got = 0;
    const enum pw_io result = pw_fd_receive_patiently(c->fd, c->raw, PW_TLS_RAW_SIZE, &got, error);
    pw_mutex_lock(&c->lock);
    c->waiting = false;
    c->raw_start = 0;
    c->raw_len = got;
    pw_mutex_unlock(&c->lock);
    if (result == PW_IO_ERROR) {
        /* The socket tells it once; whoever asked again would only hear of an end. */
        pw_error_prefix(error, "%s", c->peer);
        return result;
    }
    return result == PW_IO_AGAIN ? result : PW_IO_OK;
}

static enum pw_io tls_receive_patiently(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                                        struct pywatt_error *error)
{
    *got = 0;
    /* An end is found once more by who asks for it. */
    const enum pw_io result = wait_for_bytes(pw_tls_conn_of(conn), error);
    return result == PW_IO_OK ? tls_receive(conn, buffer, len, got, error) : result;
}

/* ---- Out ----------------------------------------------------------------------------------- */

static enum pw_io send_bytes_locked(struct pw_tls_conn *c, const void *data, size_t len,
                                    size_t *sent, struct pywatt_error *error)
{
    while (*sent < len) {
        size_t moved = 0;
        const int returned =
            SSL_write_ex(c->ssl, (const uint8_t *)data + *sent, len - *sent, &moved);
        if (returned == 1) {
            *sent += moved;
            continue;
        }
        const enum pw_tls_result result = pw_tls_conn_result_locked(c, returned);
        atomic_store_explicit(&c->write_wants_read, result == PW_TLS_WANTS_READ,
                              memory_order_relaxed);
        return result == PW_TLS_WANTS_READ || result == PW_TLS_WANTS_WRITE
                   ? PW_IO_AGAIN
                   : pw_tls_conn_fail_locked(c, "sending", error);
    }
    atomic_store_explicit(&c->write_wants_read, false, memory_order_relaxed);
    return PW_IO_OK;
}

/* The rest of the pieces comes with the next call, as after a socket that took no more. */
static enum pw_io send_first_locked(struct pw_tls_conn *c, const struct iovec *pieces, int count,
                                    size_t *sent, struct pywatt_error *error)
{
    int first = 0;
    while (first < count - 1 && pieces[first].iov_len == 0) {
        first++;
    }
    return send_bytes_locked(c, pieces[first].iov_base, pieces[first].iov_len, sent, error);
}

static enum pw_io send_locked(struct pw_tls_conn *c, const struct iovec *pieces, int count,
                              size_t *sent, struct pywatt_error *error)
{
    struct pw_tls_call call;
    if (c->failed != PYWATT_OK) {
        return pw_tls_conn_failed_locked(c, error);
    }
    enum pw_io result = pw_tls_conn_enter_locked(c, &call)
                            ? send_first_locked(c, pieces, count, sent, error)
                            : pw_tls_conn_no_memory_locked(c, error);
    pw_tls_conn_leave_locked(c);
    /* A failure behind bytes that have left comes with the next call. */
    return *sent > 0 ? PW_IO_OK : result;
}

static enum pw_io tls_send(struct pw_conn *conn, const struct iovec *pieces, int count,
                           size_t *sent, struct pywatt_error *error)
{
    struct pw_tls_conn *const c = pw_tls_conn_of(conn);
    *sent = 0;
    pw_mutex_lock(&c->lock);
    const enum pw_io result = send_locked(c, pieces, count, sent, error);
    pw_mutex_unlock(&c->lock);
    return result;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static bool tls_buffered(struct pw_conn *conn)
{
    return atomic_load_explicit(&pw_tls_conn_of(conn)->more, memory_order_relaxed);
}

static int tls_fd(struct pw_conn *conn)
{
    return pw_tls_conn_of(conn)->fd;
}

static short tls_poll_events(struct pw_conn *conn, short wanted)
{
    struct pw_tls_conn *const c = pw_tls_conn_of(conn);
    short events = 0;
    if ((wanted & POLLIN) != 0) {
        events |=
            atomic_load_explicit(&c->read_wants_write, memory_order_relaxed) ? POLLOUT : POLLIN;
        /* Of bytes that are here already no descriptor tells; but it is writable, as a rule. */
        events |= atomic_load_explicit(&c->more, memory_order_relaxed) ? POLLOUT : 0;
    }
    if ((wanted & POLLOUT) != 0) {
        events |=
            atomic_load_explicit(&c->write_wants_read, memory_order_relaxed) ? POLLIN : POLLOUT;
    }
    return events;
}

static uint32_t tls_opening_ms(struct pw_conn *conn)
{
    const struct pw_tls_conn *const c = pw_tls_conn_of(conn);
    return atomic_load_explicit(&c->open, memory_order_relaxed) ? 0 : c->tls->handshake_timeout_ms;
}

static struct pw_grant *tls_grant(struct pw_conn *conn)
{
    struct pw_tls_conn *const c = pw_tls_conn_of(conn);
    return atomic_load_explicit(&c->open, memory_order_acquire) ? c->grant : NULL;
}

/* ---- The rest ------------------------------------------------------------------------------ */

/*
 * Tells the peer that this is the end, as far as that goes at once. OpenSSL resumes no session whose
 * connection ended without.
 */
static void say_farewell_locked(struct pw_tls_conn *c)
{
    struct pw_tls_call call;
    if (c->shut || c->failed != PYWATT_OK ||
        !atomic_load_explicit(&c->open, memory_order_relaxed)) {
        return;
    }
    (void)pw_tls_conn_enter_locked(c, &call);
    (void)SSL_shutdown(c->ssl);
    ERR_clear_error();
    pw_tls_conn_leave_locked(c);
}

static void tls_shutdown(struct pw_conn *conn)
{
    struct pw_tls_conn *const c = pw_tls_conn_of(conn);
    pw_mutex_lock(&c->lock);
    say_farewell_locked(c);
    c->shut = true;
    pw_mutex_unlock(&c->lock);
    (void)shutdown(c->fd, SHUT_RDWR);
}

static void tls_local_address(struct pw_conn *conn, struct pw_address *out)
{
    pw_tcp_local_address(pw_tls_conn_of(conn)->fd, out);
}

static void tls_peer_name(struct pw_conn *conn, char *out, size_t size)
{
    snprintf(out, size, "%s", pw_tls_conn_of(conn)->peer);
}

static void tls_destroy(struct pw_conn *conn)
{
    struct pw_tls_conn *const c = pw_tls_conn_of(conn);
    pw_mutex_lock(&c->lock);
    say_farewell_locked(c);
    pw_mutex_unlock(&c->lock);
    pw_tls_conn_destroy(c);
}

const struct pw_conn_ops pw_tls_client_conn_ops = {
    .receive = tls_receive,
    .receive_patiently = tls_receive_patiently,
    .send = tls_send,
    .buffered = tls_buffered,
    .fd = tls_fd,
    .poll_events = tls_poll_events,
    .shutdown = tls_shutdown,
    .local_address = tls_local_address,
    .peer_name = tls_peer_name,
    .destroy = tls_destroy,
};

const struct pw_conn_ops pw_tls_server_conn_ops = {
    .receive = tls_receive,
    .send = tls_send,
    .buffered = tls_buffered,
    .fd = tls_fd,
    .poll_events = tls_poll_events,
    .shutdown = tls_shutdown,
    .opening_ms = tls_opening_ms,
    .grant = tls_grant,
    .local_address = tls_local_address,
    .peer_name = tls_peer_name,
    .destroy = tls_destroy,
};

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * transport.c - the table of transports, and the checked way into their functions. No lock; threads
 * as transport.h says.
 *
 * That a table of functions is whole is checked once for each connection or listener, where it is
 * made, and its arguments on each call.
 */
#include "transport/transport.h"

#include "transport/memory.h"
#include "transport/tcp.h"
#include "transport/tls.h"
#include "transport/unix.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* To add a transport, add its line. */
static const struct pw_transport_ops *const transports[] = {
    &pw_tcp_transport, &pw_unix_transport, &pw_memory_transport, &pw_tls_transport, NULL,
};

const struct pw_transport_ops *const *pw_transport_all(void)
{
    return transports;
}

const struct pw_transport_ops *pw_transport_by_scheme(const char *scheme, size_t len)
{
    for (const struct pw_transport_ops *const *ops = transports; *ops != NULL; ops++) {
        if (strlen((*ops)->scheme) == len && strncasecmp((*ops)->scheme, scheme, len) == 0) {
            return *ops;
        }
    }
    return NULL;
}

static void check_conn(const struct pw_conn *conn)
{
    (void)conn;
    assert(conn != NULL && conn->ops != NULL);
    assert(conn->ops->receive != NULL && conn->ops->send != NULL);
    assert(conn->ops->buffered != NULL && conn->ops->fd != NULL && conn->ops->poll_events != NULL);
    assert(conn->ops->shutdown != NULL && conn->ops->destroy != NULL);
    assert(conn->ops->local_address != NULL && conn->ops->peer_name != NULL);
}

static void check_listener(const struct pw_listener *listener)
{
    (void)listener;
    assert(listener != NULL && listener->ops != NULL);
    assert(listener->ops->accept != NULL && listener->ops->fd != NULL);
    assert(listener->ops->url != NULL && listener->ops->destroy != NULL);
}

enum pywatt_status pw_transport_connect(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                        int cancel_fd, struct pw_conn **out,
                                        struct pywatt_error *error)
{
    assert(endpoint != NULL && endpoint->transport != NULL && out != NULL);
    *out = NULL;
    const enum pywatt_status status =
        endpoint->transport->connect(endpoint, deadline_ns, cancel_fd, out, error);
    if (status == PYWATT_OK) {
        check_conn(*out);
    }
    return status;
}

enum pywatt_status pw_transport_listen(const struct pw_endpoint *endpoint, struct pw_listener **out,
                                       struct pywatt_error *error)
{
    assert(endpoint != NULL && endpoint->transport != NULL && out != NULL);
    *out = NULL;
    const enum pywatt_status status = endpoint->transport->listen(endpoint, out, error);
    if (status == PYWATT_OK) {
        check_listener(*out);
    }
    return status;
}

enum pw_io pw_conn_receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                           struct pywatt_error *error)
{
    assert(buffer != NULL && len > 0 && got != NULL);
    const enum pw_io result = conn->ops->receive(conn, buffer, len, got, error);
    assert(result != PW_IO_OK || (*got > 0 && *got <= len));
    return result;
}

bool pw_conn_may_wait(struct pw_conn *conn)
{
    return conn->ops->receive_patiently != NULL;
}

enum pw_io pw_conn_receive_patiently(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                                     struct pywatt_error *error)
{
    assert(buffer != NULL && len > 0 && got != NULL);
    const enum pw_io result = conn->ops->receive_patiently(conn, buffer, len, got, error);
    assert(result != PW_IO_OK || (*got > 0 && *got <= len));
    return result;
}

enum pw_io pw_conn_send(struct pw_conn *conn, const struct iovec *pieces, int count, size_t *sent,
                        struct pywatt_error *error)
{
    assert(pieces != NULL && count > 0 && sent != NULL);
    const enum pw_io result = conn->ops->send(conn, pieces, count, sent, error);
    assert(result != PW_IO_EOF);
    return result;
}

uint32_t pw_conn_opening_ms(struct pw_conn *conn)
{
    return conn->ops->opening_ms == NULL ? 0 : conn->ops->opening_ms(conn);
}

struct pw_grant *pw_conn_grant(struct pw_conn *conn)
{
    return conn->ops->grant == NULL ? NULL : conn->ops->grant(conn);
}

bool pw_conn_credentials(struct pw_conn *conn, struct pw_credentials *out)
{
    assert(out != NULL);
    return conn->ops->credentials != NULL && conn->ops->credentials(conn, out);
}

bool pw_conn_buffered(struct pw_conn *conn)
{
    return conn->ops->buffered(conn);
}

int pw_conn_fd(struct pw_conn *conn)
{
    return conn->ops->fd(conn);
}

short pw_conn_poll_events(struct pw_conn *conn, short wanted)
{
    return conn->ops->poll_events(conn, wanted);
}

void pw_conn_shutdown(struct pw_conn *conn)
{
    conn->ops->shutdown(conn);
}

void pw_conn_local_address(struct pw_conn *conn, struct pw_address *out)
{
    assert(out != NULL);
    conn->ops->local_address(conn, out);
}

void pw_conn_peer_name(struct pw_conn *conn, char *out, size_t size)
{
    assert(out != NULL && size > 0);
    conn->ops->peer_name(conn, out, size);
}

void pw_conn_destroy(struct pw_conn *conn)
{
    if (conn != NULL) {
        conn->ops->destroy(conn);
    }
}

enum pw_io pw_listener_accept(struct pw_listener *listener, struct pw_conn **out,
                              struct pywatt_error *error)
{
    assert(out != NULL);
    *out = NULL;
    const enum pw_io result = listener->ops->accept(listener, out, error);
    assert(result != PW_IO_EOF);
    if (result == PW_IO_OK) {
        check_conn(*out);
    }
    return result;
}

int pw_listener_fd(struct pw_listener *listener)
{
    return listener->ops->fd(listener);
}

void pw_listener_url(struct pw_listener *listener, char *out, size_t size)
{
    assert(out != NULL && size > 0);
    listener->ops->url(listener, out, size);
}

void pw_listener_destroy(struct pw_listener *listener)
{
    if (listener != NULL) {
        listener->ops->destroy(listener);
    }
}

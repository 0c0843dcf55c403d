/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * raw_server.c - see the header. Everything but start and end runs on the server's thread, which is
 * woken by an eventfd to end. A peer that does not read stops it from sending, not from serving others.
 */
#include "raw_server.h"

#include "place.h"
#include "pw_test.h"
#include "transport/transport.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 64,
    CHUNK = 65536,
    PATIENCE_MS = 20000,
    MAX_PAYLOAD = 1 << 24
};

struct connection {
    struct pw_conn *conn; /* NULL: free */
    struct pw_buffer in;
    struct pw_buffer out;
    unsigned number;
    unsigned frames;
    bool ending; /* once all is sent */
};

struct raw_server {
    char url[128];
    raw_handler handler;
    void *user;
    struct pw_listener *listener;
    int end_fd;
    pthread_t thread;
    unsigned accepted;
    atomic_uint ending; /* connections that the handler has done with, and that are still there */
    struct connection connections[CONNECTIONS_MAX];
};

void raw_put_frame(struct pw_buffer *out, uint8_t format_code, const void *payload, size_t len)
{
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_frame_write_header(header, (uint32_t)len, format_code);
    if (pw_buffer_append(out, header, sizeof(header)) != PYWATT_OK ||
        pw_buffer_append(out, payload, len) != PYWATT_OK) {
        abort();
    }
}

static void hang_up(struct raw_server *server, struct connection *connection)
{
    if (connection->conn != NULL) {
        pw_conn_destroy(connection->conn);
        pw_buffer_destroy(&connection->in);
        pw_buffer_destroy(&connection->out);
        connection->conn = NULL;
        if (connection->ending) {
            atomic_fetch_sub(&server->ending, 1);
        }
    }
}

static void accept_all(struct raw_server *server)
{
    struct pw_conn *conn;
    while (pw_listener_accept(server->listener, &conn, NULL) == PW_IO_OK) {
        struct connection *made = server->connections;
        while (made < server->connections + CONNECTIONS_MAX && made->conn != NULL) {
            made++;
        }
        if (made == server->connections + CONNECTIONS_MAX) {
            abort();
        }
        *made = (struct connection){.conn = conn, .number = server->accepted++};
        pw_buffer_init(&made->in, (size_t)1 << 26);
        pw_buffer_init(&made->out, (size_t)1 << 28);
    }
}

/* False once the peer is gone. */
static bool receive(struct connection *connection)
{
    for (;;) {
        uint8_t *room;
        size_t got;
        if (pw_buffer_reserve(&connection->in, CHUNK, &room) != PYWATT_OK) {
            abort();
        }
        const enum pw_io result = pw_conn_receive(connection->conn, room, CHUNK, &got, NULL);
        if (result != PW_IO_OK) {
            return result == PW_IO_AGAIN;
        }
        pw_buffer_commit(&connection->in, got);
    }
}

/* False once it is over. */
static bool send_out(struct connection *connection)
{
    while (pw_buffer_len(&connection->out) > 0) {
        const struct pw_span bytes = pw_buffer_span(&connection->out);
        const struct iovec piece = {(void *)(uintptr_t)bytes.data, bytes.len};
        size_t sent;
        const enum pw_io result = pw_conn_send(connection->conn, &piece, 1, &sent, NULL);
        if (result != PW_IO_OK) {
            return result == PW_IO_AGAIN;
        }
        pw_buffer_consume(&connection->out, sent);
    }
    return !connection->ending;
}

/* False once it is over. Each reply leaves before the next request is looked at. */
static bool serve(struct raw_server *server, struct connection *connection)
{
    struct pw_frame frame;
    size_t size;
    while (!connection->ending && pw_frame_parse(pw_buffer_span(&connection->in), MAX_PAYLOAD,
                                                 &frame, &size) == PW_FRAME_WHOLE) {
        connection->ending = !server->handler(server->user, connection->number,
                                              connection->frames++, &frame, &connection->out);
        if (connection->ending) {
            atomic_fetch_add(&server->ending, 1);
        }
        pw_buffer_consume(&connection->in, size);
        if (!send_out(connection)) {
            return false;
        }
    }
    return true;
}

static bool wait_for_something(struct raw_server *server)
{
    struct pollfd items[2 + CONNECTIONS_MAX];
    items[0] = (struct pollfd){.fd = server->end_fd, .events = POLLIN};
    items[1] = (struct pollfd){.fd = pw_listener_fd(server->listener), .events = POLLIN};
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *connection = &server->connections[i];
        const bool unsent = connection->conn != NULL && pw_buffer_len(&connection->out) > 0;
        items[2 + i] = (struct pollfd){
            .fd = connection->conn == NULL ? -1 : pw_conn_fd(connection->conn),
            .events = (short)(POLLIN | (unsent ? POLLOUT : 0)),
        };
    }
    poll(items, 2 + CONNECTIONS_MAX, -1);
    return items[0].revents == 0;
}

static void *run(void *arg)
{
    struct raw_server *server = arg;
    while (wait_for_something(server)) {
        accept_all(server);
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
            struct connection *connection = &server->connections[i];
            if (connection->conn == NULL) {
                continue;
            }
            const bool stands = receive(connection);
            if (!serve(server, connection) || !send_out(connection) || !stands) {
                hang_up(server, connection);
            }
        }
    }
    return NULL;
}

struct raw_server *raw_server_start(const char *scheme, raw_handler handler, void *user)
{
    struct pw_endpoint endpoint;
    struct raw_server *server = calloc(1, sizeof(*server));
    assert_non_null(server);
    server->handler = handler;
    server->user = user;
    server->end_fd = eventfd(0, EFD_CLOEXEC);
    place_choose(scheme, server->url, sizeof(server->url));
    assert_int_equal(pw_endpoint_parse(server->url, true, &endpoint, NULL), PYWATT_OK);
    assert_int_equal(pw_transport_listen(&endpoint, &server->listener, NULL), PYWATT_OK);
    pw_listener_url(server->listener, server->url, sizeof(server->url));
    assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
    return server;
}

void raw_server_end(struct raw_server *server)
{
    const uint64_t one = 1;
    assert_int_equal(write(server->end_fd, &one, sizeof(one)), sizeof(one));
    pthread_join(server->thread, NULL);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        hang_up(server, &server->connections[i]);
    }
    pw_listener_destroy(server->listener);
    close(server->end_fd);
    free(server);
}

static bool none_is_ending(void *user)
{
    const struct raw_server *server = user;
    return atomic_load(&server->ending) == 0;
}

void raw_server_await_hang_ups(struct raw_server *server)
{
    if (!pw_test_wait_until(none_is_ending, server, PATIENCE_MS)) {
        fail_msg("the server cannot end a connection");
    }
}

const char *raw_server_url(const struct raw_server *server)
{
    return server->url;
}

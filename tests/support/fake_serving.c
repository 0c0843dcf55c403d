/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fake_serving.c - the fake orchestrator's thread: its listener, its connections, its orders.
 */
#include "fake_private.h"

#include <poll.h>
#include <unistd.h>

/* In programs that make allocations fail, ours do not count. */
__attribute__((weak)) void pw_malloc_fail_pause(void);

/* ---- Connections ----------------------------------------------------------------------------- */

static void end_connection(struct pw_fake_connection *connection)
{
    if (connection->conn != NULL) {
        pw_conn_destroy(connection->conn);
        pw_buffer_destroy(&connection->in);
        pw_buffer_destroy(&connection->out);
        pw_buffer_destroy(&connection->held);
        pw_fake_forget_aliases(connection);
        connection->conn = NULL;
    }
}

static void end_connections(struct pw_fake *fake)
{
    for (size_t i = 0; i < PW_FAKE_CONNECTIONS_MAX; i++) {
        end_connection(&fake->connections[i]);
    }
}

static bool serve_frames(struct pw_fake *fake, struct pw_fake_connection *connection)
{
    for (;;) {
        struct pw_frame frame;
        size_t size;
        const enum pw_frame_result result =
            pw_frame_parse(pw_buffer_span(&connection->in), PW_FAKE_FRAME_MAX, &frame, &size);
        if (result != PW_FRAME_WHOLE) {
            return result == PW_FRAME_MORE;
        }
        if (!pw_fake_serve(fake, connection, &frame)) {
            return false;
        }
        pw_buffer_consume(&connection->in, size);
    }
}

static bool receive(struct pw_fake *fake, struct pw_fake_connection *connection)
{
    for (;;) {
        uint8_t *room;
        size_t got;
        pw_fake_must(pw_buffer_reserve(&connection->in, 4096, &room) == PYWATT_OK,
                     "no memory to receive");
        const enum pw_io result = pw_conn_receive(connection->conn, room, 4096, &got, NULL);
        if (result != PW_IO_OK) {
            return result == PW_IO_AGAIN;
        }
        pw_buffer_commit(&connection->in, got);
        if (!serve_frames(fake, connection)) {
            return false;
        }
    }
}

static bool send_out(struct pw_fake_connection *connection)
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
    return true;
}

static void accept_all(struct pw_fake *fake)
{
    struct pw_conn *conn;
    while (fake->listener != NULL && pw_listener_accept(fake->listener, &conn, NULL) == PW_IO_OK) {
        size_t i = 0;
        while (i < PW_FAKE_CONNECTIONS_MAX && fake->connections[i].conn != NULL) {
            i++;
        }
        pw_fake_must(i < PW_FAKE_CONNECTIONS_MAX, "too many connections");
        struct pw_fake_connection *connection = &fake->connections[i];
        connection->conn = conn;
        connection->told = false;
        pw_buffer_init(&connection->in, 4 * PW_FAKE_FRAME_MAX);
        pw_buffer_init(&connection->out, 64 * PW_FAKE_FRAME_MAX);
        pw_buffer_init(&connection->held, 64 * PW_FAKE_FRAME_MAX);
        pw_mutex_lock(&fake->lock);
        fake->connected++;
        pw_mutex_unlock(&fake->lock);
    }
}

/* ---- The thread ------------------------------------------------------------------------------ */

void pw_fake_open_listener(struct pw_fake *fake)
{
    struct pywatt_error error;
    if (pw_transport_listen(&fake->endpoint, &fake->listener, &error) != PYWATT_OK) {
        pw_fake_must(false, error.text);
    }
}

static void close_listener(struct pw_fake *fake)
{
    if (fake->listener != NULL) {
        pw_listener_destroy(fake->listener);
        fake->listener = NULL;
    }
}

static void release_held(struct pw_fake *fake)
{
    for (size_t i = 0; i < PW_FAKE_CONNECTIONS_MAX; i++) {
        struct pw_fake_connection *connection = &fake->connections[i];
        if (connection->conn != NULL && pw_buffer_len(&connection->held) > 0) {
            pw_fake_must(pw_buffer_append(&connection->out, pw_buffer_bytes(&connection->held),
                                          pw_buffer_len(&connection->held)) == PYWATT_OK,
                         "no memory for held replies");
            pw_buffer_clear(&connection->held);
        }
    }
}

/* False if that was the last one. */
static bool carry_out(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    const enum pw_fake_order order = fake->order;
    pw_mutex_unlock(&fake->lock);
    switch (order) {
    case PW_FAKE_ORDER_NONE: return true;
    case PW_FAKE_ORDER_DISCONNECT: end_connections(fake); break;
    case PW_FAKE_ORDER_COME_BACK: pw_fake_open_listener(fake); break;
    case PW_FAKE_ORDER_RELEASE: release_held(fake); break;
    case PW_FAKE_ORDER_GO_AWAY:
    case PW_FAKE_ORDER_END:
        close_listener(fake);
        end_connections(fake);
        break;
    }
    pw_mutex_lock(&fake->lock);
    fake->order = PW_FAKE_ORDER_NONE;
    pw_cond_broadcast(&fake->changed);
    pw_mutex_unlock(&fake->lock);
    return order != PW_FAKE_ORDER_END;
}

static nfds_t fill_polls(struct pw_fake *fake, struct pollfd *polls)
{
    polls[0] = (struct pollfd){.fd = fake->wake_fd, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = -1};
    if (fake->listener != NULL) {
        polls[1] = (struct pollfd){.fd = pw_listener_fd(fake->listener), .events = POLLIN};
    }
    for (size_t i = 0; i < PW_FAKE_CONNECTIONS_MAX; i++) {
        struct pw_fake_connection *connection = &fake->connections[i];
        polls[2 + i] = (struct pollfd){.fd = -1};
        if (connection->conn != NULL) {
            polls[2 + i].fd = pw_conn_fd(connection->conn);
            polls[2 + i].events =
                (short)(POLLIN | (pw_buffer_len(&connection->out) > 0 ? POLLOUT : 0));
        }
    }
    return 2 + PW_FAKE_CONNECTIONS_MAX;
}

void *pw_fake_run(void *arg)
{
    struct pw_fake *fake = arg;
    if (pw_malloc_fail_pause != NULL) {
        pw_malloc_fail_pause();
    }
    while (carry_out(fake)) {
        accept_all(fake);
        for (size_t i = 0; i < PW_FAKE_CONNECTIONS_MAX; i++) {
            struct pw_fake_connection *connection = &fake->connections[i];
            if (connection->conn != NULL && !(receive(fake, connection) && send_out(connection))) {
                end_connection(connection);
            }
        }
        struct pollfd polls[2 + PW_FAKE_CONNECTIONS_MAX];
        poll(polls, fill_polls(fake, polls), -1);
        if (polls[0].revents != 0) {
            uint64_t count;
            (void)!read(fake->wake_fd, &count, sizeof(count));
        }
    }
    return NULL;
}

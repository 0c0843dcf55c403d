/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A connection that holds bytes of which its descriptor no longer tells, or that has to write before
 * it can read on, as one with encryption may: the worker goes by what it says to poll for. The
 * connection is a fake over one in memory, which takes all that there is and gives it out in crumbs.
 */
#include "world.h"

#include "base/clock.h"
#include "orchestrator/session.h"
#include "transport/memory.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUESTS = 3000,
    CRUMB = 700
};

struct hoard {
    struct pw_conn conn;
    struct pw_conn *inner;
    struct pw_buffer held;
    bool writes_first; /* receiving goes on once it is writable, and was asked again */
};

static struct hoard *hoard_of(struct pw_conn *conn)
{
    return PW_CONTAINER_OF(conn, struct hoard, conn);
}

static enum pw_io hoard_receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                                struct pywatt_error *error)
{
    struct hoard *const hoard = hoard_of(conn);
    enum pw_io last = PW_IO_OK;
    *got = 0;
    if (hoard->writes_first && pw_buffer_len(&hoard->held) == 0) {
        struct pollfd writable = {.fd = pw_conn_fd(hoard->inner), .events = POLLOUT};
        hoard->writes_first = poll(&writable, 1, 0) < 1;
        return PW_IO_AGAIN;
    }
    while (last == PW_IO_OK) {
        uint8_t bytes[4096];
        size_t moved = 0;
        last = pw_conn_receive(hoard->inner, bytes, sizeof(bytes), &moved, error);
        if (pw_buffer_append(&hoard->held, bytes, moved) != PYWATT_OK) {
            abort();
        }
    }
    size_t given = pw_buffer_len(&hoard->held);
    if (given == 0) {
        return last;
    }
    given = given < CRUMB ? given : CRUMB;
    given = given < len ? given : len;
    memcpy(buffer, pw_buffer_bytes(&hoard->held), given);
    pw_buffer_consume(&hoard->held, given);
    *got = given;
    return PW_IO_OK;
}

static enum pw_io hoard_send(struct pw_conn *conn, const struct iovec *pieces, int count,
                             size_t *sent, struct pywatt_error *error)
{
    return pw_conn_send(hoard_of(conn)->inner, pieces, count, sent, error);
}

static bool hoard_buffered(struct pw_conn *conn)
{
    return pw_buffer_len(&hoard_of(conn)->held) > 0;
}

static int hoard_fd(struct pw_conn *conn)
{
    return pw_conn_fd(hoard_of(conn)->inner);
}

static short hoard_poll_events(struct pw_conn *conn, short wanted)
{
    const struct hoard *const hoard = hoard_of(conn);
    if ((wanted & POLLIN) != 0 && hoard->writes_first) {
        return POLLOUT;
    }
    return (short)(wanted | ((wanted & POLLIN) != 0 && hoard_buffered(conn) ? POLLOUT : 0));
}

static void hoard_shutdown(struct pw_conn *conn)
{
    pw_conn_shutdown(hoard_of(conn)->inner);
}

static void hoard_local_address(struct pw_conn *conn, struct pw_address *out)
{
    pw_conn_local_address(hoard_of(conn)->inner, out);
}

static void hoard_peer_name(struct pw_conn *conn, char *out, size_t size)
{
    pw_conn_peer_name(hoard_of(conn)->inner, out, size);
}

static void hoard_destroy(struct pw_conn *conn)
{
    struct hoard *const hoard = hoard_of(conn);
    pw_conn_destroy(hoard->inner);
    pw_buffer_destroy(&hoard->held);
    free(hoard);
}

static const struct pw_conn_ops hoard_ops = {
    .receive = hoard_receive,
    .send = hoard_send,
    .buffered = hoard_buffered,
    .fd = hoard_fd,
    .poll_events = hoard_poll_events,
    .shutdown = hoard_shutdown,
    .local_address = hoard_local_address,
    .peer_name = hoard_peer_name,
    .destroy = hoard_destroy,
};

/* `peer` gets a connection whose other end the orchestrator has as a hoard. */
static void connect_hoard(struct world *world, struct peer *peer, bool writes_first)
{
    struct pw_server *const server = &world->orchestrator->server;
    struct hoard *const hoard = calloc(1, sizeof(*hoard));
    struct pw_conn *outer = NULL;
    assert_non_null(hoard);
    hoard->conn.ops = &hoard_ops;
    hoard->writes_first = writes_first;
    pw_buffer_init(&hoard->held, (size_t)1 << 24);
    world_peer(world, peer, "json");
    pw_conn_destroy(peer->conn);
    assert_int_equal(pw_memory_pair(&hoard->inner, &outer, NULL), PYWATT_OK);
    peer->conn = outer;
    struct pw_session *const session = pw_session_new(&server->workers[0], &hoard->conn, NULL);
    assert_non_null(session);
    atomic_fetch_add(&server->connections, 1);
    pw_worker_post(&server->workers[0], &session->arrival);
}

static void all_that_is_held_is_served(void **state)
{
    (void)state;
    const unsigned count = pw_test_slow_factor() == 1 ? REQUESTS : 600;
    struct world world;
    struct peer peer;
    struct identity who;
    struct pw_buffer all;
    world_begin(&world);
    connect_hoard(&world, &peer, false);
    assert_int_equal(peer_register(&peer, "camera", &who), PYWATT_OK);
    pw_buffer_init(&all, (size_t)1 << 24);
    for (unsigned i = 0; i < count; i++) {
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        assert_true(peer_pack(&peer, &beat, &all));
    }
    /* More than is taken out of it at one turn. */
    assert_true(pw_test_slow_factor() != 1 || pw_buffer_len(&all) > 2 * 128 * CRUMB);
    assert_true(peer_send_raw(&peer, pw_buffer_bytes(&all), pw_buffer_len(&all)));
    for (unsigned i = 0; i < count; i++) {
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
    }
    pw_buffer_destroy(&all);
    peer_close(&peer);
    world_stop(&world);
}

static void one_that_has_to_write_first_is_read_when_it_is_writable(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    connect_hoard(&world, &peer, true);
    assert_int_equal(peer_register(&peer, "camera", &who), PYWATT_OK);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(all_that_is_held_is_served),
        cmocka_unit_test(one_that_has_to_write_first_is_read_when_it_is_writable),
    };
    return pw_test_run("buffered", cases, sizeof(cases) / sizeof(cases[0]), NULL, NULL);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tap.c - see tap.h. The receiving side belongs to whoever receives, the sending side to whoever
 * sends, as transport.h demands; the settings are atomic.
 */
#include "tap.h"

#include "base/bytes.h"
#include "base/error.h"
#include "transport/memory.h"

#include <poll.h>
#include <string.h>

static struct tap *tap_of(struct pw_conn *conn)
{
    return PW_CONTAINER_OF(conn, struct tap, conn);
}

static enum pw_io receive_kept(struct tap *tap, void *buffer, size_t len, size_t *got,
                               struct pywatt_error *error)
{
    if (tap->kept_len == 0) {
        const enum pw_io result =
            pw_conn_receive(tap->inner, tap->kept, sizeof(tap->kept), &tap->kept_len, error);
        if (result != PW_IO_OK) {
            tap->kept_len = 0;
            return result;
        }
    }
    *got = len < tap->kept_len ? len : tap->kept_len;
    memcpy(buffer, tap->kept, *got);
    memmove(tap->kept, tap->kept + *got, tap->kept_len - *got);
    tap->kept_len -= *got;
    return PW_IO_OK;
}

static enum pw_io tap_receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                              struct pywatt_error *error)
{
    struct tap *tap = tap_of(conn);
    const size_t most = atomic_load(&tap->receive_at_most);
    atomic_fetch_add(&tap->receives, 1);
    if (most != 0 && most < len) {
        len = most;
    }
    return atomic_load(&tap->keeps_back) ? receive_kept(tap, buffer, len, got, error)
                                         : pw_conn_receive(tap->inner, buffer, len, got, error);
}

static enum pw_io tap_send(struct pw_conn *conn, const struct iovec *pieces, int count,
                           size_t *sent, struct pywatt_error *error)
{
    struct tap *tap = tap_of(conn);
    atomic_fetch_add(&tap->sends, 1);
    if (atomic_load(&tap->fail_sends)) {
        *sent = 0;
        pw_error_set(error, PYWATT_IO, "the tap fails");
        return PW_IO_ERROR;
    }
    const enum pw_io result = pw_conn_send(tap->inner, pieces, count, sent, error);
    if (atomic_load(&tap->hold_sends)) {
        sem_post(&tap->held);
        while (sem_wait(&tap->go) != 0) {
        }
    }
    return result;
}

static bool tap_buffered(struct pw_conn *conn)
{
    struct tap *tap = tap_of(conn);
    return tap->kept_len > 0 || pw_conn_buffered(tap->inner);
}

static int tap_fd(struct pw_conn *conn)
{
    return pw_conn_fd(tap_of(conn)->inner);
}

static short tap_poll_events(struct pw_conn *conn, short wanted)
{
    return pw_conn_poll_events(tap_of(conn)->inner, wanted);
}

static void tap_shutdown(struct pw_conn *conn)
{
    pw_conn_shutdown(tap_of(conn)->inner);
}

static void tap_local_address(struct pw_conn *conn, struct pw_address *out)
{
    pw_conn_local_address(tap_of(conn)->inner, out);
}

static void tap_peer_name(struct pw_conn *conn, char *out, size_t size)
{
    pw_conn_peer_name(tap_of(conn)->inner, out, size);
}

static void tap_destroy(struct pw_conn *conn)
{
    pw_conn_destroy(tap_of(conn)->inner);
}

static const struct pw_conn_ops ops = {
    .receive = tap_receive,
    .send = tap_send,
    .buffered = tap_buffered,
    .fd = tap_fd,
    .poll_events = tap_poll_events,
    .shutdown = tap_shutdown,
    .local_address = tap_local_address,
    .peer_name = tap_peer_name,
    .destroy = tap_destroy,
};

struct pw_conn *tap_init(struct tap *tap, struct pw_conn *inner)
{
    memset(tap, 0, sizeof(*tap));
    tap->conn.ops = &ops;
    tap->inner = inner;
    sem_init(&tap->held, 0, 0);
    sem_init(&tap->go, 0, 0);
    return &tap->conn;
}

void tap_end(struct tap *tap)
{
    sem_destroy(&tap->held);
    sem_destroy(&tap->go);
}

void rig_start_tapped(struct rig *rig, struct tap *tap)
{
    struct pw_conn *ours;
    struct pw_conn *theirs;
    rig_init(rig);
    assert_int_equal(pw_memory_pair(&ours, &theirs, NULL), PYWATT_OK);
    rig_connect_over(rig, tap_init(tap, ours), theirs);
}

void tap_wait_held(struct tap *tap)
{
    while (sem_wait(&tap->held) != 0) {
    }
}

void tap_let_go(struct tap *tap)
{
    atomic_store(&tap->hold_sends, false);
    sem_post(&tap->go);
}

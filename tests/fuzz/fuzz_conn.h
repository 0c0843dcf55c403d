/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_conn.h - what the connections that fuzz targets play have in common: the operations of struct
 * pw_conn_ops in which nothing happens. Each always looks ready to poll(2). Main thread.
 */
#ifndef PW_TESTS_FUZZ_CONN_H
#define PW_TESTS_FUZZ_CONN_H

#include "transport/transport.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/eventfd.h>

static inline bool fuzz_conn_buffered(struct pw_conn *conn)
{
    (void)conn;
    return false;
}

static inline int fuzz_conn_fd(struct pw_conn *conn)
{
    static int fd = -1;
    (void)conn;
    if (fd < 0) {
        fd = eventfd(1, EFD_CLOEXEC);
    }
    return fd;
}

static inline short fuzz_conn_poll_events(struct pw_conn *conn, short wanted)
{
    (void)conn;
    return wanted;
}

static inline void fuzz_conn_local_address(struct pw_conn *conn, struct pw_address *out)
{
    (void)conn;
    *out = (struct pw_address){.port = 0};
}

static inline void fuzz_conn_peer_name(struct pw_conn *conn, char *out, size_t size)
{
    (void)conn;
    snprintf(out, size, "a fuzzer");
}

/* Of struct pw_conn_ops; the rest is the target's. */
#define FUZZ_CONN_OPS                                                                         \
    .buffered = fuzz_conn_buffered, .fd = fuzz_conn_fd, .poll_events = fuzz_conn_poll_events, \
    .local_address = fuzz_conn_local_address, .peer_name = fuzz_conn_peer_name

#endif

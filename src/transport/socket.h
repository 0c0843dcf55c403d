/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * socket.h - what the transports over stream sockets share: moving bytes, waiting, accepting, and a
 * connection that is nothing but a socket.
 *
 * The functions pw_fd_* work on a descriptor, for a transport that puts something in between; those
 * of pw_socket_* are slots for a `struct pw_conn_ops`. Threads: as transport.h says.
 */
#ifndef PW_TRANSPORT_SOCKET_H
#define PW_TRANSPORT_SOCKET_H

#include "transport/transport.h"

/* A queue for connections that wait to be accepted; the kernel cuts it to net.core.somaxconn. */
#define PW_LISTEN_BACKLOG 4096

/* As the slots of the same name of struct pw_conn_ops. PYWATT_IO on PW_IO_ERROR. */
enum pw_io pw_fd_receive(int fd, void *buffer, size_t len, size_t *got, struct pywatt_error *error);
enum pw_io pw_fd_send(int fd, const struct iovec *pieces, int count, size_t *sent,
                      struct pywatt_error *error);

/* Waits for PW_PATIENCE_MS at most if the descriptor was made patient; else it never blocks. */
enum pw_io pw_fd_receive_patiently(int fd, void *buffer, size_t len, size_t *got,
                                   struct pywatt_error *error);
void pw_fd_be_patient(int fd);

/*
 * Accepts one connection into *out, non-blocking and close-on-exec. Connections that were gone
 * before they could be accepted are passed over. PW_IO_OK, PW_IO_AGAIN, or PW_IO_ERROR with
 * PYWATT_IO or PYWATT_NO_MEMORY, after which the listener still works.
 */
enum pw_io pw_fd_accept(int listener_fd, int *out, struct pywatt_error *error);

/*
 * Waits until `fd` (-1 for none) has one of `events` or an error to report. PYWATT_OK;
 * PYWATT_CLOSED if `cancel_fd` (-1 for none) is readable, which goes before everything else;
 * PYWATT_TIMEOUT.
 */
enum pywatt_status pw_fd_wait(int fd, short events, uint64_t deadline_ns, int cancel_fd);

/* The same without waiting: whether there is still time to go on. */
enum pywatt_status pw_deadline_check(uint64_t deadline_ns, int cancel_fd);

/* A connection that is a socket and nothing else. */
struct pw_socket {
    struct pw_conn conn;
    int fd;
    char peer[]; /* its name for log lines */
};

/*
 * Makes a connection of `fd`, which is consumed in any case. `ops` is kept, `peer` copied.
 * PYWATT_OK, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_socket_new(const struct pw_conn_ops *ops, int fd, const char *peer,
                                 struct pw_conn **out, struct pywatt_error *error);

enum pw_io pw_socket_receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                             struct pywatt_error *error);
enum pw_io pw_socket_receive_patiently(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                                       struct pywatt_error *error);
enum pw_io pw_socket_send(struct pw_conn *conn, const struct iovec *pieces, int count, size_t *sent,
                          struct pywatt_error *error);
bool pw_socket_buffered(struct pw_conn *conn);
int pw_socket_fd(struct pw_conn *conn);
short pw_socket_poll_events(struct pw_conn *conn, short wanted);
void pw_socket_shutdown(struct pw_conn *conn);
void pw_socket_no_address(struct pw_conn *conn, struct pw_address *out); /* for local_address */
void pw_socket_peer_name(struct pw_conn *conn, char *out, size_t size);
void pw_socket_destroy(struct pw_conn *conn);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the tests of the transports share: listening, connecting, and moving bytes with patience.
 * All of it asserts, and so is for the main thread; net_wait alone is for any.
 */
#ifndef NET_H
#define NET_H

#include "transport/tls.h"
#include "transport/transport.h"

#include <pw_test.h>

/* How long anything that should happen may take: a bound on a hang, not on speed. */
#define NET_PATIENCE_MS 10000

uint64_t net_deadline_ns(void);

/* Waits for one of `events`, an error or a hang-up; what came, 0 if nothing did in time. */
short net_wait(int fd, short events);

/* What is there right now. */
short net_ready(int fd, short events);

/* What tls: endpoints get from now on. Borrowed. */
void net_use_tls(struct pywatt_tls *server, struct pywatt_tls *client);

struct pw_endpoint net_endpoint(const char *url, bool for_listening);
struct pw_listener *net_listen(const char *url);

/* Listens, and expects PYWATT_IO; the text is for the caller to look at. */
void net_refused_to_listen(const char *url, struct pywatt_error *error);

/* To the URL that the listener tells. */
struct pw_endpoint net_endpoint_of(struct pw_listener *listener);
struct pw_conn *net_connect(struct pw_listener *listener);
struct pw_conn *net_accept(struct pw_listener *listener);

/*
 * Both ends of one new connection, which is open: with a handshake, if it has one, while another
 * thread connects.
 */
void net_pair(struct pw_listener *listener, struct pw_conn **client, struct pw_conn **server);

void net_send(struct pw_conn *conn, const void *data, size_t len);
void net_receive(struct pw_conn *conn, void *data, size_t len);

/* One piece; the result of pw_conn_send. */
enum pw_io net_send_some(struct pw_conn *conn, const void *data, size_t len, size_t *sent,
                         struct pywatt_error *error);

/* Waits, receives, and expects that the connection has ended cleanly. */
void net_expect_eof(struct pw_conn *conn);

void net_expect_text(const struct pywatt_error *error, const char *fragment);

/* Setup and teardown of a case that must leave no descriptor open, and no thread. */
int net_count_fds(void **state);
int net_compare_fds(void **state);

/* True if there are as many threads as before the case: for pw_test_wait_until. */
bool net_threads_are_gone(void *user);

/* True if this machine can bind ::1. */
bool net_has_v6(void);

/* An IPv4 listener on loopback whose queue is full, so that nobody gets an answer; its port. */
struct net_black_hole {
    int listener;
    int fillers[4];
    uint16_t port;
};
void net_black_hole_open(struct net_black_hole *hole);
void net_black_hole_close(struct net_black_hole *hole);

/* A port on 127.0.0.1 at which nobody listens; not given to others while the socket is open. */
int net_silent_port(uint16_t *port);

/* True once thread `tid` of this process sleeps in the kernel: for pw_test_wait_until. */
bool net_thread_sleeps(void *tid);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tcp.h - "tcp://host:port". Connections send small frames at once (TCP_NODELAY) and find out by
 * keepalive when the peer's machine is gone.
 */
#ifndef PW_TRANSPORT_TCP_H
#define PW_TRANSPORT_TCP_H

#include "transport/transport.h"

/*
 * A listener has one socket. Of a name's addresses it takes the first that this machine has; an
 * empty host or "::" means all addresses, of IPv4 as well.
 */
extern const struct pw_transport_ops pw_tcp_transport;

/*
 * What a transport on top of TCP needs of it, as descriptors. Statuses and texts as the slots of
 * struct pw_transport_ops.
 */
enum pywatt_status pw_tcp_connect_fd(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                     int cancel_fd, int *out, struct pywatt_error *error);
enum pywatt_status pw_tcp_listen_fd(const struct pw_endpoint *endpoint, int *out,
                                    struct pywatt_error *error);

/* The ends of a socket; "" and 0, or "?", if the socket no longer knows them. */
void pw_tcp_local_address(int fd, struct pw_address *out);
#define PW_TCP_NAME_MAX 64
const char *pw_tcp_local_name(int fd, char out[PW_TCP_NAME_MAX]);
const char *pw_tcp_peer_name(int fd, char out[PW_TCP_NAME_MAX]);

#endif

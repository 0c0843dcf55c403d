/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dial.h - TCP connections to the addresses that a name has, one after the other. Any thread.
 */
#ifndef PW_TRANSPORT_DIAL_H
#define PW_TRANSPORT_DIAL_H

#include <pywatt/status.h>

#include <netdb.h>
#include <stdint.h>

/*
 * Keepalive, so that a peer whose machine is gone is found out, and no waiting for small frames.
 * 0 or an errno.
 */
int pw_tcp_set_options(int fd);

/*
 * Connects to the first of `addresses` that answers. Each gets an equal share of the time that is
 * left for it and those behind it, so that one that never answers does not use it all up.
 *
 * On success *out is a connected socket, the caller's. PYWATT_OK; PYWATT_CONNECTION or
 * PYWATT_TIMEOUT (the text has the reason for each address); PYWATT_CLOSED (`cancel_fd`, -1 for
 * none, is readable).
 */
enum pywatt_status pw_dial(const struct addrinfo *addresses, uint64_t deadline_ns, int cancel_fd,
                           int *out, struct pywatt_error *error);

#endif

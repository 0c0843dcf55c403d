/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * resolve.h - getaddrinfo(3) that keeps a deadline and can be cancelled. Any thread.
 */
#ifndef PW_TRANSPORT_RESOLVE_H
#define PW_TRANSPORT_RESOLVE_H

#include <pywatt/status.h>

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * All stream addresses of `host` with `port`, in the order in which they should be tried. A literal
 * is read at once; a name is looked up on a thread of its own, which is left behind when the
 * deadline passes first: it ends by itself when the system's resolver gives up, and gives back
 * what it holds. At most 32 are under way in a process.
 *
 * On success *out is the caller's, for freeaddrinfo(3). PYWATT_OK; PYWATT_CONNECTION (the name has
 * no address, or too many look-ups are under way); PYWATT_TIMEOUT; PYWATT_CLOSED (`cancel_fd`, -1
 * for none, is readable); PYWATT_NO_MEMORY. The text names the host.
 */
enum pywatt_status pw_resolve(const char *host, uint16_t port, uint64_t deadline_ns, int cancel_fd,
                              struct addrinfo **out, struct pywatt_error *error);

#endif

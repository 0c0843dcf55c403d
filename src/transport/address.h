/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * address.h - IP addresses as text. An IPv4 address that is mapped into IPv6, as a listener for
 * both sees its IPv4 peers, is shown as IPv4. No state; any thread.
 */
#ifndef PW_TRANSPORT_ADDRESS_H
#define PW_TRANSPORT_ADDRESS_H

#include "transport/transport.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* "[", an IPv6 literal, "]:", a port and a NUL. */
#define PW_ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + 10)

/* What counts as one peer: an IPv4 address, or the first 64 bits of an IPv6 address. */
struct pw_network {
    uint8_t bytes[16];
};

/* That of a name as pw_address_text writes it; false, and all zero, if it is none. */
bool pw_address_network(const char *name, struct pw_network *out);

/* Splits an address of the families AF_INET and AF_INET6; *out gets "" and 0 for any other. */
void pw_address_split(const struct sockaddr *address, struct pw_address *out);

/* "1.2.3.4:567" or "[::1]:567"; "?" for another family. Returns `out`. */
const char *pw_address_text(const struct sockaddr *address, char out[PW_ADDRESS_TEXT_MAX]);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * address.c - IP addresses as text. No state; any thread.
 */
#include "transport/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static void split_v6(const struct sockaddr_in6 *v6, struct pw_address *out)
{
    out->port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, out->host, sizeof(out->host));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, out->host, sizeof(out->host));
    }
}

void pw_address_split(const struct sockaddr *address, struct pw_address *out)
{
    /* Copies, as a struct sockaddr need not be aligned for the others. */
    out->host[0] = '\0';
    out->port = 0;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        out->port = ntohs(v4.sin_port);
        inet_ntop(AF_INET, &v4.sin_addr, out->host, sizeof(out->host));
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        split_v6(&v6, out);
    }
}

const char *pw_address_text(const struct sockaddr *address, char out[PW_ADDRESS_TEXT_MAX])
{
    struct pw_address split;
    pw_address_split(address, &split);
    if (split.host[0] == '\0') {
        return strcpy(out, "?");
    }
    const bool is_v6 = strchr(split.host, ':') != NULL;
    /* The bound is for the compiler: an IP literal is never longer. */
    snprintf(out, PW_ADDRESS_TEXT_MAX, "%s%.*s%s:%u", is_v6 ? "[" : "", INET6_ADDRSTRLEN - 1,
             split.host, is_v6 ? "]" : "", split.port);
    return out;
}

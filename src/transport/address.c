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

bool pw_address_network(const char *name, struct pw_network *out)
{
    char host[INET6_ADDRSTRLEN];
    const char *const port = strrchr(name, ':');
    const bool bracketed = name[0] == '[';
    const size_t len = port == NULL ? 0 : (size_t)(port - name);
    struct in_addr v4;
    memset(out, 0, sizeof(*out));
    if (len <= 2 || len >= sizeof(host) + 2 || (bracketed && name[len - 1] != ']')) {
        return false;
    }
    snprintf(host, sizeof(host), "%.*s", (int)len - (bracketed ? 2 : 0), name + bracketed);
    if (bracketed) {
        const bool is_v6 = inet_pton(AF_INET6, host, out->bytes) == 1;
        memset(out->bytes + 8, 0, 8);
        return is_v6;
    }
    if (inet_pton(AF_INET, host, &v4) != 1) {
        return false;
    }
    /* As it stands in IPv6. */
    out->bytes[10] = 0xff;
    out->bytes[11] = 0xff;
    memcpy(out->bytes + 12, &v4, sizeof(v4));
    return true;
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

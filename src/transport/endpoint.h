/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * endpoint.h - the URLs with which peers are named: "tcp://host:port", "tcp://[::1]:port",
 * "unix:/path" (or "unix:@name" in the abstract name space), "memory:name", "tls://host:port".
 * Nothing in them is decoded: a '%' is a '%'. No lock: an endpoint is a value.
 */
#ifndef PW_TRANSPORT_ENDPOINT_H
#define PW_TRANSPORT_ENDPOINT_H

#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_ENDPOINT_HOST_MAX 255
#define PW_ENDPOINT_PATH_MAX 107 /* what fits into struct sockaddr_un */
#define PW_ENDPOINT_URL_MAX 320

struct pw_transport_ops;
struct pywatt_tls;

struct pw_endpoint {
    const struct pw_transport_ops *transport; /* found by the scheme; static */
    char host[PW_ENDPOINT_HOST_MAX + 1];      /* tcp, tls: without brackets */
    uint16_t port;                            /* tcp, tls; 0 only where one listens */
    char path[PW_ENDPOINT_PATH_MAX + 1];      /* unix: path or @name; memory: name */
    char url[PW_ENDPOINT_URL_MAX];            /* as given, for messages */
    struct pywatt_tls *tls;                   /* tls: borrowed; see pw_endpoint_secure */
    uint32_t user_timeout_ms; /* tcp, tls, where one listens: TCP_USER_TIMEOUT; 0: the system's */
};

/*
 * Reads one URL. `for_listening` allows port 0 and an empty host (all addresses, of IPv4 and IPv6).
 * *out is written only in part on failure. PYWATT_OK;
 * PYWATT_INVALID_ARGUMENT (the text quotes the URL and says what is wrong with it);
 * PYWATT_UNSUPPORTED (a scheme that this build lacks; the text lists those that it has).
 */
enum pywatt_status pw_endpoint_parse(const char *url, bool for_listening, struct pw_endpoint *out,
                                     struct pywatt_error *error);

/*
 * Reads URLs separated by commas, spaces around them allowed. On success *out is an array of *count
 * on the heap, for the caller to free. Empty entries are refused; a path with a comma in it cannot
 * stand in a list. Adds PYWATT_NO_MEMORY, and PYWATT_LIMIT for more than 64.
 */
enum pywatt_status pw_endpoint_parse_list(const char *urls, struct pw_endpoint **out, size_t *count,
                                          struct pywatt_error *error);

#endif

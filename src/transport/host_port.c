/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * host_port.c - reads "//host:port". No state; any thread.
 *
 * The host is an IPv6 literal in brackets, or letters, digits, '.', '-' and '_': a name or an IPv4
 * literal, which of the two is the resolver's to say.
 */
#include "transport/host_port.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define PORT_MAX 65535
#define PORT_SHOWN 20 /* bytes of what stands in its place */
#define PORT_DIGITS 5
#define PORT_MISSING "the port is missing: //host:port"

static enum pywatt_status refuse(struct pywatt_error *error, const char *fault)
{
    return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s", fault);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool may_stand_in_host(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
}

static enum pywatt_status parse_port(const char *text, bool for_listening, uint16_t *out,
                                     struct pywatt_error *error)
{
    if (*text == '\0') {
        return refuse(error, PORT_MISSING);
    }
    const size_t digits = strspn(text, "0123456789");
    if (text[digits] != '\0') {
        const size_t shown = strlen(text) > PORT_SHOWN ? pw_utf8_cut(text, PORT_SHOWN) : PORT_SHOWN;
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "the port is not a number: %.*s",
                            (int)shown, text);
    }
    uint32_t port = 0;
    for (size_t i = 0; i < digits && port <= PORT_MAX; i++) {
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port > PORT_MAX || digits > PORT_DIGITS) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "the port is out of range, 1 to 65535: %.20s", text);
    }
    if (port == 0 && !for_listening) {
        return refuse(error, "port 0 is for listening only: a free port is taken");
    }
    *out = (uint16_t)port;
    return PYWATT_OK;
}

static enum pywatt_status store_host(struct pw_str host, struct pw_endpoint *out,
                                     struct pywatt_error *error)
{
    if (host.len > PW_ENDPOINT_HOST_MAX) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "the host has %zu bytes, more than a name can have: %d", host.len,
                            PW_ENDPOINT_HOST_MAX);
    }
    memcpy(out->host, host.data, host.len);
    out->host[host.len] = '\0';
    return PYWATT_OK;
}

/* An IPv6 literal, perhaps with "%" and the name of an interface. */
static bool is_v6_literal(const char *host)
{
    char bare[INET6_ADDRSTRLEN];
    const size_t len = strcspn(host, "%");
    if (len >= sizeof(bare)) {
        return false;
    }
    memcpy(bare, host, len);
    bare[len] = '\0';
    struct in6_addr address;
    return inet_pton(AF_INET6, bare, &address) == 1;
}

static enum pywatt_status parse_bracketed(const char *text, struct pw_endpoint *out,
                                          const char **port, struct pywatt_error *error)
{
    const char *const close = strchr(text, ']');
    if (close == NULL) {
        return refuse(error, "the bracket around the address is not closed");
    }
    const enum pywatt_status status =
        store_host((struct pw_str){text + 1, (size_t)(close - text) - 1}, out, error);
    if (status != PYWATT_OK) {
        return status;
    }
    if (!is_v6_literal(out->host)) {
        return refuse(error, "what stands in the brackets is not an IPv6 address");
    }
    if (close[1] == '\0') {
        return refuse(error, PORT_MISSING);
    }
    if (close[1] != ':') {
        return refuse(error, "a colon and the port must follow the closing bracket");
    }
    *port = close + 2;
    return PYWATT_OK;
}

static enum pywatt_status parse_plain(const char *text, bool for_listening, struct pw_endpoint *out,
                                      const char **port, struct pywatt_error *error)
{
    const char *const colon = strchr(text, ':');
    const size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
    if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        return refuse(error, "there is more than one colon; an IPv6 address stands in brackets");
    }
    if (len == 0 && (colon == NULL || !for_listening)) {
        return refuse(error, "the host is missing: //host:port");
    }
    if (colon == NULL) {
        return refuse(error, PORT_MISSING);
    }
    for (size_t i = 0; i < len; i++) {
        if (may_stand_in_host(text[i])) {
            continue;
        }
        if ((unsigned char)text[i] >= 0x80) {
            return refuse(error, "the host is not ASCII: an international name is written xn--...");
        }
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "'%c' cannot stand in a host", text[i]);
    }
    *port = colon + 1;
    return store_host((struct pw_str){text, len}, out, error);
}

enum pywatt_status pw_host_port_parse(const char *rest, bool for_listening, struct pw_endpoint *out,
                                      struct pywatt_error *error)
{
    if (strncmp(rest, "//", 2) != 0) {
        return refuse(error, "// must follow the scheme: //host:port");
    }
    const char *const text = rest + 2;
    const char *port = NULL;
    const enum pywatt_status status = text[0] == '['
                                          ? parse_bracketed(text, out, &port, error)
                                          : parse_plain(text, for_listening, out, &port, error);
    return status != PYWATT_OK ? status : parse_port(port, for_listening, &out->port, error);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tcp.c - connections and listeners over TCP, IPv4 and IPv6. No lock; threads as transport.h says.
 */
#include "transport/tcp.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "transport/address.h"
#include "transport/dial.h"
#include "transport/host_port.h"
#include "transport/resolve.h"
#include "transport/socket.h"
#include "transport/words.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Listening has no deadline of its own; a name that does not resolve must not hang a start. */
#define LISTEN_RESOLVE_MS 10000

static_assert(PW_TCP_NAME_MAX >= PW_ADDRESS_TEXT_MAX, "a name holds any address");

struct tcp_listener {
    struct pw_listener listener;
    int fd;
};

static const struct pw_conn_ops tcp_conn_ops;
static const struct pw_listener_ops tcp_listener_ops;

/* ---- Connections --------------------------------------------------------------------------- */

enum pywatt_status pw_tcp_connect_fd(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                     int cancel_fd, int *out, struct pywatt_error *error)
{
    struct addrinfo *addresses = NULL;
    enum pywatt_status status =
        pw_resolve(endpoint->host, endpoint->port, deadline_ns, cancel_fd, &addresses, error);
    if (status == PYWATT_OK) {
        status = pw_dial(addresses, deadline_ns, cancel_fd, out, error);
        freeaddrinfo(addresses);
    }
    if (status != PYWATT_OK && status != PYWATT_NO_MEMORY) {
        char quoted[PW_WORDS_URL_MAX];
        pw_error_prefix(error, "cannot connect to %s", pw_words_url(endpoint->url, quoted));
    }
    return status;
}

static enum pywatt_status tcp_connect(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                      int cancel_fd, struct pw_conn **out,
                                      struct pywatt_error *error)
{
    int fd = -1;
    const enum pywatt_status status =
        pw_tcp_connect_fd(endpoint, deadline_ns, cancel_fd, &fd, error);
    if (status != PYWATT_OK) {
        return status;
    }
    char name[PW_TCP_NAME_MAX];
    pw_fd_be_patient(fd);
    return pw_socket_new(&tcp_conn_ops, fd, pw_tcp_peer_name(fd, name), out, error);
}

void pw_tcp_local_address(int fd, struct pw_address *out)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    (void)getsockname(fd, (struct sockaddr *)&address, &len);
    pw_address_split((const struct sockaddr *)&address, out);
}

const char *pw_tcp_local_name(int fd, char out[PW_TCP_NAME_MAX])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    (void)getsockname(fd, (struct sockaddr *)&address, &len);
    return pw_address_text((const struct sockaddr *)&address, out);
}

const char *pw_tcp_peer_name(int fd, char out[PW_TCP_NAME_MAX])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    (void)getpeername(fd, (struct sockaddr *)&address, &len);
    return pw_address_text((const struct sockaddr *)&address, out);
}

static void tcp_local_address(struct pw_conn *conn, struct pw_address *out)
{
    pw_tcp_local_address(pw_socket_fd(conn), out);
}

/* ---- Listeners ----------------------------------------------------------------------------- */

/* A listening socket at one address; 0 and *out, or an errno. */
static int listen_at(const struct addrinfo *address, uint32_t user_timeout_ms, int *out)
{
    const int on = 1;
    const int off = 0;
    const unsigned user_timeout = user_timeout_ms;
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    /* Accepted sockets have the options of their listener. */
    int number = pw_tcp_set_options(fd);
    if (number == 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
         setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout)) != 0 ||
         (address->ai_family == AF_INET6 &&
          setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
         bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
         listen(fd, PW_LISTEN_BACKLOG) != 0)) {
        number = errno;
    }
    if (number != 0) {
        close(fd);
        return number;
    }
    *out = fd;
    return 0;
}

/* True for what says that this machine does not have the address, rather than that it is in use. */
static bool is_elsewhere(int number)
{
    return number == EADDRNOTAVAIL || number == EAFNOSUPPORT;
}

/* At the first of the addresses that this machine has; 0 and *out, or the last errno. */
static int listen_at_any(const struct addrinfo *addresses, uint32_t user_timeout_ms,
                         struct pw_reasons *reasons, int *out)
{
    int number = EADDRNOTAVAIL;
    for (const struct addrinfo *at = addresses; at != NULL && is_elsewhere(number);
         at = at->ai_next) {
        number = listen_at(at, user_timeout_ms, out);
        if (number != 0) {
            char where[PW_ADDRESS_TEXT_MAX];
            char words[PW_WORDS_ERRNO_MAX];
            pw_reasons_add(reasons, pw_address_text(at->ai_addr, where),
                           pw_words_errno(number, words));
        }
    }
    return number;
}

static enum pywatt_status cannot_listen(const char *url, const char *why,
                                        struct pywatt_error *error)
{
    char quoted[PW_WORDS_URL_MAX];
    return pw_error_set(error, PYWATT_IO, "cannot listen at %s: %s", pw_words_url(url, quoted),
                        why);
}

enum pywatt_status pw_tcp_listen_fd(const struct pw_endpoint *endpoint, int *out,
                                    struct pywatt_error *error)
{
    /* A machine without IPv6 has no "::". */
    static const char *const any[] = {"::", "0.0.0.0", NULL};
    const char *const one[] = {endpoint->host, NULL};
    const uint64_t deadline_ns =
        pw_deadline_after_ms(pw_clock_now_ns(&pw_clock_monotonic), LISTEN_RESOLVE_MS);
    struct pw_reasons reasons = {.len = 0};
    int number = EADDRNOTAVAIL;
    for (const char *const *host = endpoint->host[0] == '\0' ? any : one;
         *host != NULL && is_elsewhere(number); host++) {
        struct addrinfo *addresses = NULL;
        struct pywatt_error why;
        const enum pywatt_status status =
            pw_resolve(*host, endpoint->port, deadline_ns, -1, &addresses, &why);
        if (status != PYWATT_OK) {
            return status == PYWATT_NO_MEMORY ? pw_error_no_memory(error)
                                              : cannot_listen(endpoint->url, why.text, error);
        }
        number = listen_at_any(addresses, endpoint->user_timeout_ms, &reasons, out);
        freeaddrinfo(addresses);
    }
    return number == 0 ? PYWATT_OK : cannot_listen(endpoint->url, reasons.text, error);
}

static enum pywatt_status tcp_listen(const struct pw_endpoint *endpoint, struct pw_listener **out,
                                     struct pywatt_error *error)
{
    struct tcp_listener *const tcp = malloc(sizeof(*tcp));
    if (tcp == NULL) {
        return pw_error_no_memory(error);
    }
    tcp->listener.ops = &tcp_listener_ops;
    const enum pywatt_status status = pw_tcp_listen_fd(endpoint, &tcp->fd, error);
    if (status != PYWATT_OK) {
        free(tcp);
        return status;
    }
    *out = &tcp->listener;
    return PYWATT_OK;
}

static struct tcp_listener *tcp_of(struct pw_listener *listener)
{
    return PW_CONTAINER_OF(listener, struct tcp_listener, listener);
}

static enum pw_io tcp_accept(struct pw_listener *listener, struct pw_conn **out,
                             struct pywatt_error *error)
{
    int fd = -1;
    const enum pw_io result = pw_fd_accept(tcp_of(listener)->fd, &fd, error);
    if (result != PW_IO_OK) {
        return result;
    }
    char name[PW_TCP_NAME_MAX];
    const char *const peer = pw_tcp_peer_name(fd, name);
    return pw_socket_new(&tcp_conn_ops, fd, peer, out, error) == PYWATT_OK ? PW_IO_OK : PW_IO_ERROR;
}

static int tcp_fd(struct pw_listener *listener)
{
    return tcp_of(listener)->fd;
}

static void tcp_url(struct pw_listener *listener, char *out, size_t size)
{
    char name[PW_TCP_NAME_MAX];
    snprintf(out, size, "tcp://%s", pw_tcp_local_name(tcp_of(listener)->fd, name));
}

static void tcp_destroy(struct pw_listener *listener)
{
    struct tcp_listener *const tcp = tcp_of(listener);
    close(tcp->fd);
    free(tcp);
}

static const struct pw_conn_ops tcp_conn_ops = {
    .receive = pw_socket_receive,
    .receive_patiently = pw_socket_receive_patiently,
    .send = pw_socket_send,
    .buffered = pw_socket_buffered,
    .fd = pw_socket_fd,
    .poll_events = pw_socket_poll_events,
    .shutdown = pw_socket_shutdown,
    .local_address = tcp_local_address,
    .peer_name = pw_socket_peer_name,
    .destroy = pw_socket_destroy,
};

static const struct pw_listener_ops tcp_listener_ops = {
    .accept = tcp_accept,
    .fd = tcp_fd,
    .url = tcp_url,
    .destroy = tcp_destroy,
};

const struct pw_transport_ops pw_tcp_transport = {
    .scheme = "tcp",
    .parse = pw_host_port_parse,
    .connect = tcp_connect,
    .listen = tcp_listen,
};

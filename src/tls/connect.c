/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * connect.c - a client's connections: TCP, then the handshake, within one deadline. In the thread of
 * who connects; nobody else knows the connection yet.
 */
#include "base/clock.h"
#include "base/error.h"
#include "tls/io.h"
#include "transport/socket.h"
#include "transport/tcp.h"
#include "transport/words.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define SITE_MAX (PW_ENDPOINT_HOST_MAX + 8)

static bool is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Whom to look for in the certificate, and what to tell a server that has several. */
static bool set_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *const param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_address(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    }
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
           /* SSL_set_tlsext_host_name, with a cast that keeps compilers quiet; it copies. */
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)name) == 1;
}

/* Without one the handshake is a whole one. */
static void take_session(struct pw_tls_conn *c)
{
    pw_mutex_lock(&c->tls->lock);
    SSL_SESSION *const session = SSL_get_SSL_CTX(c->ssl) == c->tls->ssl_ctx
                                     ? pw_tls_sessions_get(&c->tls->sessions, c->site)
                                     : NULL;
    pw_mutex_unlock(&c->tls->lock);
    if (session != NULL) {
        (void)SSL_set_session(c->ssl, session);
        SSL_SESSION_free(session);
    }
}

static enum pywatt_status prepare(struct pw_tls_conn *c, struct pywatt_error *error)
{
    struct pw_tls_call call;
    pw_mutex_lock(&c->lock);
    const bool good = pw_tls_conn_enter_locked(c, &call) && set_name(c->ssl, c->name);
    if (good) {
        take_session(c);
    }
    pw_tls_conn_leave_locked(c);
    pw_mutex_unlock(&c->lock);
    return good ? PYWATT_OK : pw_error_no_memory(error);
}

/* One part of the handshake. */
typedef enum pw_io (*part_fn)(struct pw_tls_conn *c, short *events, struct pywatt_error *error);

static enum pywatt_status run(struct pw_tls_conn *c, part_fn part, uint64_t deadline_ns,
                              int cancel_fd, struct pywatt_error *error)
{
    for (;;) {
        short events = 0;
        struct pywatt_error why;
        switch (part(c, &events, &why)) {
        case PW_IO_OK: return PYWATT_OK;
        case PW_IO_AGAIN: break;
        case PW_IO_EOF:
        case PW_IO_ERROR:
            return why.status == PYWATT_NO_MEMORY
                       ? pw_error_no_memory(error)
                       : pw_error_set(error, PYWATT_CONNECTION, "%s", why.text);
        }
        enum pywatt_status status = pw_fd_wait(c->fd, events, deadline_ns, cancel_fd);
        if (status == PYWATT_OK) {
            /* Of somebody who always has something to say there is no end but this. */
            status = pw_deadline_check(deadline_ns, -1);
        }
        if (status != PYWATT_OK) {
            return status;
        }
    }
}

/* The connection stands; the rest of the time is for the handshake. */
static enum pywatt_status shake_hands(struct pw_tls_conn *c, uint64_t deadline_ns, int cancel_fd,
                                      struct pywatt_error *error)
{
    const uint32_t most_ms = c->tls->handshake_timeout_ms;
    const uint64_t most_ns = pw_deadline_after_ms(pw_clock_now_ns(&pw_clock_monotonic), most_ms);
    const bool all = deadline_ns < most_ns;
    const uint64_t until_ns = all ? deadline_ns : most_ns;
    enum pywatt_status status = prepare(c, error);
    if (status == PYWATT_OK) {
        status = run(c, pw_tls_conn_handshake, until_ns, cancel_fd, error);
    }
    const bool open = status == PYWATT_OK;
    if (open) {
        status = run(c, pw_tls_conn_verdict, until_ns, cancel_fd, error);
    }
    if (status == PYWATT_CLOSED) {
        return pw_error_set(error, status, "cancelled");
    }
    if (status != PYWATT_TIMEOUT) {
        return status;
    }
    if (all) {
        return pw_error_set(error, status, "%s: the deadline has passed amid the TLS handshake",
                            c->peer);
    }
    if (open) {
        return PYWATT_OK; /* a server that gives no tickets: later calls will tell */
    }
    return pw_error_set(error, PYWATT_CONNECTION,
                        "%s: the TLS handshake was not over within %" PRIu32
                        " ms (does it speak TLS?)",
                        c->peer, most_ms);
}

enum pywatt_status pw_tls_connect(struct pywatt_tls *tls, const struct pw_endpoint *endpoint,
                                  uint64_t deadline_ns, int cancel_fd, struct pw_conn **out,
                                  struct pywatt_error *error)
{
    struct pw_tls *const self = pw_tls_of(tls);
    int fd = -1;
    enum pywatt_status status = pw_tcp_connect_fd(endpoint, deadline_ns, cancel_fd, &fd, error);
    if (status != PYWATT_OK) {
        return status;
    }
    char site[SITE_MAX];
    snprintf(site, sizeof(site), "%s:%u", endpoint->host, endpoint->port);
    pw_fd_be_patient(fd);
    struct pw_tls_conn *c = NULL;
    status = pw_tls_conn_new(
        self, fd, site, self->server_name != NULL ? self->server_name : endpoint->host, &c, error);
    if (status != PYWATT_OK) {
        return status;
    }
    status = shake_hands(c, deadline_ns, cancel_fd, error);
    if (status != PYWATT_OK) {
        pw_tls_conn_destroy(c);
        if (status != PYWATT_NO_MEMORY) {
            char quoted[PW_WORDS_URL_MAX];
            pw_error_prefix(error, "cannot connect to %s", pw_words_url(endpoint->url, quoted));
        }
        return status;
    }
    c->conn.ops = &pw_tls_client_conn_ops;
    *out = &c->conn;
    return PYWATT_OK;
}

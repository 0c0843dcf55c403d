/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * connect.c - a client's connections: TCP, then the handshake, within one deadline. In the thread of
 * who connects; nobody else knows the connection yet.
 */
#include "base/clock.h"
#include "base/error.h"
#include "tls/io.h"
#include "tls/verify.h"
#include "transport/socket.h"
#include "transport/tcp.h"
#include "transport/words.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* A server that gives no tickets says nothing of our certificate: so long we wait for it. */
#define VERDICT_MIN_MS ((uint64_t)100)
#define VERDICT_MAX_MS ((uint64_t)1000)

#define SITE_MAX (PW_ENDPOINT_HOST_MAX + 8)

static bool is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* What may stand in a certificate: no zone of an address, and no point behind it all. */
static const char *bare_name(const char *given, char out[PW_ENDPOINT_HOST_MAX + 1])
{
    size_t len = strcspn(given, "%");
    len -= len > 1 && given[len] == '\0' && given[len - 1] == '.';
    snprintf(out, PW_ENDPOINT_HOST_MAX + 1, "%.*s", (int)len, given);
    return out;
}

/* Whom to look for in the certificate, and what to tell a server that has several. */
static bool set_name(SSL *ssl, const char *given)
{
    char bare[PW_ENDPOINT_HOST_MAX + 1];
    const char *const name = bare_name(given, bare);
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
    if (session != NULL && pw_tls_is_resumable(session)) {
        (void)SSL_set_session(c->ssl, session);
    }
    SSL_SESSION_free(session);
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

/* ---- The handshake --------------------------------------------------------------------------- */

struct shaking {
    struct pw_tls_conn *c;
    uint64_t deadline_ns; /* of it all */
    uint64_t limit_ns;    /* of this part; NEVER: it has not begun to count */
    int cancel_fd;
};

/* One part of the handshake. */
typedef enum pw_io (*part_fn)(struct pw_tls_conn *c, short *events, struct pywatt_error *error);

static uint64_t now_ns(void)
{
    return pw_clock_now_ns(&pw_clock_monotonic);
}

/*
 * The time for the handshake is that of somebody who talks to us. Until then we may be in the queue of
 * those who wait to be accepted, and who leaves it only gets in again at its end.
 */
static void look_at_time(struct shaking *shaking)
{
    if (shaking->limit_ns == PW_DEADLINE_NEVER && pw_tls_conn_heard(shaking->c)) {
        shaking->limit_ns = pw_deadline_after_ms(now_ns(), shaking->c->tls->handshake_timeout_ms);
    }
}

static enum pywatt_status await(struct shaking *shaking, short events)
{
    const uint64_t until_ns =
        shaking->deadline_ns < shaking->limit_ns ? shaking->deadline_ns : shaking->limit_ns;
    const enum pywatt_status status =
        pw_fd_wait(shaking->c->fd, events, until_ns, shaking->cancel_fd);
    /* Of somebody who always has something to say there is no end but this. */
    return status == PYWATT_OK ? pw_deadline_check(until_ns, -1) : status;
}

static enum pywatt_status run(struct shaking *shaking, part_fn part, struct pywatt_error *error)
{
    for (;;) {
        short events = 0;
        struct pywatt_error why;
        switch (part(shaking->c, &events, &why)) {
        case PW_IO_OK: return PYWATT_OK;
        case PW_IO_AGAIN: break;
        case PW_IO_EOF:
        case PW_IO_ERROR:
            return why.status == PYWATT_NO_MEMORY
                       ? pw_error_no_memory(error)
                       : pw_error_set(error, PYWATT_CONNECTION, "%s", why.text);
        }
        look_at_time(shaking);
        const enum pywatt_status status = await(shaking, events);
        if (status != PYWATT_OK) {
            return status;
        }
    }
}

/* How long the server's word about our certificate is waited for: a few times what came before took. */
static uint64_t verdict_limit_ns(uint64_t began_ns)
{
    const uint64_t now = now_ns();
    const uint64_t taken_ns = 3 * (now - began_ns);
    const uint64_t least_ns = VERDICT_MIN_MS * PW_NS_PER_MS;
    const uint64_t most_ns = VERDICT_MAX_MS * PW_NS_PER_MS;
    return now + (taken_ns < least_ns ? least_ns : taken_ns > most_ns ? most_ns : taken_ns);
}

/* What the words are when the time is over. */
static enum pywatt_status out_of_time(const struct shaking *shaking, struct pywatt_error *error)
{
    const struct pw_tls_conn *const c = shaking->c;
    if (shaking->limit_ns == PW_DEADLINE_NEVER) {
        return pw_error_set(error, PYWATT_TIMEOUT,
                            "%s: the deadline has passed amid the TLS handshake: it has said "
                            "nothing (one waits there to be accepted, or it does not speak TLS)",
                            c->peer);
    }
    if (now_ns() >= shaking->deadline_ns) {
        return pw_error_set(error, PYWATT_TIMEOUT,
                            "%s: the deadline has passed amid the TLS handshake", c->peer);
    }
    return pw_error_set(error, PYWATT_CONNECTION, "%s: the TLS handshake was not over within %u ms",
                        c->peer, (unsigned)c->tls->handshake_timeout_ms);
}

/* The connection stands; the rest of the time is for the handshake. */
static enum pywatt_status shake_hands(struct pw_tls_conn *c, uint64_t deadline_ns, int cancel_fd,
                                      struct pywatt_error *error)
{
    struct shaking shaking = {c, deadline_ns, PW_DEADLINE_NEVER, cancel_fd};
    const uint64_t began_ns = now_ns();
    enum pywatt_status status = prepare(c, error);
    if (status == PYWATT_OK) {
        status = run(&shaking, pw_tls_conn_handshake, error);
    }
    const bool open = status == PYWATT_OK;
    if (open) {
        shaking.limit_ns = verdict_limit_ns(began_ns);
        status = run(&shaking, pw_tls_conn_verdict, error);
    }
    if (status == PYWATT_CLOSED) {
        return pw_error_set(error, status, "cancelled");
    }
    if (status != PYWATT_TIMEOUT) {
        return status;
    }
    if (open && now_ns() < deadline_ns) {
        return PYWATT_OK; /* a server that gives no tickets: later calls will tell */
    }
    return out_of_time(&shaking, error);
}

enum pywatt_status pw_tls_connect(struct pywatt_tls *tls, const struct pw_endpoint *endpoint,
                                  uint64_t deadline_ns, int cancel_fd, struct pw_conn **out,
                                  struct pywatt_error *error)
{
    struct pw_tls *const self = pw_tls_of(tls);
    int fd = -1;
    if (self->server_name == NULL && endpoint->host[0] == '.') {
        /* OpenSSL would take it for every host below. */
        return pw_error_set(error, PYWATT_CONNECTION,
                            "cannot connect to %.200s: its host begins with a point",
                            endpoint->host);
    }
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

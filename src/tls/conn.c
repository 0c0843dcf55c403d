/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn.c - the life of a connection over TLS: its parts, its handshake, its failures. Threads and the
 * lock as conn.h says; io.c moves the bytes.
 */
#include "tls/conn.h"

#include "base/error.h"
#include "base/tool_hints.h"
#include "tls/verify.h"
#include "transport/socket.h"
#include "transport/tcp.h"

#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pw_tls_conn *pw_tls_conn_of(struct pw_conn *conn)
{
    return PW_CONTAINER_OF(conn, struct pw_tls_conn, conn);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static bool copy_client_parts(struct pw_tls_conn *c, const char *site, const char *name)
{
    c->site = strdup(site);
    c->name = strdup(name);
    c->raw = malloc(PW_TLS_RAW_SIZE);
    return c->site != NULL && c->name != NULL && c->raw != NULL;
}

static void init_atomics(struct pw_tls_conn *c)
{
    atomic_init(&c->open, false);
    atomic_init(&c->more, false);
    atomic_init(&c->read_wants_write, false);
    atomic_init(&c->write_wants_read, false);
    PW_HINT_ATOMIC(c->open);
    PW_HINT_ATOMIC(c->more);
    PW_HINT_ATOMIC(c->read_wants_write);
    PW_HINT_ATOMIC(c->write_wants_read);
}

enum pywatt_status pw_tls_conn_new(struct pw_tls *tls, int fd, const char *site, const char *name,
                                   struct pw_tls_conn **out, struct pywatt_error *error)
{
    char peer[PW_TCP_NAME_MAX];
    const size_t peer_size = strlen(pw_tcp_peer_name(fd, peer)) + 1;
    struct pw_tls_conn *const c = calloc(1, sizeof(*c) + peer_size);
    if (c == NULL || pw_mutex_init(&c->lock) != PYWATT_OK) {
        free(c);
        close(fd);
        return pw_error_no_memory(error);
    }
    c->fd = fd;
    c->tls = tls;
    pw_tls_context_acquire(tls);
    init_atomics(c);
    memcpy(c->peer, peer, peer_size);
    if (site != NULL && !copy_client_parts(c, site, name)) {
        pw_tls_conn_destroy(c);
        return pw_error_no_memory(error);
    }
    *out = c;
    return PYWATT_OK;
}

void pw_tls_conn_destroy(struct pw_tls_conn *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    pw_grant_release(c->grant);
    pw_mutex_destroy(&c->lock);
    pw_tls_context_release(c->tls);
    free(c->raw);
    free(c->site);
    free(c->name);
    free(c->why);
    free(c);
}

/* ---- Calls of OpenSSL ---------------------------------------------------------------------- */

static bool begin_locked(struct pw_tls_conn *c)
{
    SSL *const ssl = pw_tls_new_ssl(c->tls);
    BIO *const bio = ssl == NULL ? NULL : pw_tls_bio_new(c);
    if (bio == NULL || pw_tls_attach(ssl, c) != 1) {
        BIO_free(bio);
        SSL_free(ssl);
        return false;
    }
    SSL_set_bio(ssl, bio, bio);
    if (c->tls->listens) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    c->ssl = ssl;
    return true;
}

bool pw_tls_conn_enter_locked(struct pw_tls_conn *c, struct pw_tls_call *call)
{
    call->budget = PW_TLS_CALL_BUDGET;
    call->io_failed = false;
    call->certificate[0] = '\0';
    c->call = call;
    ERR_clear_error();
    return c->ssl != NULL || begin_locked(c);
}

void pw_tls_conn_leave_locked(struct pw_tls_conn *c)
{
    c->call = NULL;
}

enum pw_tls_result pw_tls_conn_result_locked(struct pw_tls_conn *c, int returned)
{
    switch (SSL_get_error(c->ssl, returned)) {
    case SSL_ERROR_WANT_READ: return PW_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return PW_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        /* An end amid the handshake is one, too, and no clean one. */
        return atomic_load_explicit(&c->open, memory_order_relaxed) ? PW_TLS_ENDED : PW_TLS_FAILED;
    default: return PW_TLS_FAILED;
    }
}

/*
 * OpenSSL has seen to it already, unless somebody's settings of it say otherwise: who had to show a
 * certificate has, and it is good. A client's peer always has to; a server's if it asks for one.
 */
static bool is_proven_locked(const struct pw_tls_conn *c, const X509 *certificate)
{
    const bool must = (SSL_get_verify_mode(c->ssl) & SSL_VERIFY_PEER) != 0;
    return !must || (certificate != NULL && SSL_get_verify_result(c->ssl) == X509_V_OK);
}

enum pywatt_status pw_tls_conn_note_open_locked(struct pw_tls_conn *c)
{
    if (atomic_load_explicit(&c->open, memory_order_relaxed) || !SSL_is_init_finished(c->ssl)) {
        return PYWATT_OK;
    }
    const X509 *const certificate = SSL_get0_peer_certificate(c->ssl);
    if (!is_proven_locked(c, certificate)) {
        return PYWATT_IO;
    }
    if (c->tls->listens && certificate != NULL &&
        pw_tls_names_grant(certificate, &c->grant) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    atomic_fetch_add_explicit(&c->tls->handshakes, 1, memory_order_relaxed);
    if (SSL_session_reused(c->ssl) == 1) {
        atomic_fetch_add_explicit(&c->tls->resumed, 1, memory_order_relaxed);
    }
    atomic_store_explicit(&c->open, true, memory_order_release);
    return PYWATT_OK;
}

/* ---- Failures ------------------------------------------------------------------------------ */

static enum pw_io stick_locked(struct pw_tls_conn *c, struct pywatt_error *why,
                               struct pywatt_error *error)
{
    if (!atomic_load_explicit(&c->open, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&c->tls->failed, 1, memory_order_relaxed);
    }
    c->failed = why->status;
    c->why = strdup(why->text);
    if (error != NULL) {
        *error = *why;
    }
    return PW_IO_ERROR;
}

enum pw_io pw_tls_conn_no_memory_locked(struct pw_tls_conn *c, struct pywatt_error *error)
{
    struct pywatt_error why;
    pw_error_no_memory(&why);
    why.status = PYWATT_NO_MEMORY;
    return stick_locked(c, &why, error);
}

enum pw_io pw_tls_conn_not_open_locked(struct pw_tls_conn *c, enum pywatt_status status,
                                       struct pywatt_error *error)
{
    struct pywatt_error why;
    if (status == PYWATT_NO_MEMORY) {
        return pw_tls_conn_no_memory_locked(c, error);
    }
    pw_error_set(&why, PYWATT_IO, "%s: the TLS handshake failed: it showed no certificate",
                 c->peer);
    return stick_locked(c, &why, error);
}

enum pw_io pw_tls_conn_fail_locked(struct pw_tls_conn *c, const char *what,
                                   struct pywatt_error *error)
{
    const struct pw_tls_call *const call = c->call;
    const bool open = atomic_load_explicit(&c->open, memory_order_relaxed);
    struct pywatt_error why;
    char words[PW_TLS_WORDS_MAX];
    if (!call->io_failed && pw_tls_is_no_memory()) {
        return pw_tls_conn_no_memory_locked(c, error);
    }
    if (call->io_failed) {
        why = call->error;
    } else if (c->shut) {
        pw_error_set(&why, PYWATT_IO, "%s failed: the connection was shut down", what);
    } else {
        pw_error_set(&why, PYWATT_IO, "%s failed: %s", open ? what : "the TLS handshake",
                     call->certificate[0] != '\0' ? call->certificate
                                                  : pw_tls_words_failure(open, words));
    }
    pw_error_prefix(&why, "%s", c->peer);
    if (open && (call->io_failed || c->shut)) {
        /* Nothing is wrong with what has come: it can still be received. */
        if (error != NULL) {
            *error = why;
        }
        return PW_IO_ERROR;
    }
    return stick_locked(c, &why, error);
}

enum pw_io pw_tls_conn_failed_locked(const struct pw_tls_conn *c, struct pywatt_error *error)
{
    pw_error_set(error, c->failed, "%s", c->why != NULL ? c->why : pywatt_status_text(c->failed));
    return PW_IO_ERROR;
}

/* ---- The client's handshake ---------------------------------------------------------------- */

static enum pw_io step_locked(struct pw_tls_conn *c, int returned, short *events,
                              struct pywatt_error *error)
{
    if (returned == 1) {
        const enum pywatt_status status = pw_tls_conn_note_open_locked(c);
        return status == PYWATT_OK ? PW_IO_OK : pw_tls_conn_not_open_locked(c, status, error);
    }
    switch (pw_tls_conn_result_locked(c, returned)) {
    case PW_TLS_WANTS_READ: *events = POLLIN; return PW_IO_AGAIN;
    case PW_TLS_WANTS_WRITE: *events = POLLOUT; return PW_IO_AGAIN;
    case PW_TLS_ENDED:
    case PW_TLS_FAILED: break;
    }
    return pw_tls_conn_fail_locked(c, "the TLS handshake", error);
}

enum pw_io pw_tls_conn_handshake(struct pw_tls_conn *c, short *events, struct pywatt_error *error)
{
    struct pw_tls_call call;
    pw_mutex_lock(&c->lock);
    const enum pw_io result = pw_tls_conn_enter_locked(c, &call)
                                  ? step_locked(c, SSL_do_handshake(c->ssl), events, error)
                                  : pw_tls_conn_no_memory_locked(c, error);
    pw_tls_conn_leave_locked(c);
    pw_mutex_unlock(&c->lock);
    return result;
}

bool pw_tls_conn_heard(struct pw_tls_conn *c)
{
    pw_mutex_lock(&c->lock);
    const bool heard = c->heard;
    pw_mutex_unlock(&c->lock);
    return heard;
}

enum pw_io pw_tls_conn_verdict(struct pw_tls_conn *c, short *events, struct pywatt_error *error)
{
    struct pw_tls_call call;
    char byte;
    size_t got;
    enum pw_io result = PW_IO_OK;
    pw_mutex_lock(&c->lock);
    if (c->certificate_wanted && !c->session_came && SSL_version(c->ssl) >= TLS1_3_VERSION) {
        (void)pw_tls_conn_enter_locked(c, &call);
        const int returned = SSL_peek_ex(c->ssl, &byte, 1, &got);
        if (!c->session_came) {
            result = step_locked(c, returned, events, error);
        }
        pw_tls_conn_leave_locked(c);
    }
    pw_mutex_unlock(&c->lock);
    return result;
}

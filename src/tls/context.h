/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * context.h - what is behind a struct pywatt_tls: settings, what was made of the files, the sessions
 * that a client keeps, and the pace at which a server begins handshakes. Shared by references: those
 * of the application, of clients and orchestrators, and of each connection and listener.
 */
#ifndef PW_TLS_CONTEXT_H
#define PW_TLS_CONTEXT_H

#include "base/sync.h"
#include "tls/pace.h"
#include "tls/sessions.h"
#include "transport/tls.h"

#include <pywatt/tls.h>

#include <openssl/ssl.h>
#include <stdatomic.h>

struct pw_tls {
    struct pywatt_tls base;
    /* Constant. */
    bool listens;
    const char *server_name; /* a client's, of its options; NULL: the URL's host */

    struct pw_mutex change; /* held while files are read; outside of `lock` */
    /* change */
    struct pywatt_tls_options options; /* its strings are its own; a client's do not change */

    /* Atomic. */
    atomic_uint references;
    atomic_uint handshake_timeout_ms;
    atomic_uint_fast64_t handshakes;
    atomic_uint_fast64_t resumed;
    atomic_uint_fast64_t failed;
    atomic_uint_fast64_t paced;

    struct pw_mutex lock;
    /* lock */
    SSL_CTX *ssl_ctx; /* a connection has a reference on the one that it began with */
    struct pw_tls_sessions sessions;
    struct pw_tls_pace pace;
};

struct pw_tls *pw_tls_of(struct pywatt_tls *tls);

void pw_tls_context_acquire(struct pw_tls *tls);
void pw_tls_context_release(struct pw_tls *tls);

/* For a new connection; NULL when memory is out. */
SSL *pw_tls_new_ssl(struct pw_tls *tls);

/* ---- options.c ----------------------------------------------------------------------------- */

/* Checks and copies. PYWATT_OK, PYWATT_INVALID_ARGUMENT (the text names the option), PYWATT_NO_MEMORY. */
enum pywatt_status pw_tls_options_read(const struct pywatt_tls_options *given, bool listens,
                                       struct pywatt_tls_options *out, struct pywatt_error *error);
void pw_tls_options_clear(struct pywatt_tls_options *options);

/* ---- files.c ------------------------------------------------------------------------------- */

/* Makes an SSL_CTX of settings and files. Statuses of pywatt_tls_client_new. */
enum pywatt_status pw_tls_read_files(const struct pywatt_tls_options *options, bool listens,
                                     SSL_CTX **out, struct pywatt_error *error);

/* ---- connect.c, listener.c ----------------------------------------------------------------- */

enum pywatt_status pw_tls_connect(struct pywatt_tls *tls, const struct pw_endpoint *endpoint,
                                  uint64_t deadline_ns, int cancel_fd, struct pw_conn **out,
                                  struct pywatt_error *error);
enum pywatt_status pw_tls_listen(struct pywatt_tls *tls, const struct pw_endpoint *endpoint,
                                 struct pw_listener **out, struct pywatt_error *error);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verify.c - callbacks of OpenSSL. They run inside of a call that holds the connection's lock; that of
 * the context is taken inside of it.
 */
#include "tls/verify.h"

#include "tls/conn.h"

int pw_tls_attach(SSL *ssl, struct pw_tls_conn *conn)
{
    return SSL_set_app_data(ssl, conn);
}

int pw_tls_verify(int good, X509_STORE_CTX *store)
{
    const SSL *const ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct pw_tls_conn *const c = SSL_get_app_data(ssl);
    if (good != 1 && c->call->certificate[0] == '\0') {
        pw_tls_words_certificate(store, c->name, c->call->certificate);
    }
    return good;
}

int pw_tls_certificate_wanted(SSL *ssl, void *user)
{
    struct pw_tls_conn *const c = SSL_get_app_data(ssl);
    (void)user;
    c->certificate_wanted = true;
    return 1;
}

int pw_tls_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct pw_tls_conn *const c = SSL_get_app_data(ssl);
    struct pw_tls *const tls = c->tls;
    c->session_came = true;
    pw_mutex_lock(&tls->lock);
    /* What was agreed on under certificates that are no longer in force is not taken up again. */
    if (SSL_get_SSL_CTX(ssl) == tls->ssl_ctx) {
        pw_tls_sessions_put(&tls->sessions, c->site, session);
    }
    pw_mutex_unlock(&tls->lock);
    return 0; /* no reference was kept */
}

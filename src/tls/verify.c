/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verify.c - callbacks of OpenSSL. They run inside of a call that holds the connection's lock; that of
 * the context is taken inside of it.
 */
#include "tls/verify.h"

#include "tls/conn.h"

#include <string.h>
#include <time.h>

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

bool pw_tls_is_resumable(const SSL_SESSION *session)
{
    const X509 *const certificate = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);
    return certificate == NULL || X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

/* No other process knows the keys of its tickets, so it need not be the time of day, which may be set. */
static int64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

/* A session that resumes another one has that one's time. */
int pw_tls_give_ticket(SSL *ssl, void *user)
{
    SSL_SESSION *const session = SSL_get_session(ssl);
    const int64_t now = now_s();
    void *began = NULL;
    size_t len = 0;
    (void)user;
    return (SSL_SESSION_get0_ticket_appdata(session, &began, &len) == 1 && len == sizeof(now)) ||
           SSL_SESSION_set1_ticket_appdata(session, &now, sizeof(now)) == 1;
}

static bool is_recent(SSL_SESSION *session)
{
    int64_t began;
    void *data = NULL;
    size_t len = 0;
    if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof(began)) {
        return false;
    }
    memcpy(&began, data, sizeof(began));
    return now_s() - began < PW_TLS_PROOF_LASTS_S;
}

SSL_TICKET_RETURN pw_tls_take_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                     size_t key_name_len, SSL_TICKET_STATUS status, void *user)
{
    (void)ssl;
    (void)key_name;
    (void)key_name_len;
    (void)user;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    if (!pw_tls_is_resumable(session) || !is_recent(session)) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
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

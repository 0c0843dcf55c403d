/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verify.h - what OpenSSL calls back with while a handshake goes on, for the struct pw_tls_conn that
 * the SSL belongs to. Under the connection's lock.
 */
#ifndef PW_TLS_VERIFY_H
#define PW_TLS_VERIFY_H

#include <openssl/ssl.h>
#include <stdbool.h>

struct pw_tls_conn;

/* So long sessions are resumed; then certificates are looked at again, with all that has changed. */
#define PW_TLS_PROOF_LASTS_S (8 * 3600)

/* 1, or 0 if memory is out. */
int pw_tls_attach(SSL *ssl, struct pw_tls_conn *conn);

/* Keeps OpenSSL's verdict, and notes in words why it is bad. */
int pw_tls_verify(int good, X509_STORE_CTX *store);

/* Client: the server has asked for a certificate. */
int pw_tls_certificate_wanted(SSL *ssl, void *user);

/* Whether who has proved to be that in this session may still be taken for it. */
bool pw_tls_is_resumable(const SSL_SESSION *session);

/* Server, for SSL_CTX_set_session_ticket_cb: tickets know when the handshake was that all began with. */
int pw_tls_give_ticket(SSL *ssl, void *user);
SSL_TICKET_RETURN pw_tls_take_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                     size_t key_name_len, SSL_TICKET_STATUS status, void *user);

/* Client: the server has sent a ticket. */
int pw_tls_new_session(SSL *ssl, SSL_SESSION *session);

#endif

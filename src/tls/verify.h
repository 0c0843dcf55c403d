/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verify.h - what OpenSSL calls back with while a handshake goes on, for the struct pw_tls_conn that
 * the SSL belongs to. Under the connection's lock.
 */
#ifndef PW_TLS_VERIFY_H
#define PW_TLS_VERIFY_H

#include <openssl/ssl.h>

struct pw_tls_conn;

/* 1, or 0 if memory is out. */
int pw_tls_attach(SSL *ssl, struct pw_tls_conn *conn);

/* Keeps OpenSSL's verdict, and notes in words why it is bad. */
int pw_tls_verify(int good, X509_STORE_CTX *store);

/* Client: the server has asked for a certificate. */
int pw_tls_certificate_wanted(SSL *ssl, void *user);

/* Client: the server has sent a ticket. */
int pw_tls_new_session(SSL *ssl, SSL_SESSION *session);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sessions.h - the last session with each orchestrator, so that the next connection to it costs less.
 * The owner's lock.
 */
#ifndef PW_TLS_SESSIONS_H
#define PW_TLS_SESSIONS_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#define PW_TLS_SESSIONS_MAX 64

struct pw_tls_session {
    char *peer; /* "host:port" */
    SSL_SESSION *session;
};

struct pw_tls_sessions {
    size_t count;
    size_t oldest; /* the place that is used next once all are */
    struct pw_tls_session list[PW_TLS_SESSIONS_MAX];
};

/* Keeps `session`, of which a reference is consumed; in place of the one before, if there is one. */
void pw_tls_sessions_put(struct pw_tls_sessions *sessions, const char *peer, SSL_SESSION *session);

/* A reference, or NULL. */
SSL_SESSION *pw_tls_sessions_get(const struct pw_tls_sessions *sessions, const char *peer);

void pw_tls_sessions_clear(struct pw_tls_sessions *sessions);

#endif

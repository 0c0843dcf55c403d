/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sessions.h - the last session with each orchestrator, so that the next connection to it costs less.
 * The owner's lock.
 *
 * A handshake writes to the session that it uses, and OpenSSL has no lock for that: so what is kept
 * here is nobody's but ours, and who gets one gets a copy.
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

/*
 * Keeps a copy of `session`, which nobody may use meanwhile, in place of the one before. If memory is
 * out there is none.
 */
void pw_tls_sessions_put(struct pw_tls_sessions *sessions, const char *peer,
                         const SSL_SESSION *session);

/* A copy, the caller's; NULL if there is none, or memory is out. */
SSL_SESSION *pw_tls_sessions_get(const struct pw_tls_sessions *sessions, const char *peer);

void pw_tls_sessions_clear(struct pw_tls_sessions *sessions);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * session_private.h - between session.c, which is the life of a connection, and session_io.c, which
 * moves its bytes.
 */
#ifndef PW_ORCHESTRATOR_SESSION_PRIVATE_H
#define PW_ORCHESTRATOR_SESSION_PRIVATE_H

#include "orchestrator/options.h"
#include "orchestrator/session.h"

/* More than this waits for the peer: nothing more is read from it until it has taken some. */
#define PW_SESSION_OUTPUT_MARK ((size_t)256 * 1024)
/* While those hold more than so many bytes, no further one is read. */
#define PW_SESSION_WAITING_MARK ((size_t)1 << 20)
/* Of the buffers of a session; its own limits come first. */
#define PW_SESSION_BUFFER_LIMIT ((size_t)1 << 30)

static inline struct pw_server *pw_session_server(const struct pw_session *session)
{
    return session->worker->server;
}

/* As they are until the worker takes its next mail. */
static inline const struct pywatt_orchestrator_options *
pw_session_options(const struct pw_session *session)
{
    return &session->worker->config->options;
}

/* True while the peer has to take something, or the store to answer, before more is served. */
bool pw_session_is_blocked(const struct pw_session *session);

/* Receives what is there, and serves the frames in it. */
void pw_session_read(struct pw_session *session);

/* Serves frames that were held back. */
void pw_session_serve_held_back(struct pw_session *session);

/* Sends what is to be sent, with one call. */
void pw_session_flush(struct pw_session *session);

/* The peer sends no more. */
void pw_session_peer_ended(struct pw_session *session);

/* The connection ends; why is worth one line in the log, if the peer's share is not used up. */
void pw_session_end(struct pw_session *session, enum pywatt_log_level level, const char *why);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * session.h - one connection: bytes in, whole frames out of them to dispatch.h, replies out in the
 * order of the requests. Lives on the thread of its worker; no lock. An idle one holds no buffer.
 */
#ifndef PW_ORCHESTRATOR_SESSION_H
#define PW_ORCHESTRATOR_SESSION_H

#include "base/buffer.h"
#include "codec/codec.h"
#include "orchestrator/presence.h"
#include "orchestrator/replies.h"
#include "orchestrator/worker.h"
#include "transport/transport.h"

#include <pywatt/log.h>

#include <stdbool.h>
#include <stdint.h>

struct pw_session {
    struct pw_source source;
    struct pw_mail arrival; /* how it comes to its worker */
    struct pw_worker *worker;
    struct pw_conn *conn;     /* NULL once closed */
    struct pw_peer *peer;     /* where it comes from; NULL if that is not counted */
    struct pw_list link;      /* among the worker's sessions, or its closed ones */
    struct pw_list unsettled; /* among those whose slots were filled by mail */
    struct pw_list unproven;  /* among those that have proven nothing, the oldest first */
    unsigned workers_left;    /* to be asked for room, before it has come to one */
    struct pw_binding binding;
    struct pw_aliases aliases;
    struct pw_timer timer;
    struct pw_buffer input;  /* the start of a frame, or frames that are held back */
    struct pw_buffer output; /* what the peer has not taken yet */
    struct pw_replies replies;
    unsigned tasks;       /* slots that are not ready; a closed session stays for its tasks */
    size_t waiting_bytes; /* of the requests that they hold */
    uint32_t interest;
    uint64_t open_deadline_ns;  /* of the handshake; not looked at once that is over */
    uint64_t frame_deadline_ns; /* of the first frame, or of one that has begun; else NEVER */
    uint64_t write_deadline_ns; /* PW_DEADLINE_NEVER unless the peer has to take something */
    uint64_t last_active_ns;
    uint64_t excused_until_ns; /* told to come again by then: until then it is not idle */
    const char *unwelcome; /* why all that it asks for is refused; NULL: it is welcome. Static */
    bool proven;           /* something came through that a stranger could not have sent */
    bool features_told;    /* with the first reply */
    bool opening;          /* its handshake is under way; `frame_deadline_ns` begins behind it */
    bool held_back;        /* frames wait in `input` until replies have gone out */
    bool no_more; /* nothing is read any more: the peer has ended, or the orchestrator does */
    bool greeted; /* a whole frame has come */
    bool ended;   /* the peer has: what it asked for is still answered */
    bool ending;  /* closes once what was answered is sent, as far as that goes at once */
};

/* Made by who accepts; consumes `conn` and `peer` on success. NULL when memory is out. */
struct pw_session *pw_session_new(struct pw_worker *worker, struct pw_conn *conn,
                                  struct pw_peer *peer);

/* ---- For its worker ---- */

void pw_session_on_event(struct pw_session *session, uint32_t events);
void pw_session_on_timer(struct pw_session *session);

/* Serves what has come until now, reads no more, and closes when all is answered. */
void pw_session_wind_up(struct pw_session *session);

/* Its worker has other options. */
void pw_session_options_changed(struct pw_session *session);

/* All mail is delivered: sends what it has brought, and goes on with what waited for it. */
void pw_session_settle_all(struct pw_worker *worker);

/* Closes at once. The memory is given back by pw_session_free_closed, when no task is left. */
void pw_session_close(struct pw_session *session);
void pw_session_free_closed(struct pw_worker *worker);

/* ---- For dispatch ---- */

/* Writes a reply behind all others. */
void pw_session_reply(struct pw_session *session, const struct pw_codec_ops *codec,
                      const struct pw_response *response);

/* The reply to the request that is looked at, which holds `size` bytes, comes later, through `slot`. */
void pw_session_open_slot(struct pw_session *session, struct pw_reply_slot *slot, size_t size);

/*
 * The request of a slot is done, and `response` is its reply. The session frees the slot with
 * pw_pending_free_slot when that is sent. Not for a closed session: there it is
 * pw_session_task_left, and the slot is the caller's.
 */
void pw_session_fill_slot(struct pw_session *session, struct pw_reply_slot *slot,
                          const struct pw_codec_ops *codec, const struct pw_response *response);
void pw_session_task_left(struct pw_session *session);

/*
 * Something came through on it that a stranger could not have sent: a registration, an advertisement, a
 * beat, a join token, a certificate. From now on it is not counted with those that have proven nothing.
 */
void pw_session_note_proven(struct pw_session *session);

static inline void pw_session_prove(struct pw_session *session)
{
    if (!session->proven) {
        pw_session_note_proven(session);
    }
}

/* The peer sent what cannot be answered: one line in the log, and the connection ends. */
void pw_session_bad_input(struct pw_session *session, const char *what);

static inline bool pw_session_is_closed(const struct pw_session *session)
{
    return session->conn == NULL;
}

#endif

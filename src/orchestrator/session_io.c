/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * session_io.c - the bytes of a connection. On its worker's thread.
 *
 * Input goes into the worker's scratch buffer, behind the start of a frame that was left from the
 * last time; what is left again is kept in the session. Only a frame that is longer than the
 * scratch buffer is gathered in the session, piece by piece as it comes, however long it says that
 * it will be. Output is written to the worker's buffer and sent from there; only what the peer does
 * not take is kept in the session. So a steady flow of beats allocates nothing.
 */
#include "orchestrator/session_private.h"

#include "orchestrator/beat_run.h"
#include "orchestrator/dispatch.h"
#include "orchestrator/server.h"
#include "transport/frame.h"

#include <string.h>

/* So many receives at most when a pass wants to see all that has come: 8 MiB. */
#define RECEIVES_IN_A_PASS 128

/* An idle connection holds no memory, and no token stays behind in what was given back. */
static void give_back(struct pw_buffer *buffer)
{
    if (pw_buffer_len(buffer) == 0) {
        pw_token_wipe_buffer(buffer);
    }
}

/* ---- Output ---- */

/* More than a beat is ever answered with. */
#define BEAT_REPLY_MAX 512

/* With what the beats that wait to be served may be answered with. */
static size_t output_len(const struct pw_session *session)
{
    return pw_buffer_len(&session->output) + pw_buffer_len(&session->worker->out) +
           session->replies.held + session->worker->run->count * (size_t)BEAT_REPLY_MAX;
}

bool pw_session_is_blocked(const struct pw_session *session)
{
    const struct pywatt_orchestrator_options *options = pw_session_options(session);
    const size_t half = options->max_output_bytes / 2;
    return output_len(session) >= (half < PW_SESSION_OUTPUT_MARK ? half : PW_SESSION_OUTPUT_MARK) ||
           session->replies.count >= options->max_pending_requests ||
           session->waiting_bytes >= PW_SESSION_WAITING_MARK;
}

/* What could not be sent moves from the worker's buffer to the session's. */
static void keep_unsent(struct pw_session *session)
{
    struct pw_buffer *out = &session->worker->out;
    if (pw_buffer_len(out) > 0 &&
        pw_buffer_append(&session->output, pw_buffer_bytes(out), pw_buffer_len(out)) != PYWATT_OK) {
        pw_session_end(session, PYWATT_LOG_WARNING, "no memory for its output");
    }
    pw_buffer_clear(out);
}

static void watch_progress(struct pw_session *session, bool progress)
{
    const struct pw_config *config = session->worker->config;
    if (pw_buffer_len(&session->output) == 0) {
        session->write_deadline_ns = PW_DEADLINE_NEVER;
        give_back(&session->output);
    } else if (progress || session->write_deadline_ns == PW_DEADLINE_NEVER) {
        session->write_deadline_ns =
            pw_deadline_after_ms(session->worker->now_ns, config->options.write_timeout_ms);
    }
    if (pw_buffer_len(&session->output) > config->options.max_output_bytes) {
        pw_session_end(session, PYWATT_LOG_WARNING, "it does not read what it is sent");
    }
}

void pw_session_flush(struct pw_session *session)
{
    struct pw_worker *worker = session->worker;
    struct pw_buffer *buffer =
        pw_buffer_len(&session->output) > 0 ? &session->output : &worker->out;
    if (pw_buffer_len(buffer) == 0) {
        return;
    }
    /* An iovec has no const; sending does not write. */
    const struct iovec piece = {.iov_base = buffer->data + buffer->start,
                                .iov_len = pw_buffer_len(buffer)};
    size_t sent = 0;
    const enum pw_io result = pw_conn_send(session->conn, &piece, 1, &sent, NULL);
    if (result == PW_IO_OK) {
        pw_count(&worker->counters.bytes_sent, sent);
        pw_buffer_consume(buffer, sent);
        session->last_active_ns = worker->now_ns;
    } else if (result != PW_IO_AGAIN) {
        pw_buffer_clear(&worker->out);
        pw_session_close(session);
        return;
    }
    if (buffer == &worker->out) {
        keep_unsent(session);
    }
    if (!pw_session_is_closed(session)) {
        watch_progress(session, result == PW_IO_OK);
    }
}

/* ---- Frames ---- */

static size_t frame_limit(const struct pw_session *session)
{
    const struct pywatt_orchestrator_options *options = pw_session_options(session);
    return session->proven || options->max_unproven_frame_bytes > options->max_frame_bytes
               ? options->max_frame_bytes
               : options->max_unproven_frame_bytes;
}

/* One that seems too long is looked at again when the beats before it are served: they may prove. */
static enum pw_frame_result parse_frame(struct pw_session *session, struct pw_span rest,
                                        struct pw_frame *frame, size_t *size)
{
    enum pw_frame_result result = pw_frame_parse(rest, frame_limit(session), frame, size);
    if (result == PW_FRAME_TOO_LONG) {
        pw_dispatch_end(session);
        result = pw_frame_parse(rest, frame_limit(session), frame, size);
    }
    return result;
}

/* Serves whole frames, and returns how many bytes they had. */
static size_t serve_frames(struct pw_session *session, struct pw_span input)
{
    size_t done = 0;
    session->held_back = false;
    if (!session->proven && pw_conn_grant(session->conn) != NULL) {
        pw_session_note_proven(session); /* by its certificate */
    }
    while (!session->ending && !pw_session_is_closed(session)) {
        struct pw_frame frame;
        size_t size;
        const struct pw_span rest = {input.data + done, input.len - done};
        if (rest.len == 0) {
            break;
        }
        if (pw_session_is_blocked(session)) {
            pw_dispatch_end(session); /* which shows how much it is */
            session->held_back = pw_session_is_blocked(session);
        }
        if (session->held_back || session->ending || pw_session_is_closed(session)) {
            break;
        }
        const enum pw_frame_result result = parse_frame(session, rest, &frame, &size);
        if (result == PW_FRAME_MORE) {
            break;
        }
        if (result == PW_FRAME_TOO_LONG) {
            pw_session_bad_input(session, session->proven
                                              ? "a frame that is longer than the limit"
                                              : "a frame that is longer than the limit for "
                                                "connections that have proven nothing");
            break;
        }
        session->greeted = true;
        pw_dispatch_frame(session, &frame);
        done += size;
    }
    pw_dispatch_end(session);
    return done;
}

/* A frame has begun, or goes on: its time runs from its first byte. */
static void watch_frame(struct pw_session *session, bool frame_left, bool progress)
{
    if (!frame_left || session->held_back) {
        session->frame_deadline_ns = PW_DEADLINE_NEVER;
    } else if (progress || session->frame_deadline_ns == PW_DEADLINE_NEVER) {
        session->frame_deadline_ns = pw_deadline_after_ms(
            session->worker->now_ns, pw_session_options(session)->frame_timeout_ms);
    }
}

static void serve_own_input(struct pw_session *session)
{
    const size_t done = serve_frames(session, pw_buffer_span(&session->input));
    if (pw_session_is_closed(session)) {
        return;
    }
    pw_buffer_consume(&session->input, done);
    give_back(&session->input);
    watch_frame(session, pw_buffer_len(&session->input) > 0, done > 0);
}

void pw_session_serve_held_back(struct pw_session *session)
{
    serve_own_input(session);
}

/* ---- Input ---- */

/* A connection that never was one is worth a line: the certificates may be wrong, on either side. */
static void receiving_failed(struct pw_session *session, const struct pywatt_error *error)
{
    char peer[PW_ENDPOINT_URL_MAX];
    if (pw_conn_opening_ms(session->conn) == 0) {
        pw_session_close(session);
        return;
    }
    /* The line begins with the peer's name, as the text does. */
    pw_conn_peer_name(session->conn, peer, sizeof(peer));
    const size_t len = strlen(peer);
    const bool named = strncmp(error->text, peer, len) == 0 && error->text[len] == ':';
    pw_session_end(session, PYWATT_LOG_WARNING, named ? error->text + len + 2 : error->text);
}

/* What a receive gave. False if there is nothing more to be had for now. */
static bool came(struct pw_session *session, enum pw_io result, size_t got, size_t asked,
                 const struct pywatt_error *error)
{
    struct pw_worker *worker = session->worker;
    switch (result) {
    case PW_IO_OK:
        pw_count(&worker->counters.bytes_received, got);
        session->last_active_ns = worker->now_ns;
        return got == asked || pw_conn_buffered(session->conn);
    case PW_IO_AGAIN: return false;
    case PW_IO_EOF: pw_session_peer_ended(session); return false;
    case PW_IO_ERROR: break;
    }
    receiving_failed(session, error);
    return false;
}

/* Into the scratch buffer, behind the little that is left from the last time. */
static bool read_into_scratch(struct pw_session *session)
{
    struct pw_worker *worker = session->worker;
    const size_t left = pw_buffer_len(&session->input);
    if (left > 0) {
        memcpy(worker->scratch, pw_buffer_bytes(&session->input), left);
    }
    size_t got = 0;
    struct pywatt_error error;
    const enum pw_io result =
        pw_conn_receive(session->conn, worker->scratch + left, PW_WORKER_RECEIVE, &got, &error);
    const bool more = came(session, result, got, PW_WORKER_RECEIVE, &error);
    if (result != PW_IO_OK) {
        return more;
    }
    const size_t len = left + got;
    const size_t done = serve_frames(session, (struct pw_span){worker->scratch, len});
    if (pw_session_is_closed(session)) {
        return false;
    }
    pw_buffer_clear(&session->input);
    if (done < len &&
        pw_buffer_append(&session->input, worker->scratch + done, len - done) != PYWATT_OK) {
        pw_session_end(session, PYWATT_LOG_WARNING, "no memory for its input");
        return false;
    }
    give_back(&session->input);
    watch_frame(session, len > done, done > 0);
    return more;
}

/* Behind a long frame's beginning. */
static bool read_into_input(struct pw_session *session)
{
    uint8_t *room = NULL;
    if (pw_buffer_reserve(&session->input, PW_WORKER_RECEIVE, &room) != PYWATT_OK) {
        pw_session_end(session, PYWATT_LOG_WARNING, "no memory for its input");
        return false;
    }
    size_t got = 0;
    struct pywatt_error error;
    const enum pw_io result = pw_conn_receive(session->conn, room, PW_WORKER_RECEIVE, &got, &error);
    const bool more = came(session, result, got, PW_WORKER_RECEIVE, &error);
    if (result == PW_IO_OK) {
        pw_buffer_commit(&session->input, got);
        serve_own_input(session);
    }
    return more;
}

void pw_session_read(struct pw_session *session)
{
    const bool all = session->worker->pass == PW_PASS_RUNNING || session->worker->stopping;
    for (int i = 0; i < RECEIVES_IN_A_PASS; i++) {
        const bool more = pw_buffer_len(&session->input) <= PW_WORKER_HEADROOM
                              ? read_into_scratch(session)
                              : read_into_input(session);
        if (pw_session_is_closed(session) || session->held_back || session->ending || !more ||
            (!all && !pw_conn_buffered(session->conn))) {
            return;
        }
    }
}

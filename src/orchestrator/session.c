/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * session.c - the life of a connection. On its worker's thread, but for pw_session_new, which runs
 * on the thread that accepts, before the worker knows of it.
 *
 * After whatever happened to a session comes `settle`: send, serve what was held back, close if it
 * is over, and tell epoll and the timer what is waited for.
 */
#include "orchestrator/session_private.h"

#include "orchestrator/crowd.h"
#include "orchestrator/pending.h"
#include "orchestrator/server.h"
#include "transport/frame.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* ---- Endings ---- */

void pw_session_end(struct pw_session *session, enum pywatt_log_level level, const char *why)
{
    struct pw_server *server = pw_session_server(session);
    uint32_t suppressed = 0;
    if (pw_session_is_closed(session)) {
        return;
    }
    /* Errors are our own: what peers can cause does not crowd them out of the log. */
    struct pw_log_limit *limit =
        level == PYWATT_LOG_ERROR ? &server->own_log_limit : &server->log_limit;
    if (pw_log_wanted(level) &&
        pw_log_limit_pass(limit, PW_LOG_LINES, session->worker->now_ns, &suppressed)) {
        char peer[PW_ENDPOINT_URL_MAX];
        pw_conn_peer_name(session->conn, peer, sizeof(peer));
        pw_log(level, "%s: closed: %s (%u such lines left out)", peer, why, suppressed);
    }
    pw_session_close(session);
}

void pw_session_bad_input(struct pw_session *session, const char *what)
{
    pw_count(&session->worker->counters.bad_frames, 1);
    session->ending = true;
    /* What came before it is answered still, as far as the peer takes it. */
    pw_session_flush(session);
    pw_session_end(session, PYWATT_LOG_WARNING, what);
}

/* Its modules cannot beat here any more, even if replies are still to come. */
void pw_session_peer_ended(struct pw_session *session)
{
    session->no_more = true;
    session->ended = true;
    pw_presence_disconnected(pw_session_server(session)->table, &session->binding,
                             session->worker->stopping);
}

/* A slot whose task is under way stays with the task. */
static void drop_slots(struct pw_session *session)
{
    struct pw_list *link;
    while ((link = pw_list_pop(&session->replies.slots)) != NULL) {
        struct pw_reply_slot *slot = PW_CONTAINER_OF(link, struct pw_reply_slot, link);
        pw_reply_slot_destroy(slot);
        if (slot->ready) {
            pw_pending_free_slot(slot);
        } else if (pw_pending_drop_slot(slot)) {
            session->tasks--;
        }
    }
    pw_replies_init(&session->replies);
}

void pw_session_close(struct pw_session *session)
{
    struct pw_worker *worker = session->worker;
    struct pw_server *server = worker->server;
    if (pw_session_is_closed(session)) {
        return;
    }
    pw_presence_disconnected(server->table, &session->binding, worker->stopping);
    pw_aliases_destroy(&session->aliases);
    pw_wheel_cancel(&worker->wheel, &session->timer);
    /* Closing alone does not do it: a child that was forked may hold the socket as well. */
    pw_worker_unwatch(worker, pw_conn_fd(session->conn));
    pw_conn_destroy(session->conn);
    session->conn = NULL;
    pw_peers_leave(&server->peers, session->peer, session->proven, worker->now_ns);
    if (!session->proven) {
        atomic_fetch_sub_explicit(&server->connections_unproven, 1, memory_order_relaxed);
    }
    session->peer = NULL;
    drop_slots(session);
    pw_token_wipe_buffer(&session->input);
    pw_token_wipe_buffer(&session->output);
    pw_buffer_clear(&worker->out);
    pw_list_remove(&session->link);
    pw_list_remove(&session->unsettled);
    pw_list_remove(&session->unproven);
    worker->session_count--;
    atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
    if (session->tasks == 0) {
        pw_list_append(&worker->closed, &session->link);
    }
}

void pw_session_free_closed(struct pw_worker *worker)
{
    struct pw_list *link;
    while ((link = pw_list_pop(&worker->closed)) != NULL) {
        free(PW_CONTAINER_OF(link, struct pw_session, link));
    }
}

/* ---- Strangers ---- */

void pw_session_note_proven(struct pw_session *session)
{
    struct pw_server *server = pw_session_server(session);
    session->proven = true;
    pw_list_remove(&session->unproven);
    pw_peers_prove(&server->peers, session->peer);
    atomic_fetch_sub_explicit(&server->connections_unproven, 1, memory_order_relaxed);
}

/* ---- Settling ---- */

static bool reads(const struct pw_session *session)
{
    return !session->no_more && !session->held_back && !session->ending;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t reply_deadline_ns(const struct pw_session *session)
{
    return pw_replies_waiting(&session->replies)
               ? pw_deadline_after_ms(pw_replies_oldest_ns(&session->replies),
                                      session->worker->config->hooks.reply_timeout_ms)
               : PW_DEADLINE_NEVER;
}

static uint64_t open_deadline_ns(const struct pw_session *session)
{
    return session->opening ? session->open_deadline_ns : PW_DEADLINE_NEVER;
}

/* Silent is a peer from which nothing comes although nothing is owed to it. */
static uint64_t idle_deadline_ns(const struct pw_session *session)
{
    const struct pywatt_orchestrator_options *options = pw_session_options(session);
    const uint32_t idle_ms = session->proven || options->unproven_idle_timeout_ms == 0
                                 ? options->idle_timeout_ms
                                 : options->unproven_idle_timeout_ms;
    const uint64_t since_ns = session->last_active_ns > session->excused_until_ns
                                  ? session->last_active_ns
                                  : session->excused_until_ns;
    return idle_ms == 0 || session->held_back || pw_buffer_len(&session->output) > 0 ||
                   pw_replies_waiting(&session->replies)
               ? PW_DEADLINE_NEVER
               : pw_deadline_after_ms(since_ns, idle_ms);
}

static uint64_t next_deadline_ns(const struct pw_session *session)
{
    return earlier(open_deadline_ns(session),
                   earlier(earlier(session->frame_deadline_ns, session->write_deadline_ns),
                           earlier(reply_deadline_ns(session), idle_deadline_ns(session))));
}

/*
 * Sets the timer if something is due sooner than it stands. It is not set back when that is over:
 * it fires in vain once, which is cheaper than to touch it with every frame.
 */
static void set_timer(struct pw_session *session)
{
    const uint64_t deadline_ns = next_deadline_ns(session);
    if (deadline_ns == PW_DEADLINE_NEVER) {
        return;
    }
    const uint64_t tick = deadline_ns / PW_NS_PER_MS + 1;
    if (!pw_list_linked(&session->timer.link) || tick < session->timer.expiry) {
        pw_wheel_set(&session->worker->wheel, &session->timer, tick);
    }
}

static void set_interest(struct pw_session *session)
{
    short wanted = reads(session) ? POLLIN : 0;
    if (pw_buffer_len(&session->output) > 0) {
        wanted |= POLLOUT;
    }
    const short events = pw_conn_poll_events(session->conn, wanted);
    const uint32_t interest = ((events & POLLIN) != 0 ? (uint32_t)EPOLLIN : 0) |
                              ((events & POLLOUT) != 0 ? (uint32_t)EPOLLOUT : 0);
    if (interest != session->interest) {
        session->interest = interest;
        pw_worker_watch(session->worker, EPOLL_CTL_MOD, pw_conn_fd(session->conn), interest,
                        &session->source);
    }
}

static void settle(struct pw_session *session)
{
    while (!pw_session_is_closed(session)) {
        pw_session_flush(session);
        if (pw_session_is_closed(session) || !session->held_back ||
            pw_session_is_blocked(session)) {
            break;
        }
        pw_session_serve_held_back(session);
    }
    if (pw_session_is_closed(session)) {
        return;
    }
    const bool answered =
        pw_buffer_len(&session->output) == 0 && !pw_replies_waiting(&session->replies);
    if (session->ending || (session->no_more && !session->held_back && answered)) {
        pw_session_close(session);
        return;
    }
    set_interest(session);
    set_timer(session);
}

/* ---- Events ---- */

/* The first frame may take as long behind a handshake as it may without one. */
static void await_first_frame(struct pw_session *session)
{
    session->frame_deadline_ns = pw_deadline_after_ms(
        session->worker->now_ns, pw_session_options(session)->first_frame_timeout_ms);
}

/* A part of a handshake, if others have their turn meanwhile; else it comes again at once. */
static void go_on_opening(struct pw_session *session)
{
    if (session->worker->openings_left == 0) {
        return;
    }
    session->worker->openings_left--;
    pw_session_read(session);
    if (pw_session_is_closed(session) || pw_conn_opening_ms(session->conn) > 0) {
        return;
    }
    session->opening = false;
    if (!session->greeted && session->frame_deadline_ns == PW_DEADLINE_NEVER) {
        await_first_frame(session);
    }
}

void pw_session_on_event(struct pw_session *session, uint32_t events)
{
    if (pw_session_is_closed(session)) {
        return;
    }
    if (reads(session)) {
        const uint32_t readable = (uint32_t)pw_conn_poll_events(session->conn, POLLIN);
        if ((events & (readable | EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) {
            /* not for receiving */
        } else if (session->opening) {
            go_on_opening(session);
        } else {
            pw_session_read(session);
        }
    } else if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        /* Nobody is there to take what is still to be answered. */
        pw_session_close(session);
    }
    settle(session);
}

/*
 * If we were late, what the peer has sent in time lies in the socket, and there may be room again for
 * what waits for it: that is no fault of its.
 */
static void catch_up(struct pw_session *session)
{
    if (session->worker->now_ns >= next_deadline_ns(session)) {
        pw_session_on_event(session, EPOLLIN | EPOLLOUT);
    }
}

void pw_session_on_timer(struct pw_session *session)
{
    const uint64_t now_ns = session->worker->now_ns;
    if (!pw_session_is_closed(session)) {
        catch_up(session);
    }
    if (pw_session_is_closed(session)) {
        return;
    }
    if (now_ns >= open_deadline_ns(session)) {
        pw_session_end(session, PYWATT_LOG_WARNING, "its handshake took too long");
    } else if (now_ns >= session->frame_deadline_ns) {
        pw_session_end(session, session->greeted ? PYWATT_LOG_WARNING : PYWATT_LOG_INFO,
                       session->greeted ? "a frame took too long" : "no frame came in time");
    } else if (now_ns >= session->write_deadline_ns) {
        pw_session_end(session, PYWATT_LOG_WARNING, "it does not read what it is sent");
    } else if (now_ns >= reply_deadline_ns(session)) {
        pw_session_end(session, PYWATT_LOG_ERROR, "a reply was not ready in time");
    } else if (now_ns >= idle_deadline_ns(session)) {
        pw_session_end(session, PYWATT_LOG_INFO, "it was silent for too long");
    } else {
        set_timer(session);
    }
}

void pw_session_options_changed(struct pw_session *session)
{
    if (!pw_session_is_closed(session)) {
        set_timer(session);
    }
}

void pw_session_wind_up(struct pw_session *session)
{
    if (reads(session)) {
        pw_session_read(session);
    }
    session->no_more = true;
    settle(session);
}

/* ---- Replies ---- */

/* Half of the output may be taken when a batch is served, whose reply may have 180 KiB. */
#define OUTPUT_FOR_BATCHES (512u * 1024)

static unsigned features_of(const struct pw_session *session, const struct pw_codec_ops *codec)
{
    const struct pywatt_orchestrator_options *options = pw_session_options(session);
    return codec->batches && options->max_frame_bytes >= PW_BATCH_BYTES &&
                   options->max_output_bytes >= OUTPUT_FOR_BATCHES
               ? PW_FEATURE_HEARTBEAT_BATCH
               : 0;
}

/*
 * Appends a whole frame, or nothing. The first reply that leaves on a connection tells what we can
 * do; `next`: no other will leave before this one.
 */
static bool encode(struct pw_session *session, struct pw_buffer *out, bool next,
                   const struct pw_codec_ops *codec, const struct pw_response *response)
{
    struct pw_response first;
    if (next && !session->features_told) {
        session->features_told = codec->batches;
        first = *response;
        first.features = features_of(session, codec);
        response = &first;
    }
    const size_t before = pw_buffer_len(out);
    const uint8_t empty[PW_FRAME_HEADER_SIZE] = {0};
    if (pw_buffer_append(out, empty, sizeof(empty)) != PYWATT_OK) {
        return false;
    }
    if (pw_codec_encode_response(codec, response, out, NULL) != PYWATT_OK) {
        pw_buffer_truncate(out, before);
        return false;
    }
    const size_t len = pw_buffer_len(out) - before - PW_FRAME_HEADER_SIZE;
    pw_frame_write_header(out->data + out->start + before, (uint32_t)len, codec->format_code);
    return true;
}

void pw_session_reply(struct pw_session *session, const struct pw_codec_ops *codec,
                      const struct pw_response *response)
{
    if (session->ending) {
        return;
    }
    const bool waits = pw_replies_waiting(&session->replies);
    struct pw_buffer *out = waits ? pw_replies_tail(&session->replies)
                            : pw_buffer_len(&session->output) > 0 ? &session->output
                                                                  : &session->worker->out;
    const size_t before = pw_buffer_len(out);
    if (!encode(session, out, !waits, codec, response)) {
        /* A request without its reply would put all later ones out of step. */
        session->ending = true;
    } else if (waits) {
        pw_replies_added(&session->replies, pw_buffer_len(out) - before);
    }
}

void pw_session_open_slot(struct pw_session *session, struct pw_reply_slot *slot, size_t size)
{
    session->tasks++;
    session->waiting_bytes += size;
    pw_replies_open(&session->replies, slot, session->worker->now_ns, PW_SESSION_BUFFER_LIMIT);
    slot->request_size = size;
}

static bool append_all(struct pw_buffer *to, const struct pw_buffer *from)
{
    return pw_buffer_len(from) == 0 ||
           pw_buffer_append(to, pw_buffer_bytes(from), pw_buffer_len(from)) == PYWATT_OK;
}

/* What is ready at the front goes out, up to a reply that is missing. */
static void release_slots(struct pw_session *session)
{
    struct pw_reply_slot *slot;
    while ((slot = pw_replies_pop_ready(&session->replies)) != NULL) {
        if (!session->ending) {
            session->ending = !append_all(&session->output, &slot->reply) ||
                              !append_all(&session->output, &slot->after);
        }
        pw_reply_slot_destroy(slot);
        pw_pending_free_slot(slot);
    }
}

void pw_session_fill_slot(struct pw_session *session, struct pw_reply_slot *slot,
                          const struct pw_codec_ops *codec, const struct pw_response *response)
{
    session->tasks--;
    session->waiting_bytes -= slot->request_size;
    slot->ready = true;
    if (session->worker->now_ns >= reply_deadline_ns(session)) {
        pw_session_end(session, PYWATT_LOG_ERROR, "a reply was not ready in time");
        return;
    }
    if (!encode(session, &slot->reply, session->replies.slots.next == &slot->link, codec,
                response)) {
        /* Its peer would wait for ever, and take every later reply for another one's. */
        pw_session_flush(session);
        pw_session_end(session, PYWATT_LOG_ERROR, "no memory for a reply");
        return;
    }
    pw_replies_arrived(&session->replies, slot);
    release_slots(session);
    if (!pw_list_linked(&session->unsettled)) {
        pw_list_append(&session->worker->unsettled, &session->unsettled);
    }
}

/* A store answers many at once: one send for all of them, and one look at what was held back. */
void pw_session_settle_all(struct pw_worker *worker)
{
    struct pw_list *link;
    while ((link = pw_list_pop(&worker->unsettled)) != NULL) {
        settle(PW_CONTAINER_OF(link, struct pw_session, unsettled));
    }
}

void pw_session_task_left(struct pw_session *session)
{
    if (--session->tasks == 0) {
        pw_list_append(&session->worker->closed, &session->link);
    }
}

/* ---- Beginning ---- */

static void look_at_user(struct pw_session *session)
{
    const struct pw_allow *allow = &session->worker->config->allow;
    struct pw_credentials peer;
    if (pw_allow_asks_for_users(allow) && pw_conn_credentials(session->conn, &peer) &&
        !pw_allow_user(allow, &peer)) {
        session->unwelcome = "This user may not use the orchestrator's socket: ask whoever runs it "
                             "to allow the user or one of its groups";
    }
}

/* The crowd may be with the other workers. */
static void ask_next_worker(struct pw_session *session)
{
    struct pw_server *server = pw_session_server(session);
    atomic_fetch_sub_explicit(&server->connections_unproven, 1, memory_order_relaxed);
    session->worker = &server->workers[(session->worker->index + 1) % server->worker_count];
    pw_worker_post(session->worker, &session->arrival);
}

static void deliver_arrival(struct pw_worker *worker, struct pw_mail *mail)
{
    struct pw_session *session = PW_CONTAINER_OF(mail, struct pw_session, arrival);
    const bool over = worker->stopping || worker->ended;
    atomic_fetch_add_explicit(&worker->server->connections_unproven, 1, memory_order_relaxed);
    const bool room = over || pw_crowd_make_room(session);
    if (!room && --session->workers_left > 0) {
        ask_next_worker(session);
        return;
    }
    pw_list_append(&worker->sessions, &session->link);
    pw_list_append(&worker->unproven, &session->unproven);
    worker->session_count++;
    session->last_active_ns = worker->now_ns;
    const uint32_t opening_ms = pw_conn_opening_ms(session->conn);
    session->opening = opening_ms > 0;
    if (session->opening) {
        session->open_deadline_ns = pw_deadline_after_ms(worker->now_ns, opening_ms);
    } else {
        await_first_frame(session);
    }
    look_at_user(session);
    session->interest = EPOLLIN;
    if (over) {
        pw_session_close(session);
    } else if (!room) {
        atomic_fetch_add_explicit(&worker->server->connections_refused, 1, memory_order_relaxed);
        pw_session_end(session, PYWATT_LOG_WARNING,
                       "there are as many connections as there may be, and none can make room");
    } else if (!pw_worker_watch(worker, EPOLL_CTL_ADD, pw_conn_fd(session->conn), EPOLLIN,
                                &session->source)) {
        pw_session_end(session, PYWATT_LOG_ERROR, "no memory to watch it");
    } else {
        atomic_fetch_add_explicit(&worker->server->connections_accepted, 1, memory_order_relaxed);
        set_timer(session);
    }
}

struct pw_session *pw_session_new(struct pw_worker *worker, struct pw_conn *conn,
                                  struct pw_peer *peer)
{
    struct pw_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->source.kind = PW_SOURCE_SESSION;
    session->arrival.deliver = deliver_arrival;
    session->worker = worker;
    session->workers_left = worker->server->worker_count;
    session->conn = conn;
    session->peer = peer;
    session->frame_deadline_ns = PW_DEADLINE_NEVER;
    session->write_deadline_ns = PW_DEADLINE_NEVER;
    pw_list_init(&session->arrival.link);
    pw_list_init(&session->link);
    pw_list_init(&session->unsettled);
    pw_list_init(&session->unproven);
    pw_binding_init(&session->binding);
    pw_timer_init(&session->timer);
    pw_buffer_init(&session->input, PW_SESSION_BUFFER_LIMIT);
    pw_buffer_init(&session->output, PW_SESSION_BUFFER_LIMIT);
    pw_replies_init(&session->replies);
    return session;
}

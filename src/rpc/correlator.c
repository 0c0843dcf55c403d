/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * correlator.c - the life of a connection's requests: entered, completed by whoever takes them out.
 * And the roles: who writes, and how the reader's role is handed on.
 *
 * Any thread. `lock` guards what correlator_impl.h says.
 */
#include "rpc/correlator_impl.h"

#include "base/error.h"
#include "base/log.h"
#include "base/tool_hints.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sends in a row after which a writer passes the rest on, so that others cannot keep it for ever. */
#define SENDS_IN_A_ROW 16

static void set_options(struct pw_correlator *c, const struct pw_correlator_options *options)
{
    snprintf(c->url, sizeof(c->url), "%s", options->url);
    c->codec = options->codec;
    c->clock = options->clock;
    c->limits = pw_codec_default_limits;
    c->limits.max_bytes = options->max_frame_bytes;
    c->max_in_flight = options->max_in_flight;
    c->epoch = options->epoch;
    c->counters = options->counters;
    c->bursts = options->bursts;
    c->wake_pump = options->wake_pump;
    c->lost = options->lost;
    c->wake_user = options->wake_user;
    c->gone = options->gone;
    c->gone_user = options->gone_user;
}

static void set_empty(struct pw_correlator *c)
{
    PW_HINT_ATOMIC(c->references);
    PW_HINT_ATOMIC(c->last_number);
    PW_HINT_ATOMIC(c->crowded);
    PW_HINT_ATOMIC(c->failed);
    PW_HINT_ATOMIC(c->features);
    PW_HINT_ATOMIC(c->receiving);
    PW_HINT_ATOMIC(c->receiving_max);
    atomic_init(&c->references, 1);
    atomic_init(&c->crowded, true);
    struct pywatt_uuid nonce;
    pywatt_uuid_generate(&nonce); /* its first half has the version's bits, too */
    memcpy(c->nonce, nonce.bytes, sizeof(c->nonce));
    pw_map_init(&c->pending);
    pw_list_init(&c->waiting);
    pw_list_init(&c->parked);
    pw_list_init(&c->posts);
    pw_list_init(&c->ended);
    pw_list_init(&c->posts_turn);
    c->last_looked_ns = pw_clock_now_ns(c->clock);
    pw_arena_init(&c->arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&c->response);
}

enum pywatt_status pw_correlator_new(const struct pw_correlator_options *options,
                                     struct pw_conn *conn, struct pw_correlator **out,
                                     struct pywatt_error *error)
{
    struct pw_correlator *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        pw_conn_destroy(conn);
        return pw_error_no_memory(error);
    }
    set_options(c, options);
    set_empty(c);
    /* So that entering a request can never fail for want of memory. */
    if (pw_map_reserve(&c->pending, 1) != PYWATT_OK || pw_mutex_init(&c->lock) != PYWATT_OK) {
        pw_map_destroy(&c->pending);
        pw_conn_destroy(conn);
        free(c);
        return pw_error_no_memory(error);
    }
    const enum pywatt_status status =
        pw_stream_init(&c->stream, conn, options->max_frame_bytes, options->tx_limit_bytes, error);
    if (status != PYWATT_OK) {
        pw_mutex_destroy(&c->lock);
        pw_map_destroy(&c->pending);
        pw_conn_destroy(conn);
        free(c);
        return status;
    }
    *out = c;
    return PYWATT_OK;
}

void pw_correlator_retain(struct pw_correlator *c)
{
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
}

void pw_correlator_release(struct pw_correlator *c)
{
    PW_HINT_RELEASE(&c->references);
    if (atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    PW_HINT_ACQUIRE(&c->references);
    assert(c->pending.count == 0 && !c->reader);
    void (*gone)(void *user) = c->gone;
    void *gone_user = c->gone_user;
    pw_stream_destroy(&c->stream);
    pw_response_clear(&c->response);
    pw_arena_destroy(&c->arena);
    pw_map_destroy(&c->pending);
    pw_mutex_destroy(&c->lock);
    free(c);
    if (gone != NULL) {
        gone(gone_user);
    }
}

uint64_t pw_correlator_epoch(const struct pw_correlator *c)
{
    return c->epoch;
}

unsigned pw_correlator_features(const struct pw_correlator *c)
{
    return atomic_load_explicit(&c->features, memory_order_relaxed);
}

/* ---- Requests under way -------------------------------------------------------------------- */

bool pw_correlator_has_room_locked(const struct pw_correlator *c, size_t len)
{
    size_t taken = c->pending.count + (c->post_reserved ? 1 : 0);
    size_t window = c->max_in_flight;
    if (c->peer != PW_PEER_PIPELINED) {
        taken += c->deciding ? 1 : 0;
        window = 1;
    }
    return taken < window && pw_stream_has_room_locked(&c->stream, len);
}

enum pywatt_status pw_correlator_start_locked(struct pw_correlator *c, struct pw_post *entry,
                                              struct pw_span frame)
{
    entry->position = c->stream.appended;
    const enum pywatt_status status = pw_stream_append_locked(&c->stream, frame);
    if (status != PYWATT_OK) {
        return status;
    }
    /* Numbers are never used twice, so a number is its own hash. */
    const enum pywatt_status inserted = pw_map_insert(&c->pending, &entry->by_id, entry->id);
    assert(inserted == PYWATT_OK);
    (void)inserted;
    entry->heard = c->heard;
    entry->doubted = c->doubted;
    c->sole = entry;
    atomic_fetch_add_explicit(&c->counters->requests_sent, 1, memory_order_relaxed);
    return PYWATT_OK;
}

void pw_correlator_take_locked(struct pw_correlator *c, struct pw_post *entry)
{
    pw_map_remove(&c->pending, &entry->by_id);
    if (entry->done != NULL) {
        pw_list_remove(&entry->by_deadline);
    }
}

void pw_correlator_complete_locked(struct pw_call *call, enum pywatt_status status)
{
    assert(!call->finished);
    call->finished = true;
    call->status = status;
    /* Out of `parked` at once, so that the reader's role goes to somebody who still needs it. */
    if (pw_list_linked(&call->parked)) {
        pw_list_remove(&call->parked);
        pw_cond_signal(&call->cond); /* under the lock: it stands on the caller's stack */
    }
}

void pw_correlator_end_post_locked(struct pw_correlator *c, struct pw_post *post,
                                   enum pywatt_status status)
{
    post->status = status;
    pw_list_append(&c->ended, &post->by_deadline);
}

/* ---- The writer's role --------------------------------------------------------------------- */

/* Starts calls, first come first served, as far as there is room. */
static void admit_locked(struct pw_correlator *c)
{
    while (!pw_list_empty(&c->waiting)) {
        struct pw_list *turn = c->waiting.next;
        if (turn == &c->posts_turn) {
            if (!pw_correlator_has_room_locked(c, c->refused_len)) {
                return;
            }
            pw_list_remove(turn);
            c->post_reserved = true;
            c->wake_wanted = true;
            continue;
        }
        struct pw_call *call = PW_CONTAINER_OF(turn, struct pw_call, turn);
        if (!pw_correlator_has_room_locked(c, call->frame.len)) {
            return;
        }
        pw_list_remove(turn);
        const enum pywatt_status status = pw_correlator_start_locked(c, &call->entry, call->frame);
        if (status == PYWATT_OK) {
            call->started = true;
        } else {
            pw_correlator_complete_locked(call, status);
        }
    }
}

/*
 * Sending failed. Replies may still lie unread, so the connection fails only when they have been
 * read: by the reader, whom the shutdown wakes, or if there is none, here.
 */
static void send_failed_locked(struct pw_correlator *c, const struct pywatt_error *error)
{
    c->send_error = *error;
    pw_conn_shutdown(c->stream.conn);
    while (c->status == PYWATT_OK && !c->reader) {
        if (!pw_correlator_read_locked(c, PW_READ_NOW)) {
            pw_correlator_lost_locked(c, PYWATT_CHANNEL, "%s", error->text);
        }
    }
}

void pw_correlator_flush_locked(struct pw_correlator *c)
{
    for (unsigned sends = 0; c->status == PYWATT_OK; sends++) {
        admit_locked(c);
        if (!pw_stream_can_send_locked(&c->stream)) {
            return;
        }
        if (sends == SENDS_IN_A_ROW) {
            /* To the reader, who finds the stream writable and goes on. */
            c->stream.blocked = true;
            pw_stream_watch_locked(&c->stream);
            return;
        }
        struct pywatt_error error;
        if (pw_stream_send_locked(&c->stream, &c->lock, &error) == PW_IO_ERROR) {
            send_failed_locked(c, &error);
        }
    }
}

/* ---- The reader's role --------------------------------------------------------------------- */

/*
 * If nobody reads, and somebody should, wakes one who can: a sleeping caller, else the pump. He
 * finds the role free, or that somebody was faster. True if that is for the pump to do.
 */
static bool hand_over_locked(struct pw_correlator *c)
{
    if (c->reader || c->status != PYWATT_OK) {
        return false;
    }
    if (!pw_list_empty(&c->parked)) {
        pw_cond_signal(&PW_CONTAINER_OF(c->parked.next, struct pw_call, parked)->cond);
        return false;
    }
    return (!pw_list_empty(&c->posts) || c->stream.blocked) && !pw_correlator_in_burst(c);
}

static void report_failure(const struct pw_correlator *c)
{
    pw_log(c->error.status == PYWATT_CLOSED ? PYWATT_LOG_DEBUG : PYWATT_LOG_WARNING,
           "connection lost: %s", c->error.text);
}

/* `done` may give the post's memory to something else. */
static void tell_post(const struct pw_correlator *c, struct pw_post *post)
{
    if (post->status != PYWATT_TIMEOUT) {
        post->done(post, post->status, NULL, &c->error);
        return;
    }
    struct pywatt_error error;
    pw_error_set(&error, PYWATT_TIMEOUT, "%s: no reply before the deadline", c->url);
    post->done(post, PYWATT_TIMEOUT, NULL, &error);
}

static void unlock_and_tell(struct pw_correlator *c)
{
    const bool wake = c->wake_wanted;
    const bool report = c->report_failure;
    c->wake_wanted = false;
    c->report_failure = false;
    struct pw_list ended;
    pw_list_init(&ended);
    pw_list_splice(&ended, &c->ended);
    pw_mutex_unlock(&c->lock);

    if (report) {
        report_failure(c);
    }
    struct pw_list *link;
    while ((link = pw_list_pop(&ended)) != NULL) {
        tell_post(c, PW_CONTAINER_OF(link, struct pw_post, by_deadline));
    }
    if (report && c->lost != NULL) {
        c->lost(c->wake_user);
    }
    if (wake && c->wake_pump != NULL) {
        c->wake_pump(c->wake_user);
    }
}

void pw_correlator_leave(struct pw_correlator *c)
{
    c->wake_wanted |= hand_over_locked(c);
    unlock_and_tell(c);
}

void pw_correlator_leave_to_pump(struct pw_correlator *c)
{
    (void)hand_over_locked(c);
    unlock_and_tell(c);
}

void pw_correlator_get_info(struct pw_correlator *c, struct pw_correlator_info *out)
{
    pw_mutex_lock(&c->lock);
    *out = (struct pw_correlator_info){
        .in_flight = (uint32_t)c->pending.count,
        .waiting = pw_correlator_list_len(&c->waiting) - (pw_list_linked(&c->posts_turn) ? 1 : 0),
        .parked = pw_correlator_list_len(&c->parked),
        .reading = c->reader,
        .blocked = c->stream.blocked,
        .pipelined = c->peer == PW_PEER_PIPELINED,
        .readers_max = atomic_load(&c->receiving_max),
        .fail_parked = c->fail_parked,
        .fail_signals = c->fail_signals,
    };
    pw_mutex_unlock(&c->lock);
}

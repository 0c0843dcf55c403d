/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * post.c - posted requests, whose replies nobody waits for, and the pump, which reads while there
 * are such and no caller reads.
 *
 * Posting: any thread. The pump functions: one thread, the owner's. Between pump_begin and pump_end
 * that thread has the reader's role.
 */
#include "rpc/correlator_impl.h"

#include "base/error.h"

/* Sorted by deadline. Posts mostly come with later and later ones, so the search is short. */
static void enlist_locked(struct pw_correlator *c, struct pw_post *post)
{
    struct pw_list *before = c->posts.prev;
    while (before != &c->posts &&
           PW_CONTAINER_OF(before, struct pw_post, by_deadline)->deadline_ns > post->deadline_ns) {
        before = before->prev;
    }
    pw_list_append(before->next, &post->by_deadline);
    if (before == &c->posts) {
        c->wake_wanted = true; /* it is the earliest now */
    }
}

/* The next room is the posts', behind the calls that wait already. */
static enum pywatt_status refuse_locked(struct pw_correlator *c, size_t len,
                                        struct pywatt_error *error)
{
    const bool waits = pw_list_linked(&c->posts_turn);
    if (!waits || len > c->refused_len) {
        c->refused_len = len;
    }
    c->refused_by = pthread_self();
    if (!waits && c->wake_pump != NULL) {
        pw_list_append(&c->waiting, &c->posts_turn);
    }
    atomic_store_explicit(&c->crowded, true, memory_order_relaxed);
    return pw_error_set(error, PYWATT_UNAVAILABLE, "%s: too many requests are under way", c->url);
}

/* A connection that was left alone for a while may be dead. */
static enum pywatt_status check_connection_locked(struct pw_correlator *c,
                                                  struct pywatt_error *error)
{
    if (c->pending.count == 0) {
        pw_correlator_look_locked(c, pw_clock_now_ns(c->clock));
    }
    if (c->status == PYWATT_CLOSED) {
        return pw_error_set(error, PYWATT_CLOSED, "%s", c->error.text);
    }
    if (c->status != PYWATT_OK) {
        return pw_error_set(error, PYWATT_CONNECTION, "there is no connection: %s", c->error.text);
    }
    return PYWATT_OK;
}

/* Before a post is encoded, which is in vain if there is no room for any. */
static enum pywatt_status look_for_room(struct pw_correlator *c, struct pywatt_error *error)
{
    pw_mutex_lock(&c->lock);
    enum pywatt_status status = check_connection_locked(c, error);
    if (status == PYWATT_OK && !c->post_reserved &&
        (!pw_list_empty(&c->waiting) || !pw_correlator_has_room_locked(c, 0))) {
        status = refuse_locked(c, 0, error);
    }
    pw_correlator_leave_to_pump(c);
    return status;
}

static enum pywatt_status post_locked(struct pw_correlator *c, struct pw_post *post,
                                      struct pw_span frame, struct pywatt_error *error)
{
    const enum pywatt_status status = check_connection_locked(c, error);
    if (status != PYWATT_OK) {
        return status;
    }
    const bool turn = c->post_reserved || pw_list_empty(&c->waiting);
    c->post_reserved = false;
    if (!turn || !pw_correlator_has_room_locked(c, frame.len)) {
        return refuse_locked(c, frame.len, error);
    }
    if (pw_correlator_start_locked(c, post, frame) != PYWATT_OK) {
        return pw_error_no_memory(error);
    }
    enlist_locked(c, post);
    return PYWATT_OK;
}

enum pywatt_status pw_correlator_post(struct pw_correlator *c, struct pw_request *request,
                                      uint64_t deadline_ns, struct pw_post *post,
                                      struct pywatt_error *error)
{
    enum pywatt_status status = PYWATT_OK;
    if (atomic_load_explicit(&c->crowded, memory_order_relaxed)) {
        status = look_for_room(c, error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    struct pw_request_frame frame;
    status = pw_request_frame_make(c, request, post->scratch, &post->id, &frame, error);
    if (status == PYWATT_OK) {
        post->deadline_ns = deadline_ns;
        post->operation = request->operation;
        post->epoch = c->epoch;
        pw_mutex_lock(&c->lock);
        status = post_locked(c, post, frame.bytes, error);
        pw_correlator_leave_to_pump(c);
    }
    pw_request_frame_free(&frame);
    return status;
}

void pw_correlator_flush(struct pw_correlator *c)
{
    pw_mutex_lock(&c->lock);
    pw_correlator_flush_locked(c);
    pw_correlator_leave_to_pump(c);
}

/* ---- Bursts -------------------------------------------------------------------------------- */

/* If the pump reads, it is to see that it need not. */
void pw_correlator_burst_begun(struct pw_correlator *c)
{
    pw_mutex_lock(&c->lock);
    c->wake_wanted |= c->reader && !pw_list_empty(&c->posts);
    pw_correlator_leave_to_pump(c);
}

bool pw_correlator_burst_read(struct pw_correlator *c, uint64_t deadline_ns)
{
    pw_mutex_lock(&c->lock);
    pw_correlator_flush_locked(c);
    const bool mine = c->status == PYWATT_OK && !c->reader && pw_list_empty(&c->parked);
    if (mine) {
        const uint64_t now_ns = pw_clock_now_ns(c->clock);
        pw_correlator_read_locked(c, pw_deadline_poll_ms(now_ns, deadline_ns));
        pw_correlator_flush_locked(c);
    }
    pw_correlator_leave(c);
    return mine;
}

void pw_correlator_burst_ended(struct pw_correlator *c)
{
    pw_mutex_lock(&c->lock);
    pw_correlator_leave(c);
}

/* ---- The pump ------------------------------------------------------------------------------ */

static bool pump_is_needed_locked(const struct pw_correlator *c)
{
    return c->status == PYWATT_OK && !c->reader && pw_list_empty(&c->parked) &&
           (!pw_list_empty(&c->posts) || c->stream.blocked) && !pw_correlator_in_burst(c);
}

bool pw_correlator_pump_begin(struct pw_correlator *c, struct pollfd *poll_fd)
{
    pw_mutex_lock(&c->lock);
    if (c->post_reserved) {
        /* It has looked, and does not want the room that was kept. */
        c->post_reserved = false;
        pw_correlator_flush_locked(c);
    }
    while (pump_is_needed_locked(c) && pw_conn_buffered(c->stream.conn)) {
        pw_correlator_read_locked(c, PW_READ_NOW);
        pw_correlator_flush_locked(c);
    }
    const bool needed = pump_is_needed_locked(c);
    if (needed) {
        pw_correlator_begin_read_locked(c);
        *poll_fd = (struct pollfd){.fd = c->stream.poll_fd, .events = POLLIN};
    }
    pw_correlator_leave_to_pump(c);
    return needed;
}

void pw_correlator_pump_end(struct pw_correlator *c, short revents)
{
    pw_correlator_end_read_and_lock(c, revents != 0);
    pw_correlator_flush_locked(c);
    pw_correlator_leave_to_pump(c);
}

bool pw_correlator_watch_begin(struct pw_correlator *c, struct pollfd *poll_fd)
{
    *poll_fd = (struct pollfd){.fd = pw_conn_fd(c->stream.conn), .events = POLLRDHUP};
    return !pw_correlator_failed(c);
}

void pw_correlator_watch_end(struct pw_correlator *c, bool polled, short revents)
{
    pw_mutex_lock(&c->lock);
    if (revents != 0) {
        /* A caller who reads finds out by himself. */
        while (c->status == PYWATT_OK && !c->reader && pw_correlator_read_locked(c, PW_READ_NOW)) {
        }
        pw_correlator_flush_locked(c);
    } else if (polled) {
        c->last_looked_ns = pw_clock_now_ns(c->clock);
    }
    pw_correlator_leave_to_pump(c);
}

uint64_t pw_correlator_pump_deadline(struct pw_correlator *c)
{
    pw_mutex_lock(&c->lock);
    const uint64_t deadline_ns =
        pw_list_empty(&c->posts)
            ? PW_DEADLINE_NEVER
            : PW_CONTAINER_OF(c->posts.next, struct pw_post, by_deadline)->deadline_ns;
    pw_mutex_unlock(&c->lock);
    return deadline_ns;
}

void pw_correlator_pump_expire(struct pw_correlator *c)
{
    pw_mutex_lock(&c->lock);
    const uint64_t now_ns = pw_clock_now_ns(c->clock);
    while (!pw_list_empty(&c->posts)) {
        struct pw_post *first = PW_CONTAINER_OF(c->posts.next, struct pw_post, by_deadline);
        if (first->deadline_ns > now_ns) {
            break;
        }
        pw_correlator_take_locked(c, first);
        pw_correlator_end_post_locked(c, first, PYWATT_TIMEOUT);
        pw_correlator_count_timeout(c);
        pw_correlator_gave_up_locked(c, first, PYWATT_TIMEOUT);
    }
    pw_correlator_flush_locked(c);
    pw_correlator_leave_to_pump(c);
}

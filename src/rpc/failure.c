/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * failure.c - the end of a connection: the first error sticks, and all that is under way fails with
 * it, in one step. And what a request that was given up says of the peer.
 *
 * Any thread; `lock` guards what correlator_impl.h says.
 */
#include "rpc/correlator_impl.h"

#include "base/error.h"
#include "base/tool_hints.h"

#include <stdarg.h>
#include <stdio.h>

/* Whether nothing of it has been handed to the kernel. */
static bool is_unsent_locked(const struct pw_correlator *c, const struct pw_post *entry)
{
    return entry->position >= c->stream.offered;
}

static void fail_posts_locked(struct pw_correlator *c)
{
    while (!pw_list_empty(&c->posts)) {
        struct pw_post *post = PW_CONTAINER_OF(c->posts.next, struct pw_post, by_deadline);
        const bool closed = c->status == PYWATT_CLOSED;
        pw_correlator_take_locked(c, post);
        pw_correlator_end_post_locked(
            c, post, !closed && is_unsent_locked(c, post) ? PYWATT_CONNECTION : c->status);
    }
}

static void fail_call_locked(struct pw_correlator *c, struct pw_call *call)
{
    call->by_failure = true;
    call->unsent = !call->started || is_unsent_locked(c, &call->entry);
    c->fail_signals += pw_list_linked(&call->parked) ? 1 : 0;
    pw_correlator_complete_locked(call, c->status);
}

/* All in one step: nobody has to find out by himself. */
static void fail_all_locked(struct pw_correlator *c)
{
    c->fail_parked = pw_correlator_list_len(&c->parked);
    fail_posts_locked(c); /* in the order in which they were posted, mostly */
    size_t bucket = 0;
    struct pw_map_node *node = pw_map_walk(&c->pending, &bucket, NULL);
    while (node != NULL) {
        struct pw_map_node *next = pw_map_walk(&c->pending, &bucket, node);
        struct pw_post *entry = PW_CONTAINER_OF(node, struct pw_post, by_id);
        pw_correlator_take_locked(c, entry);
        fail_call_locked(c, pw_call_of(entry));
        node = next;
    }
    struct pw_list *turn;
    while ((turn = pw_list_pop(&c->waiting)) != NULL) {
        if (turn != &c->posts_turn) {
            fail_call_locked(c, PW_CONTAINER_OF(turn, struct pw_call, turn));
        }
    }
}

static void fail_va_locked(struct pw_correlator *c, enum pywatt_status status, const char *format,
                           va_list args) __attribute__((format(printf, 3, 0)));

static void fail_va_locked(struct pw_correlator *c, enum pywatt_status status, const char *format,
                           va_list args)
{
    char text[PYWATT_ERROR_TEXT_MAX];
    vsnprintf(text, sizeof(text), format, args);
    c->status = pw_error_set(&c->error, status, "%s: %s", c->url, text);
    c->failed_at_ns = pw_clock_now_ns(c->clock);
    /* Whoever polls wakes, and finds out that it is over. */
    pw_conn_shutdown(c->stream.conn);
    fail_all_locked(c);
    c->wake_wanted = true;
    c->report_failure = true;
    PW_HINT_RELEASE(&c->failed);
    atomic_store_explicit(&c->failed, true, memory_order_release);
}

void pw_correlator_fail_locked(struct pw_correlator *c, enum pywatt_status status,
                               const char *format, ...)
{
    if (c->status == PYWATT_OK) {
        va_list args;
        va_start(args, format);
        fail_va_locked(c, status, format, args);
        va_end(args);
    }
}

void pw_correlator_lost_locked(struct pw_correlator *c, enum pywatt_status status,
                               const char *format, ...)
{
    if (c->status == PYWATT_OK) {
        va_list args;
        va_start(args, format);
        c->barren = !c->replied;
        fail_va_locked(c, status, format, args);
        va_end(args);
    }
}

void pw_correlator_fail(struct pw_correlator *c, enum pywatt_status status, const char *text)
{
    pw_mutex_lock(&c->lock);
    pw_correlator_fail_locked(c, status, "%s", text);
    pw_correlator_leave(c);
}

bool pw_correlator_failed(const struct pw_correlator *c)
{
    const bool failed = atomic_load_explicit(&c->failed, memory_order_acquire);
    if (failed) {
        PW_HINT_ACQUIRE(&c->failed);
    }
    return failed;
}

const struct pywatt_error *pw_correlator_error(const struct pw_correlator *c)
{
    return &c->error;
}

uint64_t pw_correlator_failed_at_ns(const struct pw_correlator *c)
{
    return c->failed_at_ns;
}

bool pw_correlator_barren(const struct pw_correlator *c)
{
    return c->barren;
}

bool pw_correlator_hung(const struct pw_correlator *c)
{
    return c->hung;
}

/* ---- What the end of a request says ----------------------------------------------------------- */

void pw_correlator_gave_up_locked(struct pw_correlator *c, const struct pw_post *entry,
                                  enum pywatt_status status)
{
    const bool silence = status == PYWATT_TIMEOUT && entry->heard == c->heard;
    if (c->peer != PW_PEER_PIPELINED) {
        c->hung = silence;
        pw_correlator_fail_locked(c, PYWATT_CHANNEL,
                                  "closed after a reply was overdue, as this peer does not say "
                                  "which request a reply belongs to");
    } else if (silence && entry->doubted) {
        c->hung = true;
        pw_correlator_fail_locked(c, PYWATT_CHANNEL,
                                  "closed after replies were overdue and nothing came meanwhile");
    } else if (silence) {
        c->doubted = true;
    }
}

void pw_correlator_decided_locked(struct pw_correlator *c, bool readable)
{
    c->deciding = false;
    if (!readable) {
        pw_correlator_fail_locked(c, PYWATT_CHANNEL,
                                  "closed after a reply that cannot be read, as this peer does "
                                  "not say which request a reply belongs to");
    }
}

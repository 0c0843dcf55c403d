/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * replies.h - keeps the replies of a connection in the order of its requests while some of them are
 * not ready yet. No lock: the connection's own thread.
 *
 * A request whose reply takes longer gets a slot. What is answered after it waits in that slot, and
 * goes out behind its reply.
 */
#ifndef PW_ORCHESTRATOR_REPLIES_H
#define PW_ORCHESTRATOR_REPLIES_H

#include "base/buffer.h"
#include "base/list.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_reply_slot {
    struct pw_list link;
    uint64_t opened_ns;
    size_t request_size; /* what its request holds; the session's */
    size_t expected;     /* bytes of its reply that are counted already */
    bool ready;
    struct pw_buffer reply; /* empty until it is ready */
    struct pw_buffer after; /* replies to later requests, whole */
};

struct pw_replies {
    struct pw_list slots; /* oldest first */
    size_t count;
    size_t held; /* bytes that wait in slots, or may come to */
};

void pw_replies_init(struct pw_replies *replies);

/* True while a slot is open: then replies go to pw_replies_tail. */
static inline bool pw_replies_waiting(const struct pw_replies *replies)
{
    return replies->count > 0;
}

/* Opens a slot at the end. `limit` is that of its buffers. */
void pw_replies_open(struct pw_replies *replies, struct pw_reply_slot *slot, uint64_t now_ns,
                     size_t limit);

/* The reply of an open slot may have so many bytes: they are counted from now on. */
void pw_replies_expect(struct pw_replies *replies, struct pw_reply_slot *slot, size_t most);

/* A slot's `reply` is there, so it counts with what it has. */
void pw_replies_arrived(struct pw_replies *replies, struct pw_reply_slot *slot);

/*
 * Where a reply goes that is ready while older ones are not. How many bytes were put there is
 * told with pw_replies_added.
 */
struct pw_buffer *pw_replies_tail(struct pw_replies *replies);
void pw_replies_added(struct pw_replies *replies, size_t len);

/* When the oldest slot was opened. There must be one. */
uint64_t pw_replies_oldest_ns(const struct pw_replies *replies);

/*
 * If the oldest slot is ready: takes it out and returns it; the caller sends its two buffers, in
 * that order, and ends it with pw_reply_slot_destroy. Else NULL.
 */
struct pw_reply_slot *pw_replies_pop_ready(struct pw_replies *replies);

/* Wipes the buffers, as there are tokens in them, and frees them. */
void pw_reply_slot_destroy(struct pw_reply_slot *slot);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * replies.c - slots for replies that are not ready. The connection's own thread only.
 */
#include "orchestrator/replies.h"

#include "orchestrator/token.h"

void pw_replies_init(struct pw_replies *replies)
{
    pw_list_init(&replies->slots);
    replies->count = 0;
    replies->held = 0;
}

static struct pw_reply_slot *slot_of(struct pw_list *link)
{
    return PW_CONTAINER_OF(link, struct pw_reply_slot, link);
}

void pw_replies_open(struct pw_replies *replies, struct pw_reply_slot *slot, uint64_t now_ns,
                     size_t limit)
{
    *slot = (struct pw_reply_slot){.opened_ns = now_ns};
    pw_buffer_init(&slot->reply, limit);
    pw_buffer_init(&slot->after, limit);
    pw_list_append(&replies->slots, &slot->link);
    replies->count++;
}

struct pw_buffer *pw_replies_tail(struct pw_replies *replies)
{
    return &slot_of(replies->slots.prev)->after;
}

uint64_t pw_replies_oldest_ns(const struct pw_replies *replies)
{
    return slot_of(replies->slots.next)->opened_ns;
}

void pw_replies_expect(struct pw_replies *replies, struct pw_reply_slot *slot, size_t most)
{
    slot->expected = most;
    replies->held += most;
}

void pw_replies_arrived(struct pw_replies *replies, struct pw_reply_slot *slot)
{
    replies->held += pw_buffer_len(&slot->reply);
    replies->held -= slot->expected;
    slot->expected = 0;
}

void pw_replies_added(struct pw_replies *replies, size_t len)
{
    replies->held += len;
}

struct pw_reply_slot *pw_replies_pop_ready(struct pw_replies *replies)
{
    if (replies->count == 0 || !slot_of(replies->slots.next)->ready) {
        return NULL;
    }
    struct pw_reply_slot *slot = slot_of(pw_list_pop(&replies->slots));
    replies->count--;
    replies->held -= pw_buffer_len(&slot->reply) + pw_buffer_len(&slot->after);
    return slot;
}

void pw_reply_slot_destroy(struct pw_reply_slot *slot)
{
    pw_token_wipe_buffer(&slot->reply);
    pw_token_wipe_buffer(&slot->after);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader.c - the reader's role: waits for bytes, cuts them into frames, finds out whose reply each
 * is, and completes it.
 *
 * One thread at a time is in here: it has the role, which is taken and given back under the lock.
 * Frames are looked at without the lock; then the lock is taken once for a batch of them. Callers
 * get the bytes of their reply and decode them themselves, so one large reply does not delay the
 * others; replies to posts are decoded here, after the lock.
 */
#include "rpc/correlator_impl.h"

#include "base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 32

/* A connection that nobody looked at for so long may have been ended by the peer meanwhile. */
#define QUIET_NS (10 * PW_NS_PER_MS)

/* A frame that came, and what became of it. */
struct arrival {
    struct pw_frame frame;
    const struct pw_codec_ops *codec; /* NULL: nothing of ours can be in it */
    bool readable;                    /* it can be a reply */
    bool has_id;
    bool ours;       /* the id is of this connection */
    uint64_t number; /* of the request, if it is ours */
    uint8_t *heap;   /* a copy for a caller, if it is large */
    struct pw_post *post;
};

static void look_at_id(const struct pw_correlator *c, const struct pywatt_uuid *id,
                       struct arrival *arrival)
{
    uint64_t number = 0;
    for (size_t i = PW_REQUEST_NONCE_SIZE; i < sizeof(id->bytes); i++) {
        number = number << 8 | id->bytes[i];
    }
    arrival->number = number & PW_REQUEST_NUMBER_MAX;
    arrival->ours = memcmp(id->bytes, c->nonce, sizeof(c->nonce)) == 0 && number >> 62 == 2;
}

/* Without the lock: all that can be said of a frame before its request is known. */
static void look_at(const struct pw_correlator *c, struct arrival *arrival)
{
    const struct pw_span payload = arrival->frame.payload;
    arrival->codec = pw_codec_by_frame(arrival->frame.format_code, payload);
    arrival->readable = false;
    arrival->has_id = false;
    arrival->ours = false;
    arrival->heap = NULL;
    arrival->post = NULL;
    if (arrival->codec == NULL) {
        return;
    }
    struct pywatt_uuid id;
    if (pw_codec_peek_response_id(arrival->codec, payload, &arrival->has_id, &id) != PYWATT_OK) {
        return;
    }
    arrival->readable = true;
    if (arrival->has_id) {
        look_at_id(c, &id, arrival);
    }
    if (payload.len > PW_REPLY_INLINE_BYTES) {
        arrival->heap = malloc(payload.len);
        if (arrival->heap != NULL) {
            memcpy(arrival->heap, payload.data, payload.len);
        }
    }
}

/* From the first reply with an id on there is room for many requests. */
static void note_pipelined_locked(struct pw_correlator *c)
{
    if (c->peer != PW_PEER_PIPELINED) {
        c->peer = PW_PEER_PIPELINED;
        atomic_store_explicit(&c->crowded, false, memory_order_relaxed);
    }
}

/* Finds whose reply it is, and takes that out. NULL: nobody's, and the connection may have failed. */
static struct pw_post *claim_locked(struct pw_correlator *c, const struct arrival *arrival)
{
    struct pw_post *entry = NULL;
    if (arrival->has_id) {
        struct pw_map_node *node =
            arrival->ours ? pw_map_first(&c->pending, arrival->number) : NULL;
        if (node != NULL) {
            entry = PW_CONTAINER_OF(node, struct pw_post, by_id);
            note_pipelined_locked(c);
        }
    } else if (c->peer != PW_PEER_PIPELINED && c->pending.count == 1) {
        entry = c->sole;
        c->peer = PW_PEER_SERIAL;
        c->deciding = true;
    } else {
        pw_correlator_lost_locked(c, PYWATT_SERIALIZATION,
                                  "the peer sent a reply that belongs to no request");
    }
    if (entry == NULL) {
        atomic_fetch_add_explicit(&c->counters->replies_dropped, 1, memory_order_relaxed);
        return NULL;
    }
    pw_correlator_take_locked(c, entry);
    c->replied = true;
    atomic_fetch_add_explicit(&c->counters->replies_received, 1, memory_order_relaxed);
    return entry;
}

static void complete_call_locked(struct pw_correlator *c, struct pw_call *call,
                                 struct arrival *arrival)
{
    const struct pw_span payload = arrival->frame.payload;
    enum pywatt_status status = PYWATT_OK;
    call->decides = c->peer == PW_PEER_SERIAL;
    call->reply_codec = arrival->codec;
    call->reply_len = payload.len;
    if (payload.len <= PW_REPLY_INLINE_BYTES) {
        memcpy(call->reply_inline, payload.data, payload.len);
    } else if (arrival->heap != NULL) {
        call->reply_heap = arrival->heap;
        arrival->heap = NULL;
    } else {
        status = PYWATT_NO_MEMORY;
    }
    pw_correlator_complete_locked(call, status);
}

static void settle_locked(struct pw_correlator *c, struct arrival *arrival)
{
    if (!arrival->readable) {
        pw_correlator_lost_locked(c, PYWATT_SERIALIZATION,
                                  "the peer sent what is no reply: a frame of format %u, %zu bytes",
                                  arrival->frame.format_code, arrival->frame.payload.len);
        return;
    }
    struct pw_post *entry = claim_locked(c, arrival);
    if (entry == NULL) {
        return;
    }
    if (entry->done != NULL) {
        arrival->post = entry;
    } else {
        complete_call_locked(c, pw_call_of(entry), arrival);
    }
}

/* Without the lock. False if the reply cannot be read. */
static bool finish_post(struct pw_correlator *c, const struct arrival *arrival)
{
    struct pywatt_error error;
    const enum pywatt_status status =
        pw_correlator_decode(c, arrival->codec, arrival->frame.payload, arrival->post->operation,
                             &c->arena, &c->response, &error);
    if (status == PYWATT_OK) {
        error.status = PYWATT_OK;
        error.text[0] = '\0';
    }
    arrival->post->answered_ns = c->received_ns;
    arrival->post->done(arrival->post, status, status == PYWATT_OK ? &c->response : NULL, &error);
    pw_response_reset(&c->response);
    pw_arena_reset(&c->arena);
    return status != PYWATT_SERIALIZATION;
}

static bool has_more_work(const struct arrival *batch, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (batch[i].post != NULL || batch[i].heap != NULL) {
            return true;
        }
    }
    return false;
}

/* What cannot be done under the lock: decoding, foreign code, free. Releases it meanwhile. */
static void finish_batch_locked(struct pw_correlator *c, const struct arrival *batch, size_t count)
{
    bool all_read = true;
    bool any_post = false;
    pw_mutex_unlock(&c->lock);
    for (size_t i = 0; i < count; i++) {
        free(batch[i].heap);
        if (batch[i].post != NULL) {
            any_post = true;
            all_read = finish_post(c, &batch[i]) && all_read;
        }
    }
    pw_mutex_lock(&c->lock);
    if (any_post && c->peer == PW_PEER_SERIAL) {
        pw_correlator_decided_locked(c, all_read);
    }
}

/* Deals with all whole frames that have come. Called without the lock, returns with it. */
static void deliver_and_lock(struct pw_correlator *c)
{
    size_t offset = 0;
    for (;;) {
        struct pw_frame frames[BATCH];
        struct arrival batch[BATCH];
        size_t too_long;
        const size_t count = pw_stream_frames(&c->stream, &offset, frames, BATCH, &too_long);
        for (size_t i = 0; i < count; i++) {
            batch[i].frame = frames[i];
            look_at(c, &batch[i]);
        }
        pw_mutex_lock(&c->lock);
        c->heard++;
        c->doubted = false;
        for (size_t i = 0; i < count; i++) {
            settle_locked(c, &batch[i]);
        }
        if (too_long != 0) {
            pw_correlator_lost_locked(
                c, PYWATT_LIMIT, "the peer sent a frame of %zu bytes, and max_frame_bytes is %zu",
                too_long - PW_FRAME_HEADER_SIZE, c->stream.max_payload);
        }
        if (has_more_work(batch, count)) {
            finish_batch_locked(c, batch, count);
        }
        if (count < BATCH) {
            break;
        }
        pw_mutex_unlock(&c->lock);
    }
    pw_stream_consume(&c->stream, offset);
}

static const char *how_it_ended(const struct pw_correlator *c, enum pw_io result,
                                const struct pywatt_error *error)
{
    if (c->stream.broken) {
        return c->send_error.text; /* which came first, and ended the receiving, too */
    }
    if (result == PW_IO_ERROR) {
        return error->text;
    }
    return pw_buffer_len(&c->stream.rx) == 0 ? "closed by the peer"
                                             : "closed by the peer in the middle of a reply";
}

/* Called without the lock, returns with it. */
static enum pw_io receive_and_lock(struct pw_correlator *c, bool patiently)
{
    struct pywatt_error error;
    bool no_memory;
    const enum pw_io result = pw_stream_receive(&c->stream, patiently, &no_memory, &error);
    if (result == PW_IO_OK && !no_memory) {
        c->received_ns = pw_clock_now_ns(c->clock);
        deliver_and_lock(c);
        return result;
    }
    pw_mutex_lock(&c->lock);
    if (no_memory) {
        pw_correlator_fail_locked(c, PYWATT_NO_MEMORY, "no memory to receive a reply");
    } else if (result != PW_IO_AGAIN) {
        pw_correlator_lost_locked(c, PYWATT_CHANNEL, "%s", how_it_ended(c, result, &error));
    }
    return result;
}

/* More than one thread in here would tear frames: see that it does not happen. */
static void enter_receiving(struct pw_correlator *c)
{
    const unsigned now = 1 + atomic_fetch_add_explicit(&c->receiving, 1, memory_order_relaxed);
    if (now > atomic_load_explicit(&c->receiving_max, memory_order_relaxed)) {
        atomic_store_explicit(&c->receiving_max, now, memory_order_relaxed);
    }
    assert(now == 1);
}

static void leave_receiving(struct pw_correlator *c)
{
    atomic_fetch_sub_explicit(&c->receiving, 1, memory_order_relaxed);
}

void pw_correlator_begin_read_locked(struct pw_correlator *c)
{
    assert(!c->reader);
    c->reader = true;
    pw_stream_watch_locked(&c->stream);
}

/* Whether anything came, or the connection has ended. */
static bool read_and_lock(struct pw_correlator *c, bool patiently)
{
    enter_receiving(c);
    const bool any = receive_and_lock(c, patiently) != PW_IO_AGAIN;
    leave_receiving(c);
    return any;
}

bool pw_correlator_end_read_and_lock(struct pw_correlator *c, bool ready)
{
    bool any = false;
    if (!ready) {
        pw_mutex_lock(&c->lock);
    } else {
        any = read_and_lock(c, false);
        c->stream.blocked = false; /* perhaps: whoever sends next finds out */
    }
    c->reader = false;
    return any;
}

/*
 * Most replies come soon, so the reader first waits inside of receiving, if nothing waits to be sent.
 * Should that change meanwhile, it is PW_PATIENCE_MS late to hear that there is room again.
 */
static bool may_be_patient_locked(const struct pw_correlator *c, int timeout_ms)
{
    return (timeout_ms < 0 || timeout_ms >= 2 * PW_PATIENCE_MS) && !c->stream.blocked &&
           pw_conn_may_wait(c->stream.conn) && !pw_conn_buffered(c->stream.conn);
}

bool pw_correlator_read_locked(struct pw_correlator *c, int timeout_ms)
{
    const bool now = timeout_ms == PW_READ_NOW;
    const bool patiently = !now && may_be_patient_locked(c, timeout_ms);
    pw_correlator_begin_read_locked(c);
    pw_mutex_unlock(&c->lock);
    if (patiently) {
        if (read_and_lock(c, true)) {
            c->reader = false;
            return true;
        }
        pw_mutex_unlock(&c->lock);
        timeout_ms -= timeout_ms < 0 ? 0 : PW_PATIENCE_MS;
    }
    return pw_correlator_end_read_and_lock(c, now || pw_stream_wait(&c->stream, timeout_ms));
}

void pw_correlator_look_locked(struct pw_correlator *c, uint64_t now_ns)
{
    if (c->status == PYWATT_OK && !c->reader && c->pending.count == 0 &&
        now_ns - c->last_looked_ns > QUIET_NS) {
        pw_correlator_read_locked(c, PW_READ_NOW);
    }
    c->last_looked_ns = now_ns;
}

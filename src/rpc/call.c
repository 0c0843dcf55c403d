/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * call.c - a blocking call on one connection: encode, wait for a turn, send, read or sleep until
 * the reply is there, decode.
 *
 * Runs in the caller's thread. Encoding and decoding are done without the lock. A call takes the
 * lock three times if nobody else is there: to send, to read, and to leave.
 */
#include "rpc/correlator_impl.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- Encoding ------------------------------------------------------------------------------ */

static void write_id(const struct pw_correlator *c, uint64_t number, struct pywatt_uuid *id)
{
    memcpy(id->bytes, c->nonce, sizeof(c->nonce));
    const uint64_t variant = UINT64_C(2) << 62;
    pw_store_be64(id->bytes + PW_REQUEST_NONCE_SIZE, (number & PW_REQUEST_NUMBER_MAX) | variant);
}

static enum pywatt_status encode_frame(const struct pw_codec_ops *codec,
                                       const struct pw_request *request, struct pw_buffer *out,
                                       struct pywatt_error *error)
{
    uint8_t header[PW_FRAME_HEADER_SIZE] = {0};
    enum pywatt_status status = pw_buffer_append(out, header, sizeof(header));
    if (status != PYWATT_OK) {
        return pw_error_no_memory(error);
    }
    status = pw_codec_encode_request(codec, request, out, error);
    if (status == PYWATT_OK) {
        const size_t payload_len = pw_buffer_len(out) - sizeof(header);
        pw_frame_write_header(out->data + out->start, (uint32_t)payload_len, codec->format_code);
    }
    return status;
}

/* On the stack if it fits, which most do. */
static enum pywatt_status encode_anywhere(struct pw_correlator *c, const struct pw_request *request,
                                          size_t max_size, struct pw_request_frame *frame,
                                          struct pywatt_error *error)
{
    const size_t room = sizeof(frame->storage) < max_size ? sizeof(frame->storage) : max_size;
    /* Its limit is its capacity, so it never grows onto the heap. */
    frame->buffer = (struct pw_buffer){.data = frame->storage, .capacity = room, .limit = room};
    const enum pywatt_status status = encode_frame(c->codec, request, &frame->buffer, error);
    if (status != PYWATT_LIMIT || room == max_size) {
        return status;
    }
    pw_buffer_init(&frame->buffer, max_size);
    frame->on_heap = true;
    return encode_frame(c->codec, request, &frame->buffer, error);
}

enum pywatt_status pw_request_frame_make(struct pw_correlator *c, struct pw_request *request,
                                         struct pw_buffer *scratch, uint64_t *number,
                                         struct pw_request_frame *frame, struct pywatt_error *error)
{
    frame->on_heap = false;
    if (request->operation == PW_OP_HEARTBEAT_BATCH &&
        (pw_correlator_features(c) & PW_FEATURE_HEARTBEAT_BATCH) == 0) {
        return pw_error_set(error, PYWATT_UNSUPPORTED,
                            "%s: it has not said that it takes batches of heartbeats", c->url);
    }
    if (request->only_epoch != 0 && request->only_epoch != c->epoch) {
        return pw_error_set(error, PYWATT_UNSUPPORTED, "%s: this is another connection", c->url);
    }
    *number = 1 + atomic_fetch_add_explicit(&c->last_number, 1, memory_order_relaxed);
    request->has_request_id = true;
    write_id(c, *number, &request->request_id);

    const size_t max_size = PW_FRAME_HEADER_SIZE + c->stream.max_payload;
    struct pywatt_error problem;
    enum pywatt_status status;
    if (scratch != NULL) {
        pw_buffer_clear(scratch);
        status = encode_frame(c->codec, request, scratch, &problem);
        frame->bytes = pw_buffer_span(scratch);
    } else {
        status = encode_anywhere(c, request, max_size, frame, &problem);
        frame->bytes = pw_buffer_span(&frame->buffer);
    }
    if (status == PYWATT_LIMIT) {
        return pw_error_set(error, PYWATT_LIMIT,
                            "a %s request is longer than max_frame_bytes, which is %zu",
                            pw_operation_name(request->operation), c->stream.max_payload);
    }
    if (status != PYWATT_OK && error != NULL) {
        *error = problem;
    }
    return status;
}

void pw_request_frame_free(struct pw_request_frame *frame)
{
    if (frame->on_heap) {
        pw_buffer_destroy(&frame->buffer);
    }
}

/* ---- Decoding ------------------------------------------------------------------------------ */

enum pywatt_status pw_correlator_decode(struct pw_correlator *c, const struct pw_codec_ops *codec,
                                        struct pw_span payload, enum pw_operation operation,
                                        struct pw_arena *arena, struct pw_response *response,
                                        struct pywatt_error *error)
{
    enum pywatt_status status =
        pw_codec_decode_response(codec, payload, &c->limits, arena, response, error);
    if (status != PYWATT_OK) {
        pw_error_prefix(error, "%s: the reply to a %s request cannot be read", c->url,
                        pw_operation_name(operation));
        return status;
    }
    if (response->features != 0) {
        atomic_fetch_or_explicit(&c->features, response->features, memory_order_relaxed);
    }
    if (response->operation != operation) {
        return pw_error_set(error, PYWATT_SERIALIZATION,
                            "%s: a %s request was answered with a %s reply", c->url,
                            pw_operation_name(operation), pw_operation_name(response->operation));
    }
    return PYWATT_OK;
}

/* The reply moves to the arena, as the decoded views point into it. */
static enum pywatt_status decode_reply(struct pw_correlator *c, struct pw_call *call,
                                       struct pw_arena *arena, struct pw_response *response,
                                       struct pywatt_error *error)
{
    uint8_t *kept = pw_arena_alloc(arena, call->reply_len);
    if (kept == NULL && arena->exhausted) {
        return pw_error_set(error, PYWATT_LIMIT, "%s: a reply of %zu bytes is too long to be kept",
                            c->url, call->reply_len);
    }
    if (kept == NULL) {
        return pw_error_no_memory(error);
    }
    memcpy(kept, call->reply_heap != NULL ? call->reply_heap : call->reply_inline, call->reply_len);
    const struct pw_span payload = {kept, call->reply_len};
    return pw_correlator_decode(c, call->reply_codec, payload, call->entry.operation, arena,
                                response, error);
}

/* ---- Waiting ------------------------------------------------------------------------------- */

/* Takes the call back, wherever it is: whoever does not find it any more cannot complete it. */
static void withdraw_locked(struct pw_correlator *c, struct pw_call *call,
                            enum pywatt_status status)
{
    pw_correlator_complete_locked(call, status);
    if (status == PYWATT_TIMEOUT) {
        pw_correlator_count_timeout(c);
    }
    if (call->started) {
        pw_correlator_take_locked(c, &call->entry);
        pw_correlator_gave_up_locked(c, &call->entry, status);
    } else {
        pw_list_remove(&call->turn);
    }
}

/* Sleeps until the call is completed, its caller is handed the reader's role, or it is overdue. */
static void park_locked(struct pw_correlator *c, struct pw_call *call)
{
    if (!call->has_cond) {
        if (pw_cond_init(&call->cond) != PYWATT_OK) {
            withdraw_locked(c, call, PYWATT_NO_MEMORY);
            return;
        }
        call->has_cond = true;
    }
    pw_list_append(&c->parked, &call->parked);
    call->overdue = !pw_cond_wait_until(&call->cond, &c->lock, call->entry.deadline_ns);
    pw_list_remove(&call->parked);
}

static void wait_locked(struct pw_correlator *c, struct pw_call *call)
{
    while (!call->finished) {
        const uint64_t now_ns = pw_clock_now_ns(c->clock);
        if (call->overdue || now_ns >= call->entry.deadline_ns) {
            withdraw_locked(c, call, PYWATT_TIMEOUT);
        } else if (c->reader) {
            park_locked(c, call);
            continue;
        } else {
            pw_correlator_read_locked(c, pw_deadline_poll_ms(now_ns, call->entry.deadline_ns));
        }
        pw_correlator_flush_locked(c);
    }
}

/*
 * While a thread waits for its call it cannot take the room that is kept for its posts, nor post in
 * its turn: it would wait for itself. Later it is to offer them again.
 */
static void give_up_own_turn_locked(struct pw_correlator *c)
{
    if ((c->post_reserved || pw_list_linked(&c->posts_turn)) &&
        pthread_equal(c->refused_by, pthread_self())) {
        pw_list_remove(&c->posts_turn);
        c->post_reserved = false;
        c->wake_wanted = true;
    }
}

static void run_call(struct pw_correlator *c, struct pw_call *call)
{
    pw_mutex_lock(&c->lock);
    give_up_own_turn_locked(c);
    const uint64_t now_ns = pw_clock_now_ns(c->clock);
    pw_correlator_look_locked(c, now_ns);
    if (c->status != PYWATT_OK) {
        call->by_failure = true;
        call->unsent = true;
        pw_correlator_complete_locked(call, c->status);
    } else {
        pw_list_append(&c->waiting, &call->turn);
        if (now_ns < call->entry.deadline_ns) {
            pw_correlator_flush_locked(c);
        }
        wait_locked(c, call);
    }
    pw_correlator_leave(c);
    if (call->has_cond) {
        pw_cond_destroy(&call->cond);
    }
}

/* ---- The call ------------------------------------------------------------------------------ */

static void init_call(struct pw_call *call, const struct pw_request *request, uint64_t number,
                      uint64_t deadline_ns, struct pw_span frame)
{
    /* Not its inline storage: that is large, and written before it is read. */
    memset(call, 0, offsetof(struct pw_call, reply_inline));
    call->entry.id = number;
    call->entry.deadline_ns = deadline_ns;
    call->entry.operation = request->operation;
    call->frame = frame;
    pw_list_init(&call->turn);
    pw_list_init(&call->parked);
}

/* Words for a call that got no reply. */
static enum pywatt_status explain(struct pw_correlator *c, const struct pw_call *call,
                                  struct pywatt_error *error)
{
    if (call->by_failure) {
        return pw_error_set(error, call->status, "%s", c->error.text);
    }
    if (call->status == PYWATT_NO_MEMORY) {
        return pw_error_no_memory(error);
    }
    return pw_error_set(error, call->status,
                        call->started ? "%s: no reply before the deadline"
                                      : "%s: the request could not be sent before the deadline, "
                                        "as others are under way",
                        c->url);
}

/* After a serial peer's reply: lets the next request go, or ends the connection. */
static void decided(struct pw_correlator *c, bool readable)
{
    pw_mutex_lock(&c->lock);
    pw_correlator_decided_locked(c, readable);
    pw_correlator_flush_locked(c);
    pw_correlator_leave(c);
}

enum pywatt_status pw_correlator_call(struct pw_correlator *c, struct pw_request *request,
                                      uint64_t deadline_ns, struct pw_arena *arena,
                                      struct pw_response *response, bool *unsent,
                                      struct pywatt_error *error)
{
    *unsent = false;
    struct pw_request_frame frame;
    uint64_t number;
    enum pywatt_status status = pw_request_frame_make(c, request, NULL, &number, &frame, error);
    if (status != PYWATT_OK) {
        pw_request_frame_free(&frame);
        return status;
    }
    struct pw_call call;
    init_call(&call, request, number, deadline_ns, frame.bytes);
    run_call(c, &call);
    pw_request_frame_free(&frame);
    if (call.reply_codec == NULL) {
        *unsent = call.unsent;
        return explain(c, &call, error);
    }
    status = call.status == PYWATT_OK ? decode_reply(c, &call, arena, response, error)
                                      : explain(c, &call, error);
    free(call.reply_heap);
    if (call.decides) {
        decided(c, status != PYWATT_SERIALIZATION);
    }
    return status;
}

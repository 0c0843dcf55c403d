/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream.c - the bytes of one connection. Threads and locks as stream.h says: the reader and the
 * writer work without the lock on what is theirs, and the rest is under the owner's lock.
 */
#include "rpc/stream.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CHUNK_MIN ((size_t)16 * 1024)
#define CHUNK_MAX ((size_t)128 * 1024)

/* Memory that an emptied buffer may keep. */
#define KEEP_BYTES ((size_t)256 * 1024)

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "poll's events are epoll's");

static uint32_t wanted_events(const struct pw_stream *stream)
{
    const short wanted = (short)(POLLIN | (stream->blocked ? POLLOUT : 0));
    return (uint32_t)(unsigned short)pw_conn_poll_events(stream->conn, wanted);
}

static enum pywatt_status make_poll_fd(struct pw_stream *stream, struct pywatt_error *error)
{
    stream->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (stream->poll_fd < 0) {
        return pw_error_set(error, PYWATT_IO, "no descriptor to wait on: %s",
                            strerrordesc_np(errno));
    }
    stream->interest = wanted_events(stream);
    struct epoll_event event = {.events = stream->interest};
    if (epoll_ctl(stream->poll_fd, EPOLL_CTL_ADD, pw_conn_fd(stream->conn), &event) != 0) {
        const int number = errno;
        close(stream->poll_fd);
        return pw_error_set(error, PYWATT_IO, "the connection cannot be waited on: %s",
                            strerrordesc_np(number));
    }
    return PYWATT_OK;
}

enum pywatt_status pw_stream_init(struct pw_stream *stream, struct pw_conn *conn,
                                  size_t max_payload, size_t tx_limit, struct pywatt_error *error)
{
    const size_t max_frame = PW_FRAME_HEADER_SIZE + max_payload;
    *stream = (struct pw_stream){
        .conn = conn,
        .max_payload = max_payload,
        .tx_limit = tx_limit > max_frame ? tx_limit : max_frame,
        .chunk = CHUNK_MIN,
    };
    pw_buffer_init(&stream->rx, max_frame + CHUNK_MAX);
    pw_buffer_init(&stream->tx, stream->tx_limit);
    pw_buffer_init(&stream->out, stream->tx_limit);
    return make_poll_fd(stream, error);
}

void pw_stream_destroy(struct pw_stream *stream)
{
    close(stream->poll_fd);
    pw_conn_destroy(stream->conn);
    pw_buffer_destroy(&stream->rx);
    pw_buffer_destroy(&stream->tx);
    pw_buffer_destroy(&stream->out);
}

bool pw_stream_has_room_locked(const struct pw_stream *stream, size_t len)
{
    const uint64_t unsent = stream->appended - stream->accepted;
    return unsent == 0 || unsent + len <= stream->tx_limit;
}

enum pywatt_status pw_stream_append_locked(struct pw_stream *stream, struct pw_span frame)
{
    const enum pywatt_status status = pw_buffer_append(&stream->tx, frame.data, frame.len);
    if (status == PYWATT_OK) {
        stream->appended += frame.len;
    }
    return status;
}

bool pw_stream_can_send_locked(const struct pw_stream *stream)
{
    return stream->appended > stream->accepted && !stream->writing && !stream->blocked &&
           !stream->broken;
}

/* The next bytes to send; what is left of an earlier attempt goes first. */
static struct pw_span take_out_locked(struct pw_stream *stream)
{
    if (pw_buffer_len(&stream->out) == 0) {
        const struct pw_buffer empty = stream->out;
        stream->out = stream->tx;
        stream->tx = empty;
    }
    return pw_buffer_span(&stream->out);
}

enum pw_io pw_stream_send_locked(struct pw_stream *stream, struct pw_mutex *lock,
                                 struct pywatt_error *error)
{
    assert(!stream->writing);
    const struct pw_span bytes = take_out_locked(stream);
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.len};
    size_t sent = 0;
    stream->writing = true;
    stream->offered = stream->accepted + bytes.len;
    pw_mutex_unlock(lock);
    const enum pw_io result = pw_conn_send(stream->conn, &piece, 1, &sent, error);
    pw_mutex_lock(lock);
    stream->writing = false;
    if (result == PW_IO_OK) {
        pw_buffer_consume(&stream->out, sent);
        pw_buffer_trim(&stream->out, KEEP_BYTES);
        stream->accepted += sent;
    } else if (result == PW_IO_AGAIN) {
        stream->blocked = true;
        pw_stream_watch_locked(stream);
    } else {
        stream->broken = true;
    }
    stream->offered = stream->accepted;
    return result;
}

void pw_stream_watch_locked(struct pw_stream *stream)
{
    const uint32_t wanted = wanted_events(stream);
    if (wanted == stream->interest) {
        return;
    }
    stream->interest = wanted;
    struct epoll_event event = {.events = wanted};
    const int result = epoll_ctl(stream->poll_fd, EPOLL_CTL_MOD, pw_conn_fd(stream->conn), &event);
    assert(result == 0);
    (void)result;
}

bool pw_stream_wait(struct pw_stream *stream, int timeout_ms)
{
    if (pw_conn_buffered(stream->conn)) {
        return true;
    }
    struct epoll_event event;
    return epoll_wait(stream->poll_fd, &event, 1, timeout_ms) > 0;
}

enum pw_io pw_stream_receive(struct pw_stream *stream, bool patiently, bool *no_memory,
                             struct pywatt_error *error)
{
    *no_memory = false;
    uint8_t *room;
    if (pw_buffer_reserve(&stream->rx, stream->chunk, &room) != PYWATT_OK) {
        *no_memory = true;
        return PW_IO_OK;
    }
    size_t got = 0;
    const enum pw_io result =
        patiently ? pw_conn_receive_patiently(stream->conn, room, stream->chunk, &got, error)
                  : pw_conn_receive(stream->conn, room, stream->chunk, &got, error);
    if (result == PW_IO_OK) {
        pw_buffer_commit(&stream->rx, got);
        if (got == stream->chunk && stream->chunk < CHUNK_MAX) {
            stream->chunk *= 2;
        }
    }
    return result;
}

size_t pw_stream_frames(const struct pw_stream *stream, size_t *offset, struct pw_frame *frames,
                        size_t max, size_t *too_long)
{
    *too_long = 0;
    const struct pw_span all = pw_buffer_span(&stream->rx);
    size_t count = 0;
    while (count < max && *offset < all.len) {
        const struct pw_span rest = {all.data + *offset, all.len - *offset};
        size_t size;
        const enum pw_frame_result result =
            pw_frame_parse(rest, stream->max_payload, &frames[count], &size);
        if (result != PW_FRAME_WHOLE) {
            *too_long = result == PW_FRAME_TOO_LONG ? size : 0;
            break;
        }
        *offset += size;
        count++;
    }
    return count;
}

void pw_stream_consume(struct pw_stream *stream, size_t len)
{
    pw_buffer_consume(&stream->rx, len);
    pw_buffer_trim(&stream->rx, KEEP_BYTES);
}

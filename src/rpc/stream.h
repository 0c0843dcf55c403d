/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream.h - the bytes of one connection: what came in and is not a whole frame yet, what is to go
 * out and has not left, and the descriptor that tells when either can move. Knows frames, but not
 * what is in them, nor who waits for what.
 *
 * Fields stand by who may touch them. "The lock" is the owner's; functions that end in _locked need
 * it. "The reader" is the one thread that holds the reader's role, "the writer" the one that is
 * inside pw_stream_send_locked; the owner sees to it that there is one of each at most.
 *
 * Why an epoll set for a single descriptor: what it waits for can be changed while somebody waits.
 * A thread that finds the kernel's buffer full adds "writable" to the set, and the reader, asleep
 * or not, learns of it. With poll(2) that thread would have to wake the reader first.
 */
#ifndef PW_RPC_STREAM_H
#define PW_RPC_STREAM_H

#include "base/buffer.h"
#include "base/sync.h"
#include "transport/frame.h"
#include "transport/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_stream {
    /* Set by init. */
    struct pw_conn *conn;
    int poll_fd; /* the epoll set; pollable itself */
    size_t max_payload;
    size_t tx_limit;

    /* The reader's. */
    struct pw_buffer rx;
    size_t chunk; /* how much to receive at once */

    /* The writer's. */
    struct pw_buffer out;

    /* Guarded by the lock. Positions count bytes since the connection was made. */
    struct pw_buffer tx;
    uint64_t appended; /* put into tx */
    uint64_t accepted; /* taken by the kernel */
    uint64_t offered;  /* handed to the kernel, which may have taken them */
    bool writing;      /* there is a writer */
    bool blocked;      /* the kernel had no room: wait until it is writable */
    bool broken;       /* sending failed: nothing goes out any more */
    uint32_t interest; /* what the epoll set waits for */
};

/*
 * `conn` is consumed when this succeeds. At most `tx_limit` bytes wait to be sent, or one frame.
 * PYWATT_OK, PYWATT_NO_MEMORY, PYWATT_IO (no descriptor is left).
 */
enum pywatt_status pw_stream_init(struct pw_stream *stream, struct pw_conn *conn,
                                  size_t max_payload, size_t tx_limit, struct pywatt_error *error);

/* Nobody may be reading or writing. */
void pw_stream_destroy(struct pw_stream *stream);

/* ---- Out ----------------------------------------------------------------------------------- */

/* Whether a frame of `len` bytes may be appended now. */
bool pw_stream_has_room_locked(const struct pw_stream *stream, size_t len);

/* Appends a whole frame. PYWATT_OK, PYWATT_NO_MEMORY. */
enum pywatt_status pw_stream_append_locked(struct pw_stream *stream, struct pw_span frame);

/* Whether it makes sense to become the writer now. */
bool pw_stream_can_send_locked(const struct pw_stream *stream);

/*
 * Sends once, with `lock` released meanwhile. PW_IO_OK: something left. PW_IO_AGAIN: the stream is
 * blocked now, and the epoll set waits for room. PW_IO_ERROR: the stream is broken now; `error`
 * says why.
 */
enum pw_io pw_stream_send_locked(struct pw_stream *stream, struct pw_mutex *lock,
                                 struct pywatt_error *error);

/* Makes the epoll set wait for what is wanted now: always bytes, and room if blocked. */
void pw_stream_watch_locked(struct pw_stream *stream);

/* ---- In: the reader, without the lock ------------------------------------------------------ */

/* Waits until something can be done; false if nothing could within `timeout_ms` (-1: for ever). */
bool pw_stream_wait(struct pw_stream *stream, int timeout_ms);

/*
 * Receives once; `patiently`: waits for PW_PATIENCE_MS until something comes, if the connection can
 * do that, and does not see meanwhile that there is room to send again. PW_IO_OK also where memory for what came is out: then *no_memory is set, and
 * nothing was received.
 */
enum pw_io pw_stream_receive(struct pw_stream *stream, bool patiently, bool *no_memory,
                             struct pywatt_error *error);

/*
 * Finds the whole frames that have come, from *offset on: up to `max` of them go to `frames`, and
 * *offset moves behind the last. Returns how many. They stay valid until pw_stream_consume or
 * pw_stream_receive. *too_long gets the size of a frame over the limit that follows, or 0.
 */
size_t pw_stream_frames(const struct pw_stream *stream, size_t *offset, struct pw_frame *frames,
                        size_t max, size_t *too_long);

/* Drops the first `len` bytes, which have been dealt with. */
void pw_stream_consume(struct pw_stream *stream, size_t len);

#endif

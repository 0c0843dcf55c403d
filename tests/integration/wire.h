/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wire.h - a connection as bytes and frames, for tests that are about the bytes. Nothing here
 * decodes, and nothing asserts: any thread may use a wire, one at a time.
 */
#ifndef PW_TESTS_WIRE_H
#define PW_TESTS_WIRE_H

#include "base/buffer.h"
#include "transport/frame.h"
#include "transport/transport.h"

#include <stdbool.h>

struct wire {
    struct pw_conn *conn;
    struct pw_buffer in;
    size_t taken; /* bytes of `in` that belong to the frame last handed out */
};

enum wire_got {
    WIRE_FRAME,
    WIRE_END,    /* the peer ended, between two frames */
    WIRE_BROKEN, /* it ended within a frame, or announced one of more than 16 MiB */
    WIRE_NOTHING /* nothing came for as long as is sane */
};

/* Connects; false if that does not work. `conn` of the second is consumed. */
bool wire_open(struct wire *wire, const char *url);
void wire_take_over(struct wire *wire, struct pw_conn *conn);

/* Closes; may be called again. */
void wire_close(struct wire *wire);

/* Sends all of it, however long that takes; false if the connection broke. */
bool wire_send(struct wire *wire, const void *data, size_t len);
bool wire_send_frame(struct wire *wire, uint8_t format_code, const void *payload, size_t len);

/* The next frame, which stays readable until the next call. */
enum wire_got wire_receive(struct wire *wire, struct pw_frame *frame);

/* One frame's header and payload, copied to `out` at *len; false if none came or it is too long. */
bool wire_receive_bytes(struct wire *wire, uint8_t *out, size_t size, size_t *len);

/* Says that nothing more will be sent. What the peer has to say can still be received. */
void wire_end_output(struct wire *wire);

/* True if the peer ends the connection, without another byte. */
bool wire_is_ended(struct wire *wire);

#endif

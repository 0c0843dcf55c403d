/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * line.h - a connection whose other end is played by hand, for the target correlator.c: one more
 * implementation of struct pw_conn_ops. What is sent on it is kept for the peer, what the peer puts
 * in comes out of it in pieces, and faults happen when they are asked for. It always looks ready to
 * poll(2), and while somebody receives or sends, `inside` runs, as another thread would.
 */
#ifndef PW_TESTS_FUZZ_LINE_H
#define PW_TESTS_FUZZ_LINE_H

#include "base/buffer.h"
#include "codec/codec.h"
#include "transport/transport.h"

struct line {
    struct pw_conn conn; /* first: what the correlator has */
    void (*inside)(void *user);
    void *user;
    struct pw_buffer sent; /* by the correlator, and not yet taken by the peer */
    struct pw_buffer put;  /* by the peer, and not yet received */
    uint64_t put_in_all;   /* bytes, since the beginning */
    uint64_t received_in_all;
    size_t piece; /* received at once at most; 0: all */
    size_t room;  /* how many bytes can be sent before there is no room */
    bool ends;    /* behind what was put */
    bool send_fails;
    bool shut_down;
    bool destroyed;
};

void line_init(struct line *line, void (*inside)(void *user), void *user);
void line_destroy(struct line *line);

/* The peer takes the next whole frame that was sent; false if there is none. */
bool line_take(struct line *line, struct pw_span *payload);
/* It has looked at it. */
void line_taken(struct line *line, struct pw_span payload);

/* The peer puts in a frame, or a reply in one; the second returns where it ends. */
void line_put_frame(struct line *line, uint8_t format, const void *payload, size_t len);
uint64_t line_put_reply(struct line *line, const struct pw_codec_ops *codec,
                        const struct pw_response *response);

#endif

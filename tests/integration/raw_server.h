/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * raw_server.h - an orchestrator that sends whatever bytes a test wants: one thread that takes frames
 * and asks a function what to send back. Nothing is decoded here.
 */
#ifndef PW_TESTS_RAW_SERVER_H
#define PW_TESTS_RAW_SERVER_H

#include "base/buffer.h"
#include "transport/frame.h"

#include <stdbool.h>
#include <stdint.h>

struct raw_server;

/*
 * Decides what is sent back, by appending it to `out`; false: the connection ends after that, a moment
 * after the peer has got it. On the server's thread. `connection` counts from 0, `index` the frames of
 * that connection from 0.
 */
typedef bool (*raw_handler)(void *user, unsigned connection, unsigned index,
                            const struct pw_frame *request, struct pw_buffer *out);

/* At a place of its own of this scheme. Asserts: main thread. */
struct raw_server *raw_server_start(const char *scheme, raw_handler handler, void *user);
void raw_server_end(struct raw_server *server);

/*
 * Returns when no connection stands any more that a handler has ended: what a client sends from now on
 * goes to another one. Before that, it may be lost with the connection. Asserts: main thread.
 */
void raw_server_await_hang_ups(struct raw_server *server);

const char *raw_server_url(const struct raw_server *server);

/* A frame, behind what stands in `out` already. */
void raw_put_frame(struct pw_buffer *out, uint8_t format_code, const void *payload, size_t len);

#endif

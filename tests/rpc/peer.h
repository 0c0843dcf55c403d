/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer.h - the other end of a connection, which the test's main thread plays by hand: it takes
 * requests and answers them when, and how, the test wants. It is no thread.
 */
#ifndef PW_TESTS_RPC_PEER_H
#define PW_TESTS_RPC_PEER_H

#include "base/buffer.h"
#include "codec/codec.h"
#include "transport/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest frame on either side. */
#define PEER_MAX_FRAME ((size_t)1024 * 1024)

/* For whatever is expected to come: long, as it only ends tests that fail. */
#define PEER_PATIENCE_MS 10000

struct peer {
    struct pw_conn *conn;
    const struct pw_codec_ops *codec;
    struct pw_buffer in;
    struct pw_buffer out; /* held back until peer_send */
};

struct taken {
    struct pywatt_uuid request_id;
    enum pw_operation operation;
    uint32_t number;
};

void peer_init(struct peer *peer, struct pw_conn *conn);
void peer_end(struct peer *peer);

/* Waits for the next request; false if none comes for long. */
bool peer_take(struct peer *peer, struct taken *taken);

/* Whether a byte is there to be taken now. */
bool peer_has_input(struct peer *peer);

/* Puts an answer behind what peer_send will send. */
void peer_put_reply(struct peer *peer, const struct taken *taken);
void peer_put_reply_without_id(struct peer *peer, const struct taken *taken);
void peer_put_long_reply(struct peer *peer, const struct taken *taken, size_t text_len);
void peer_put_frame(struct peer *peer, uint8_t format, const void *payload, size_t len);
void peer_put_bytes(struct peer *peer, const void *bytes, size_t len);

/* Sends all of it at once; the second sends the first `len` bytes of it only. */
void peer_send(struct peer *peer);
void peer_send_some(struct peer *peer, size_t len);

/* Takes `count` requests and answers each at once. */
void peer_answer(struct peer *peer, size_t count);

#endif

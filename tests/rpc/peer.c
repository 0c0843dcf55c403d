/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer.c - see peer.h. Main thread only.
 */
#include "peer.h"

#include "pw_test.h"

#include "model/message.h"
#include "transport/frame.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void peer_init(struct peer *peer, struct pw_conn *conn)
{
    peer->conn = conn;
    peer->codec = pw_codec_by_name("json");
    assert_non_null(peer->codec);
    pw_buffer_init(&peer->in, 4 * PEER_MAX_FRAME);
    pw_buffer_init(&peer->out, 16 * PEER_MAX_FRAME);
}

void peer_end(struct peer *peer)
{
    if (peer->conn != NULL) {
        pw_conn_destroy(peer->conn);
        peer->conn = NULL;
    }
    pw_buffer_destroy(&peer->in);
    pw_buffer_destroy(&peer->out);
}

static bool wait_for(struct peer *peer, short events, int64_t deadline_ns)
{
    const int64_t left_ns = deadline_ns - pw_test_now_ns();
    struct pollfd fd = {.fd = pw_conn_fd(peer->conn), .events = events};
    return left_ns > 0 && poll(&fd, 1, (int)(left_ns / 1000000) + 1) >= 0;
}

static void decode_request(struct peer *peer, const struct pw_frame *frame, struct taken *taken)
{
    struct pw_arena arena;
    pw_arena_init(&arena, 4 * PEER_MAX_FRAME);
    struct pw_request request;
    pw_request_init(&request);
    bool recognised;
    struct pywatt_error error;
    struct pw_codec_limits limits = pw_codec_default_limits;
    limits.max_bytes = 4 * PEER_MAX_FRAME;
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame->format_code, frame->payload);
    assert_ptr_equal(codec, peer->codec);
    const enum pywatt_status status = pw_codec_decode_request(
        codec, frame->payload, &limits, &arena, &request, &recognised, &error);
    if (status != PYWATT_OK) {
        fail_msg("the request cannot be decoded: %s", error.text);
    }
    assert_true(request.has_request_id);
    taken->request_id = request.request_id;
    taken->operation = request.operation;
    memcpy(&taken->number, request.module_id.bytes, sizeof(taken->number));
    pw_request_clear(&request);
    pw_arena_destroy(&arena);
}

bool peer_take(struct peer *peer, struct taken *taken)
{
    const int64_t deadline_ns = pw_test_deadline_ns(PEER_PATIENCE_MS);
    for (;;) {
        struct pw_frame frame;
        size_t size;
        if (pw_frame_parse(pw_buffer_span(&peer->in), PEER_MAX_FRAME, &frame, &size) ==
            PW_FRAME_WHOLE) {
            decode_request(peer, &frame, taken);
            pw_buffer_consume(&peer->in, size);
            return true;
        }
        uint8_t *room;
        assert_int_equal(pw_buffer_reserve(&peer->in, 65536, &room), PYWATT_OK);
        size_t got;
        switch (pw_conn_receive(peer->conn, room, 65536, &got, NULL)) {
        case PW_IO_OK: pw_buffer_commit(&peer->in, got); break;
        case PW_IO_AGAIN:
            if (!wait_for(peer, POLLIN, deadline_ns)) {
                return false;
            }
            break;
        default: return false;
        }
    }
}

bool peer_has_input(struct peer *peer)
{
    struct pollfd fd = {.fd = pw_conn_fd(peer->conn), .events = POLLIN};
    return pw_buffer_len(&peer->in) > 0 || poll(&fd, 1, 0) == 1;
}

static void put_reply(struct peer *peer, const struct taken *taken, bool with_id, size_t text_len)
{
    char *text = calloc(1, text_len + 32);
    assert_non_null(text);
    const int len = snprintf(text, 32, "number %u ", taken->number);
    memset(text + len, 'x', text_len);
    struct pw_response response;
    pw_response_init(&response);
    response.operation = taken->operation;
    response.has_request_id = with_id;
    response.request_id = taken->request_id;
    response.success = false;
    response.status = PYWATT_REJECTED;
    response.error = (struct pw_str){text, (size_t)len + text_len};
    response.health = PYWATT_HEALTHY;

    struct pw_buffer payload;
    pw_buffer_init(&payload, 4 * PEER_MAX_FRAME);
    assert_int_equal(pw_codec_encode_response(peer->codec, &response, &payload, NULL), PYWATT_OK);
    peer_put_frame(peer, peer->codec->format_code, pw_buffer_bytes(&payload),
                   pw_buffer_len(&payload));
    pw_buffer_destroy(&payload);
    free(text);
}

void peer_put_reply(struct peer *peer, const struct taken *taken)
{
    put_reply(peer, taken, true, 0);
}

void peer_put_reply_without_id(struct peer *peer, const struct taken *taken)
{
    put_reply(peer, taken, false, 0);
}

void peer_put_long_reply(struct peer *peer, const struct taken *taken, size_t text_len)
{
    put_reply(peer, taken, true, text_len);
}

void peer_put_frame(struct peer *peer, uint8_t format, const void *payload, size_t len)
{
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_frame_write_header(header, (uint32_t)len, format);
    peer_put_bytes(peer, header, sizeof(header));
    peer_put_bytes(peer, payload, len);
}

void peer_put_bytes(struct peer *peer, const void *bytes, size_t len)
{
    assert_int_equal(pw_buffer_append(&peer->out, bytes, len), PYWATT_OK);
}

void peer_send_some(struct peer *peer, size_t len)
{
    const int64_t deadline_ns = pw_test_deadline_ns(PEER_PATIENCE_MS);
    while (len > 0) {
        struct iovec piece = {(void *)(uintptr_t)pw_buffer_bytes(&peer->out), len};
        size_t sent = 0;
        const enum pw_io result = pw_conn_send(peer->conn, &piece, 1, &sent, NULL);
        assert_true(result == PW_IO_OK || result == PW_IO_AGAIN);
        pw_buffer_consume(&peer->out, sent);
        len -= sent;
        if (result == PW_IO_AGAIN) {
            assert_true(wait_for(peer, POLLOUT, deadline_ns));
        }
    }
}

void peer_send(struct peer *peer)
{
    peer_send_some(peer, pw_buffer_len(&peer->out));
}

void peer_answer(struct peer *peer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct taken taken;
        assert_true(peer_take(peer, &taken));
        peer_put_reply(peer, &taken);
        peer_send(peer);
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame.c - streams of frames that come in pieces, through the reader of a connection and through
 * the parser alone, against a parser that has all of the stream before it.
 *
 * The input: which limit; how many frames are fetched at once; how many sizes of pieces follow, and
 * they, in turn, again and again; the stream.
 */
#include "fuzz.h"
#include "fuzz_conn.h"

#include "rpc/stream.h"
#include "transport/frame.h"

#include <string.h>

enum {
    FRAMES_AT_ONCE = 8,
    SIZES_MAX = 64
};

/* ---- A connection that gives the stream in pieces ---- */

struct piecemeal {
    struct pw_conn conn;
    struct fuzz_input stream;
    const uint8_t *sizes;
    size_t size_count;
    size_t turn;
};

static enum pw_io receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                          struct pywatt_error *error)
{
    struct piecemeal *const from = (struct piecemeal *)(void *)conn;
    (void)error;
    size_t piece = (size_t)(from->stream.end - from->stream.at);
    if (piece == 0) {
        return PW_IO_EOF;
    }
    if (from->size_count > 0) {
        const size_t next = from->sizes[from->turn++ % from->size_count];
        if (next == 0) {
            return PW_IO_AGAIN;
        }
        piece = next < piece ? next : piece;
    }
    piece = piece < len ? piece : len;
    memcpy(buffer, from->stream.at, piece);
    from->stream.at += piece;
    *got = piece;
    return PW_IO_OK;
}

static enum pw_io send_nothing(struct pw_conn *conn, const struct iovec *pieces, int count,
                               size_t *sent, struct pywatt_error *error)
{
    (void)conn, (void)pieces, (void)count, (void)sent, (void)error;
    return PW_IO_AGAIN;
}

static void do_nothing(struct pw_conn *conn)
{
    (void)conn;
}

static const struct pw_conn_ops piecemeal_ops = {
    FUZZ_CONN_OPS,          .receive = receive,    .send = send_nothing,
    .shutdown = do_nothing, .destroy = do_nothing,
};

/* ---- What must come out ---- */

struct expected {
    struct fuzz_input rest;
    size_t max_payload;
};

static uint64_t length_at(const uint8_t *at)
{
    return (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
}

static size_t left(const struct expected *expected)
{
    return (size_t)(expected->rest.end - expected->rest.at);
}

static bool is_too_long(const struct expected *expected)
{
    return left(expected) >= 4 && length_at(expected->rest.at) > expected->max_payload;
}

static void expect_frame(struct expected *expected, const struct pw_frame *frame)
{
    FUZZ_CHECK(left(expected) >= 5 && !is_too_long(expected), "a frame too many");
    const uint64_t len = length_at(expected->rest.at);
    FUZZ_CHECK(left(expected) - 5 >= len, "a frame that is not whole");
    FUZZ_CHECK(frame->format_code == expected->rest.at[4], "format %u", frame->format_code);
    FUZZ_CHECK(frame->payload.len == len, "%zu bytes", frame->payload.len);
    FUZZ_CHECK(len == 0 || memcmp(frame->payload.data, expected->rest.at + 5, len) == 0,
               "other bytes");
    expected->rest.at += 5 + len;
}

/* Of what has come so far nothing more can be made. */
static void expect_no_frame(const struct expected *expected, const uint8_t *come)
{
    const size_t here = (size_t)(come - expected->rest.at);
    FUZZ_CHECK(here < 5 || here - 5 < length_at(expected->rest.at) || is_too_long(expected),
               "a frame is missing");
}

/* ---- The reader ---- */

/* False once a frame is too long, which must be seen as soon as its length is there. */
static bool deliver(struct pw_stream *stream, struct expected *expected, const uint8_t *come,
                    size_t at_once)
{
    struct pw_frame frames[FRAMES_AT_ONCE];
    size_t offset = 0;
    size_t too_long = 0;
    size_t count;
    do {
        count = pw_stream_frames(stream, &offset, frames, at_once, &too_long);
        for (size_t i = 0; i < count; i++) {
            expect_frame(expected, &frames[i]);
        }
    } while (count == at_once);
    pw_stream_consume(stream, offset);
    expect_no_frame(expected, come);
    const bool is_long = come - expected->rest.at >= 4 && is_too_long(expected);
    FUZZ_CHECK((too_long != 0) == is_long, "%zu bytes are too long", too_long);
    FUZZ_CHECK(!is_long || too_long == 5 + length_at(expected->rest.at), "%zu bytes", too_long);
    FUZZ_CHECK(pw_buffer_len(&stream->rx) < 5 + expected->max_payload || is_long,
               "%zu bytes are kept", pw_buffer_len(&stream->rx));
    return !is_long;
}

static void read_in_pieces(struct piecemeal *from, size_t max_payload, size_t at_once)
{
    struct expected expected = {.rest = from->stream, .max_payload = max_payload};
    struct pw_stream stream;
    if (pw_stream_init(&stream, &from->conn, max_payload, 0, NULL) != PYWATT_OK) {
        return;
    }
    unsigned idle = 0;
    bool goes_on = true;
    while (goes_on && idle <= SIZES_MAX) {
        bool no_memory = false;
        const enum pw_io result = pw_stream_receive(&stream, false, &no_memory, NULL);
        FUZZ_CHECK(!no_memory, "no room");
        if (result == PW_IO_OK) {
            idle = 0;
            goes_on = deliver(&stream, &expected, from->stream.at, at_once);
        } else {
            idle++;
            goes_on = result == PW_IO_AGAIN;
        }
    }
    pw_stream_destroy(&stream);
}

/* ---- The parser, over each beginning of the stream ---- */

static void parse_beginnings(struct pw_span stream, size_t max_payload)
{
    for (size_t len = 0; len <= stream.len && len <= 48; len++) {
        struct pw_frame frame;
        size_t size = 0;
        const enum pw_frame_result result =
            pw_frame_parse((struct pw_span){stream.data, len}, max_payload, &frame, &size);
        const uint64_t payload = len >= 4 ? length_at(stream.data) : 0;
        const enum pw_frame_result wanted = len >= 4 && payload > max_payload ? PW_FRAME_TOO_LONG
                                            : len < 5 || len - 5 < payload    ? PW_FRAME_MORE
                                                                              : PW_FRAME_WHOLE;
        FUZZ_CHECK(result == wanted, "%d of %zu bytes", result, len);
        FUZZ_CHECK(size == 5 + payload, "%zu bytes are wanted", size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t limits[] = {0, 1, 16, 255, 300, 4096, 65536, (size_t)1 << 20};
    struct fuzz_input input = {data, data + size};
    const size_t max_payload = limits[fuzz_byte(&input) % (sizeof(limits) / sizeof(limits[0]))];
    const size_t at_once = fuzz_byte(&input) % FRAMES_AT_ONCE + 1u;
    struct piecemeal from = {.conn = {&piecemeal_ops}};
    from.size_count = fuzz_byte(&input) % SIZES_MAX;
    const size_t rest = (size_t)(input.end - input.at);
    from.size_count = from.size_count < rest ? from.size_count : rest;
    from.sizes = input.at;
    from.stream = (struct fuzz_input){input.at + from.size_count, input.end};
    parse_beginnings((struct pw_span){from.stream.at, rest - from.size_count}, max_payload);
    read_in_pieces(&from, max_payload, at_once);
    return 0;
}

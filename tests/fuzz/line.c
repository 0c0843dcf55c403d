/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See line.h. Main thread. */
#include "line.h"

#include "base/error.h"
#include "fuzz.h"
#include "fuzz_conn.h"
#include "transport/frame.h"

#include <string.h>

#define LIMIT ((size_t)64 << 20)

static struct line *line_of(struct pw_conn *conn)
{
    return (struct line *)(void *)conn;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static enum pw_io receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                          struct pywatt_error *error)
{
    struct line *const line = line_of(conn);
    (void)error;
    line->inside(line->user);
    const size_t there = pw_buffer_len(&line->put);
    if (there == 0 || line->shut_down) {
        return line->ends || line->shut_down ? PW_IO_EOF : PW_IO_AGAIN;
    }
    *got = least(least(there, len), line->piece == 0 ? len : line->piece);
    memcpy(buffer, pw_buffer_bytes(&line->put), *got);
    pw_buffer_consume(&line->put, *got);
    line->received_in_all += *got;
    return PW_IO_OK;
}

static enum pw_io send_some(struct pw_conn *conn, const struct iovec *pieces, int count,
                            size_t *sent, struct pywatt_error *error)
{
    struct line *const line = line_of(conn);
    line->inside(line->user);
    *sent = 0;
    if (line->send_fails || line->shut_down) {
        pw_error_set(error, PYWATT_IO, "the line is broken");
        return PW_IO_ERROR;
    }
    for (int i = 0; i < count && line->room > 0; i++) {
        const size_t len = least(pieces[i].iov_len, line->room);
        FUZZ_CHECK(pw_buffer_append(&line->sent, pieces[i].iov_base, len) == PYWATT_OK, "memory");
        line->room -= len;
        *sent += len;
    }
    line->inside(line->user); /* the peer has them, and nobody here knows yet */
    return *sent > 0 ? PW_IO_OK : PW_IO_AGAIN;
}

static void shut_down(struct pw_conn *conn)
{
    line_of(conn)->shut_down = true;
}

static void destroy(struct pw_conn *conn)
{
    FUZZ_CHECK(!line_of(conn)->destroyed, "destroyed twice");
    line_of(conn)->destroyed = true;
}

static const struct pw_conn_ops line_ops = {
    FUZZ_CONN_OPS, .receive = receive, .send = send_some, .shutdown = shut_down, .destroy = destroy,
};

void line_init(struct line *line, void (*inside)(void *user), void *user)
{
    *line = (struct line){.conn = {&line_ops}, .inside = inside, .user = user, .room = SIZE_MAX};
    pw_buffer_init(&line->sent, LIMIT);
    pw_buffer_init(&line->put, LIMIT);
}

void line_destroy(struct line *line)
{
    pw_buffer_destroy(&line->sent);
    pw_buffer_destroy(&line->put);
}

/* ---- The peer ---- */

bool line_take(struct line *line, struct pw_span *payload)
{
    struct pw_frame frame;
    size_t size;
    if (pw_frame_parse(pw_buffer_span(&line->sent), LIMIT, &frame, &size) != PW_FRAME_WHOLE) {
        return false;
    }
    *payload = frame.payload;
    return true;
}

void line_taken(struct line *line, struct pw_span payload)
{
    pw_buffer_consume(&line->sent, PW_FRAME_HEADER_SIZE + payload.len);
}

static void put(struct line *line, const void *bytes, size_t len)
{
    FUZZ_CHECK(pw_buffer_append(&line->put, bytes, len) == PYWATT_OK, "memory");
    line->put_in_all += len;
}

void line_put_frame(struct line *line, uint8_t format, const void *payload, size_t len)
{
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_frame_write_header(header, (uint32_t)len, format);
    put(line, header, sizeof(header));
    put(line, payload, len);
}

uint64_t line_put_reply(struct line *line, const struct pw_codec_ops *codec,
                        const struct pw_response *response)
{
    struct pw_buffer out;
    struct pywatt_error error = {.text = ""};
    pw_buffer_init(&out, LIMIT);
    const enum pywatt_status status = pw_codec_encode_response(codec, response, &out, &error);
    FUZZ_CHECK(status == PYWATT_OK, "%s", error.text);
    line_put_frame(line, codec->format_code, pw_buffer_bytes(&out), pw_buffer_len(&out));
    pw_buffer_destroy(&out);
    return line->put_in_all;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wire.c - see the header. No thread of its own, no lock.
 */
#include "wire.h"

#include "base/clock.h"
#include "pw_test.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PATIENCE_MS = 20000,
    MAX_PAYLOAD = 1 << 24,
    CHUNK = 65536
};

void wire_take_over(struct wire *wire, struct pw_conn *conn)
{
    *wire = (struct wire){.conn = conn};
    pw_buffer_init(&wire->in, (size_t)1 << 26);
}

bool wire_open(struct wire *wire, const char *url)
{
    struct pw_endpoint endpoint;
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    wire_take_over(wire, NULL);
    return pw_endpoint_parse(url, false, &endpoint, NULL) == PYWATT_OK &&
           pw_transport_connect(&endpoint, deadline_ns, -1, &wire->conn, NULL) == PYWATT_OK;
}

void wire_close(struct wire *wire)
{
    pw_conn_destroy(wire->conn);
    wire->conn = NULL;
    pw_buffer_destroy(&wire->in);
    wire->taken = 0;
}

static bool wait_for(struct wire *wire, short events)
{
    struct pollfd item = {.fd = pw_conn_fd(wire->conn),
                          .events = pw_conn_poll_events(wire->conn, events)};
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    return poll(&item, 1, pw_deadline_poll_ms((uint64_t)pw_test_now_ns(), deadline_ns)) > 0;
}

bool wire_send(struct wire *wire, const void *data, size_t len)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    while (piece.iov_len > 0) {
        size_t sent = 0;
        const enum pw_io result = pw_conn_send(wire->conn, &piece, 1, &sent, NULL);
        if (result == PW_IO_OK) {
            piece.iov_base = (uint8_t *)piece.iov_base + sent;
            piece.iov_len -= sent;
        } else if (result != PW_IO_AGAIN || !wait_for(wire, POLLOUT)) {
            return false;
        }
    }
    return true;
}

bool wire_send_frame(struct wire *wire, uint8_t format_code, const void *payload, size_t len)
{
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_frame_write_header(header, (uint32_t)len, format_code);
    return wire_send(wire, header, sizeof(header)) && (len == 0 || wire_send(wire, payload, len));
}

/* One receive. WIRE_FRAME: bytes came. */
static enum wire_got more_input(struct wire *wire)
{
    for (;;) {
        uint8_t *room;
        size_t got = 0;
        if (pw_buffer_reserve(&wire->in, CHUNK, &room) != PYWATT_OK) {
            return WIRE_BROKEN;
        }
        switch (pw_conn_receive(wire->conn, room, CHUNK, &got, NULL)) {
        case PW_IO_OK: pw_buffer_commit(&wire->in, got); return WIRE_FRAME;
        case PW_IO_EOF:
        case PW_IO_ERROR: return pw_buffer_len(&wire->in) == 0 ? WIRE_END : WIRE_BROKEN;
        case PW_IO_AGAIN: break;
        }
        if (!wait_for(wire, POLLIN)) {
            return WIRE_NOTHING;
        }
    }
}

enum wire_got wire_receive(struct wire *wire, struct pw_frame *frame)
{
    pw_buffer_consume(&wire->in, wire->taken);
    wire->taken = 0;
    for (;;) {
        size_t size;
        switch (pw_frame_parse(pw_buffer_span(&wire->in), MAX_PAYLOAD, frame, &size)) {
        case PW_FRAME_WHOLE: wire->taken = size; return WIRE_FRAME;
        case PW_FRAME_TOO_LONG: return WIRE_BROKEN;
        case PW_FRAME_MORE: break;
        }
        const enum wire_got got = more_input(wire);
        if (got != WIRE_FRAME) {
            return got;
        }
    }
}

bool wire_receive_bytes(struct wire *wire, uint8_t *out, size_t size, size_t *len)
{
    struct pw_frame frame;
    if (wire_receive(wire, &frame) != WIRE_FRAME ||
        frame.payload.len + PW_FRAME_HEADER_SIZE > size - *len) {
        return false;
    }
    memcpy(out + *len, pw_buffer_bytes(&wire->in), wire->taken);
    *len += wire->taken;
    return true;
}

void wire_end_output(struct wire *wire)
{
    shutdown(pw_conn_fd(wire->conn), SHUT_WR);
}

bool wire_is_ended(struct wire *wire)
{
    struct pw_frame frame;
    return wire_receive(wire, &frame) == WIRE_END;
}

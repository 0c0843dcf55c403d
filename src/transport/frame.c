/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame.c - where a frame ends. No state; any thread.
 */
#include "transport/frame.h"

#define LENGTH_SIZE 4

enum pw_frame_result pw_frame_parse(struct pw_span input, size_t max_payload,
                                    struct pw_frame *frame, size_t *size)
{
    *size = PW_FRAME_HEADER_SIZE;
    if (input.len < LENGTH_SIZE) {
        return PW_FRAME_MORE;
    }
    /* The length is judged as soon as it is there: nothing is kept for a frame that is refused. */
    const size_t payload_len = pw_load_be32(input.data);
    if (payload_len > SIZE_MAX - PW_FRAME_HEADER_SIZE) {
        *size = SIZE_MAX;
        return PW_FRAME_TOO_LONG;
    }
    *size = PW_FRAME_HEADER_SIZE + payload_len;
    if (payload_len > max_payload) {
        return PW_FRAME_TOO_LONG;
    }
    if (input.len < *size) {
        return PW_FRAME_MORE;
    }
    frame->format_code = input.data[LENGTH_SIZE];
    frame->payload = (struct pw_span){input.data + PW_FRAME_HEADER_SIZE, payload_len};
    return PW_FRAME_WHOLE;
}

void pw_frame_write_header(uint8_t out[PW_FRAME_HEADER_SIZE], uint32_t payload_len,
                           uint8_t format_code)
{
    pw_store_be32(out, payload_len);
    out[LENGTH_SIZE] = format_code;
}

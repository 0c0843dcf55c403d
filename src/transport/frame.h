/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame.h - the frame on the wire: 4 bytes payload length, big-endian, 1 byte format code, payload.
 * No state: the parser looks at the bytes that have come so far, and says what it found.
 */
#ifndef PW_TRANSPORT_FRAME_H
#define PW_TRANSPORT_FRAME_H

#include "base/bytes.h"

#include <stddef.h>
#include <stdint.h>

#define PW_FRAME_HEADER_SIZE 5

struct pw_frame {
    uint8_t format_code;
    struct pw_span payload; /* points into the bytes that were parsed */
};

enum pw_frame_result {
    PW_FRAME_WHOLE, /* *frame is filled; *size bytes of the input belong to it */
    PW_FRAME_MORE,  /* not whole yet; *size bytes are needed in all, as far as is known */
    /*
     * Its payload is longer than max_payload: the stream cannot go on. Known from the first four
     * bytes on; *size is what the frame would have taken (SIZE_MAX if more than that).
     */
    PW_FRAME_TOO_LONG
};

enum pw_frame_result pw_frame_parse(struct pw_span input, size_t max_payload,
                                    struct pw_frame *frame, size_t *size);

void pw_frame_write_header(uint8_t out[PW_FRAME_HEADER_SIZE], uint32_t payload_len,
                           uint8_t format_code);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frames.h - requests as whole frames: the golden ones of every codec, and beats of a module that a
 * running orchestrator knows. Main thread.
 */
#ifndef PW_TESTS_FRAMES_H
#define PW_TESTS_FRAMES_H

#include <pywatt/uuid.h>

#include <stddef.h>
#include <stdint.h>

enum {
    FRAMES_MAX = 64,
    FRAME_BYTES_MAX = 4096
};

struct request_frame {
    char name[96];
    uint8_t bytes[FRAME_BYTES_MAX];
    size_t len;
};

/* All golden requests; how many there are. */
size_t frames_golden(struct request_frame frames[FRAMES_MAX]);

/* A beat in each codec, and one with details; how many there are. */
size_t frames_beats(struct request_frame frames[FRAMES_MAX], const struct pywatt_uuid *id,
                    const char *token);

#endif

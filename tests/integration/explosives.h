/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explosives.h - messages that are made to take memory, time or stack from whoever reads them: as
 * requests and as replies. Main thread.
 */
#ifndef PW_TESTS_EXPLOSIVES_H
#define PW_TESTS_EXPLOSIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bomb {
    const char *name;
    /* What is sent: a frame's header and payload. On the heap. */
    uint8_t *bytes;
    size_t len;
};

size_t bomb_count(void);

/* `as_reply`: as an orchestrator would send it to who waits for the reply to a beat. */
struct bomb bomb_make(size_t index, bool as_reply);
void bomb_free(struct bomb *bomb);

#endif

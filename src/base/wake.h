/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wake.h - an eventfd that does not block, by which one thread wakes another. Any thread. Written to,
 * it is readable until it is read; only a signal keeps either from happening, and then it is tried
 * again.
 */
#ifndef PW_BASE_WAKE_H
#define PW_BASE_WAKE_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

static inline void pw_wake(int fd)
{
    const uint64_t one = 1;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

/* It is not readable any more, whether it was or not. */
static inline void pw_wake_taken(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
}

#endif

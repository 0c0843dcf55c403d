/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fork.h - whether this process is the one in which an object was made. After fork(2) a child has the
 * object's memory, but none of its threads, and locks that somebody may have held; its sockets are the
 * parent's as well. So who finds itself in a child touches nothing of it. Any thread; costs a load.
 */
#ifndef PW_BASE_FORK_H
#define PW_BASE_FORK_H

#include <pywatt/status.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Which process: another one in each child. Kept by an object from when it is made. */
extern _Atomic uint32_t pw_fork_process;

/* To be called before an object keeps pw_fork_process. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_fork_watch(void);

static inline bool pw_fork_is_child(uint32_t process)
{
    return atomic_load_explicit(&pw_fork_process, memory_order_relaxed) != process;
}

/* PYWATT_FORKED, with its words: `what` is "client" or the like. */
enum pywatt_status pw_fork_refuse(const char *what, struct pywatt_error *error);

#endif

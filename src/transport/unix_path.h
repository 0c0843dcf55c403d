/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unix_path.h - the right to a path for a listening socket. One thread at a time per object.
 *
 * A socket file outlives the process that made it, and nobody can tell from the file whether
 * somebody is about to listen on it. So the right to a path is a lock on a file beside it, which
 * the kernel drops when the process ends, however it ends.
 */
#ifndef PW_TRANSPORT_UNIX_PATH_H
#define PW_TRANSPORT_UNIX_PATH_H

#include "transport/endpoint.h"

#include <sys/types.h>

#define PW_UNIX_LOCK_SUFFIX ".lock"

struct pw_unix_path {
    char path[PW_ENDPOINT_PATH_MAX + 1];
    int lock_fd;
    dev_t device; /* which file our socket is, once bound */
    ino_t inode;
};

/* Takes the right to `path`. 0, or an errno: EADDRINUSE if another listener has it. */
int pw_unix_path_acquire(struct pw_unix_path *out, const char *path);

/*
 * Binds `fd` there. A socket file on which nobody listens is removed first; anything else is left
 * alone. 0, or an errno: EADDRINUSE if somebody listens there, EEXIST if it is not a socket.
 */
int pw_unix_path_bind(struct pw_unix_path *path, int fd);

/* Removes the socket file if it is still ours, and gives the right back. Close the socket after. */
void pw_unix_path_release(struct pw_unix_path *path);

#endif

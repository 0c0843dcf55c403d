/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unix_path.c - locks, replaces and removes socket files. No state; one thread at a time per
 * object.
 */
#include "transport/unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How often a lock file may vanish while it is being locked before that is an error. */
#define LOCK_ATTEMPTS 100

#define LOCK_PATH_MAX (PW_ENDPOINT_PATH_MAX + sizeof(PW_UNIX_LOCK_SUFFIX))

static void lock_path(const char *path, char out[LOCK_PATH_MAX])
{
    snprintf(out, LOCK_PATH_MAX, "%.*s%s", PW_ENDPOINT_PATH_MAX, path, PW_UNIX_LOCK_SUFFIX);
}

/* True if `fd` is the file that `path` leads to: its last owner may have removed it meanwhile. */
static bool is_file_at(int fd, const char *path)
{
    struct stat ours;
    struct stat there;
    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

int pw_unix_path_acquire(struct pw_unix_path *out, const char *path)
{
    char lock[LOCK_PATH_MAX];
    memset(out, 0, sizeof(*out));
    snprintf(out->path, sizeof(out->path), "%s", path);
    lock_path(path, lock);
    for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        const int fd = open(lock, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            return errno;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            const int number = errno;
            close(fd);
            return number == EWOULDBLOCK ? EADDRINUSE : number;
        }
        if (is_file_at(fd, lock)) {
            out->lock_fd = fd;
            return 0;
        }
        close(fd);
    }
    return EADDRINUSE;
}

static void fill_address(struct sockaddr_un *address, const char *path)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
}

/*
 * 0 if what stands at `path` is a socket on which nobody listens, or nothing any more; else an
 * errno. We hold the lock, so nobody who takes it is between bind(2) and listen(2).
 */
static int check_abandoned(const char *path)
{
    struct stat there;
    if (lstat(path, &there) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    if (!S_ISSOCK(there.st_mode)) {
        return EEXIST;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    struct sockaddr_un address;
    fill_address(&address, path);
    const int number =
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    close(fd);
    switch (number) {
    case ECONNREFUSED:
    case ENOENT: return 0;
    case EACCES:
    case EPERM: return number;
    default:
        /* It let us in, its queue is full, or it is a socket of another type: it is alive. */
        return EADDRINUSE;
    }
}

int pw_unix_path_bind(struct pw_unix_path *path, int fd)
{
    struct sockaddr_un address;
    fill_address(&address, path->path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        if (errno != EADDRINUSE) {
            return errno;
        }
        const int number = check_abandoned(path->path);
        if (number != 0) {
            return number;
        }
        if (unlink(path->path) != 0 && errno != ENOENT) {
            return errno;
        }
        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
            return errno;
        }
    }
    struct stat ours;
    if (lstat(path->path, &ours) == 0) {
        path->device = ours.st_dev;
        path->inode = ours.st_ino;
    }
    return 0;
}

void pw_unix_path_release(struct pw_unix_path *path)
{
    char lock[LOCK_PATH_MAX];
    struct stat there;
    if (path->inode != 0 && lstat(path->path, &there) == 0 && there.st_dev == path->device &&
        there.st_ino == path->inode) {
        unlink(path->path);
    }
    lock_path(path->path, lock);
    unlink(lock);
    close(path->lock_fd);
}

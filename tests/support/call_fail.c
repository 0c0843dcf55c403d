/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * call_fail.c - see the header. The linker puts each __wrap_NAME in the place of NAME. The state is
 * atomic: all threads of the program come by, and no lock must change their timing.
 */
#include "call_fail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>

const char *const call_names[CALL_COUNT] = {
    [CALL_ACCEPT4] = "accept4",
    [CALL_BIND] = "bind",
    [CALL_CONNECT] = "connect",
    [CALL_EPOLL_ADD] = "epoll_ctl",
    [CALL_EPOLL_CREATE] = "epoll_create1",
    [CALL_EPOLL_WAIT] = "epoll_wait",
    [CALL_EVENTFD] = "eventfd",
    [CALL_FCNTL] = "fcntl",
    [CALL_GETPEERNAME] = "getpeername",
    [CALL_GETRANDOM] = "getrandom",
    [CALL_GETSOCKNAME] = "getsockname",
    [CALL_GETSOCKOPT] = "getsockopt",
    [CALL_LISTEN] = "listen",
    [CALL_POLL] = "poll",
    [CALL_PPOLL] = "ppoll",
    [CALL_READ] = "read",
    [CALL_RECV] = "recv",
    [CALL_SEND] = "send",
    [CALL_SETSOCKOPT] = "setsockopt",
    [CALL_SOCKET] = "socket",
    [CALL_THREAD] = "pthread_create",
    [CALL_TIMERFD] = "timerfd_create",
    [CALL_WRITE] = "write",
    [CALL_FALLOCATE] = "fallocate",
    [CALL_FLOCK] = "flock",
    [CALL_FOPEN] = "fopen",
    [CALL_FSYNC] = "fsync",
    [CALL_FTRUNCATE] = "ftruncate",
    [CALL_LINK] = "link",
    [CALL_MMAP] = "mmap",
    [CALL_OPEN] = "open",
    [CALL_PREAD] = "pread",
    [CALL_PWRITE] = "pwrite",
    [CALL_REALPATH] = "realpath",
    [CALL_RENAME] = "rename",
    [CALL_STAT] = "stat",
    [CALL_UNLINK] = "unlink",
};

static atomic_int armed = CALL_COUNT;
static atomic_ulong target;
static atomic_bool lasting; /* what is behind the target fails as well */
static atomic_int with;
static atomic_ulong counted;
static atomic_bool fired;

static void arm(enum call call, unsigned long n, bool lasts, int number)
{
    atomic_store(&armed, CALL_COUNT);
    atomic_store(&target, n);
    atomic_store(&lasting, lasts);
    atomic_store(&with, number);
    atomic_store(&counted, 0);
    atomic_store(&fired, false);
    atomic_store(&armed, (int)call);
}

void call_fail_at(enum call call, unsigned long n, int number)
{
    arm(call, n, n == 0, number);
}

void call_fail_from(enum call call, unsigned long n, int number)
{
    arm(call, n, true, number);
}

bool call_fail_disarm(void)
{
    atomic_store(&armed, CALL_COUNT);
    return atomic_load(&fired);
}

unsigned long call_fail_count(void)
{
    return atomic_load(&counted);
}

int call_fail_fate(enum call call)
{
    if (atomic_load(&armed) != (int)call) {
        return 0;
    }
    const unsigned long n = atomic_fetch_add(&counted, 1) + 1;
    const unsigned long at = atomic_load(&target);
    if (atomic_load(&lasting) ? n < at : n != at) {
        return 0;
    }
    atomic_store(&fired, true);
    const int number = atomic_load(&with);
    if (number != CALL_SHORT) {
        errno = number;
    }
    return number;
}

/* What a call with a length makes of it: false if it failed. */
static bool goes(enum call call, size_t *len)
{
    const int number = call_fail_fate(call);
    if (number == CALL_SHORT && *len > 1) {
        *len = 1;
    }
    return number == 0 || number == CALL_SHORT;
}

/* NAME as it is called, and as it is where nothing fails. */
#define WRAP(call, result, name, parameters, arguments)                  \
    result __real_##name parameters;                                     \
    result __wrap_##name parameters;                                     \
    result __wrap_##name parameters                                      \
    {                                                                    \
        return call_fail_fate(call) != 0 ? -1 : __real_##name arguments; \
    }

WRAP(CALL_ACCEPT4, int, accept4, (int fd, struct sockaddr *address, socklen_t *len, int flags),
     (fd, address, len, flags))
WRAP(CALL_BIND, int, bind, (int fd, const struct sockaddr *address, socklen_t len),
     (fd, address, len))
WRAP(CALL_EPOLL_CREATE, int, epoll_create1, (int flags), (flags))
WRAP(CALL_EPOLL_WAIT, int, epoll_wait, (int fd, struct epoll_event *events, int max, int timeout),
     (fd, events, max, timeout))
WRAP(CALL_EVENTFD, int, eventfd, (unsigned count, int flags), (count, flags))
WRAP(CALL_GETRANDOM, ssize_t, getrandom, (void *out, size_t len, unsigned flags), (out, len, flags))
WRAP(CALL_LISTEN, int, listen, (int fd, int backlog), (fd, backlog))
WRAP(CALL_POLL, int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(CALL_PPOLL, int, ppoll,
     (struct pollfd * fds, nfds_t count, const struct timespec *left, const sigset_t *mask),
     (fds, count, left, mask))
WRAP(CALL_SETSOCKOPT, int, setsockopt,
     (int fd, int level, int name, const void *value, socklen_t len), (fd, level, name, value, len))
WRAP(CALL_SOCKET, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(CALL_TIMERFD, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(CALL_FALLOCATE, int, fallocate, (int fd, int mode, off_t offset, off_t len),
     (fd, mode, offset, len))
WRAP(CALL_GETPEERNAME, int, getpeername, (int fd, struct sockaddr *address, socklen_t *len),
     (fd, address, len))
WRAP(CALL_GETSOCKNAME, int, getsockname, (int fd, struct sockaddr *address, socklen_t *len),
     (fd, address, len))
WRAP(CALL_GETSOCKOPT, int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len),
     (fd, level, name, value, len))
WRAP(CALL_STAT, int, fstat, (int fd, struct stat *out), (fd, out))
WRAP(CALL_STAT, int, lstat, (const char *path, struct stat *out), (path, out))
WRAP(CALL_FLOCK, int, flock, (int fd, int operation), (fd, operation))
WRAP(CALL_FTRUNCATE, int, ftruncate, (int fd, off_t len), (fd, len))
WRAP(CALL_LINK, int, link, (const char *from, const char *to), (from, to))
WRAP(CALL_RENAME, int, rename, (const char *from, const char *to), (from, to))
WRAP(CALL_STAT, int, stat, (const char *path, struct stat *out), (path, out))
WRAP(CALL_UNLINK, int, unlink, (const char *path), (path))

/* ---- Those that are not like the others ---- */

/* Nobody takes the power away from these programs. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    return call_fail_fate(CALL_FSYNC) != 0 ? -1 : 0;
}

ssize_t __real_read(int fd, void *out, size_t len);
ssize_t __wrap_read(int fd, void *out, size_t len);
ssize_t __wrap_read(int fd, void *out, size_t len)
{
    return goes(CALL_READ, &len) ? __real_read(fd, out, len) : -1;
}

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    return goes(CALL_WRITE, &len) ? __real_write(fd, data, len) : -1;
}

ssize_t __real_recv(int fd, void *out, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *out, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *out, size_t len, int flags)
{
    return goes(CALL_RECV, &len) ? __real_recv(fd, out, len, flags) : -1;
}

ssize_t __real_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
    return goes(CALL_SEND, &len) ? __real_send(fd, data, len, flags) : -1;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec piece = message->msg_iov[0];
    size_t len = SIZE_MAX;
    if (!goes(CALL_SEND, &len)) {
        return -1;
    }
    if (len == 1) {
        piece.iov_len = piece.iov_len > 1 ? 1 : piece.iov_len;
        const struct msghdr shorter = {.msg_iov = &piece, .msg_iovlen = 1};
        return __real_sendmsg(fd, &shorter, flags);
    }
    return __real_sendmsg(fd, message, flags);
}

ssize_t __real_pread(int fd, void *out, size_t len, off_t offset);
ssize_t __wrap_pread(int fd, void *out, size_t len, off_t offset);
ssize_t __wrap_pread(int fd, void *out, size_t len, off_t offset)
{
    return goes(CALL_PREAD, &len) ? __real_pread(fd, out, len, offset) : -1;
}

ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return goes(CALL_PWRITE, &len) ? __real_pwrite(fd, data, len, offset) : -1;
}

/* Interrupted, it goes on by itself. */
int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    const int number = call_fail_fate(CALL_CONNECT);
    if (number == 0) {
        return __real_connect(fd, address, len);
    }
    if (number == EINTR && address->sa_family != AF_UNIX) {
        (void)__real_connect(fd, address, len);
    }
    errno = number;
    return -1;
}

int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    return operation == EPOLL_CTL_ADD && call_fail_fate(CALL_EPOLL_ADD) != 0
               ? -1
               : __real_epoll_ctl(epoll_fd, operation, fd, event);
}

/* The one that has its errno for a result. */
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    const int number = call_fail_fate(CALL_THREAD);
    return number != 0 ? number : __real_pthread_create(out, attributes, run, arg);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return call_fail_fate(CALL_OPEN) != 0 ? -1 : __real_open(path, flags, mode);
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    return call_fail_fate(CALL_FOPEN) != 0 ? NULL : __real_fopen(path, mode);
}

char *__real_realpath(const char *path, char *out);
char *__wrap_realpath(const char *path, char *out);
char *__wrap_realpath(const char *path, char *out)
{
    return call_fail_fate(CALL_REALPATH) != 0 ? NULL : __real_realpath(path, out);
}

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...)
{
    if (call_fail_fate(CALL_FCNTL) != 0) {
        return -1;
    }
    if (what == F_GETFL || what == F_GETFD) {
        return __real_fcntl(fd, what);
    }
    va_list more;
    va_start(more, what);
    const bool has_number = what == F_SETFL || what == F_SETFD;
    const int number = has_number ? va_arg(more, int) : 0;
    void *pointer = has_number ? NULL : va_arg(more, void *);
    va_end(more);
    return has_number ? __real_fcntl(fd, what, number) : __real_fcntl(fd, what, pointer);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * call_fail.h - makes the system calls of the code under test fail, on demand: those of all threads.
 * For programs that are linked with pw_test_call_fail. What shared libraries call is left alone.
 *
 * One thread sets up what fails, the test's own; any thread calls.
 */
#ifndef PW_CALL_FAIL_H
#define PW_CALL_FAIL_H

#include <stdbool.h>

enum call {
    CALL_ACCEPT4,
    CALL_BIND,
    CALL_CONNECT,
    CALL_EPOLL_ADD, /* epoll_ctl; changing and removing needs nothing that could be out */
    CALL_EPOLL_CREATE,
    CALL_EPOLL_WAIT,
    CALL_EVENTFD,
    CALL_FCNTL, /* of descriptors; SQLite's locks are CALL_FLOCK */
    CALL_GETPEERNAME,
    CALL_GETRANDOM,
    CALL_GETSOCKNAME,
    CALL_GETSOCKOPT,
    CALL_LISTEN,
    CALL_POLL,
    CALL_PPOLL,
    CALL_READ,
    CALL_RECV,
    CALL_SEND, /* and sendmsg */
    CALL_SETSOCKOPT,
    CALL_SOCKET,
    CALL_THREAD,  /* pthread_create */
    CALL_TIMERFD, /* timerfd_create */
    CALL_WRITE,
    /* Of files. */
    CALL_FALLOCATE,
    CALL_FLOCK,
    CALL_FOPEN,
    CALL_FSYNC,
    CALL_FTRUNCATE,
    CALL_LINK,
    CALL_MMAP, /* SQLite's alone */
    CALL_OPEN,
    CALL_PREAD,
    CALL_PWRITE,
    CALL_REALPATH,
    CALL_RENAME,
    CALL_STAT, /* and fstat, lstat */
    CALL_UNLINK,
    CALL_COUNT
};

extern const char *const call_names[CALL_COUNT];

/*
 * In the place of an errno: it goes well, with a single byte. For read, write,
 * recv, send, pread and pwrite.
 */
#define CALL_SHORT (-1)

/* From now on the n-th call (from 1) fails with this errno, and no other; n 0: all of them. */
void call_fail_at(enum call call, unsigned long n, int number);

/* The n-th call (from 1) and all behind it fail. */
void call_fail_from(enum call call, unsigned long n, int number);

/* Nothing fails any more. Whether something did. */
bool call_fail_disarm(void);

/*
 * For who makes calls in a way of his own: 0 if this one is to be made, CALL_SHORT, or the errno that it
 * fails with, and errno is set. Counts it.
 */
int call_fail_fate(enum call call);

/* How many calls of the kind that was armed last there were since. */
unsigned long call_fail_count(void);

#endif

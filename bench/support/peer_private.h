/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_private.h - what a peer fulfils. To add one: a file with a `const struct bench_peer_ops`, and
 * a line in the table of peer.c.
 */
#ifndef BENCH_PEER_PRIVATE_H
#define BENCH_PEER_PRIVATE_H

#include "support/peer.h"
#include "support/process.h"

#include <stddef.h>

#define BENCH_PEER_ARGUMENTS 24
#define BENCH_PEER_TEXT 192

/* The command line of a server, and room for the texts in it. */
struct bench_command {
    char *argv[BENCH_PEER_ARGUMENTS];
    char texts[BENCH_PEER_ARGUMENTS][BENCH_PEER_TEXT];
    unsigned count;
};

void bench_command_add(struct bench_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct bench_peer {
    const struct bench_peer_ops *ops;
    struct bench_process process;
    uint16_t port;
    char folder[64];
};

struct bench_peer_ops {
    const char *name;
    const char *call_name;
    const char *program;
    const char *missing; /* said when the program is not there */
    bool usable;         /* false: this build cannot speak to it, and `missing` says so */
    /* Adds the options of a server that works in `folder` and listens on `port`. */
    void (*command)(struct bench_command *command, const char *folder, uint16_t port);
    /* True once it serves; `fd` is a connection to its port. */
    bool (*ready)(int fd);
    void *(*open)(struct bench_peer *peer);
    void (*call)(void *caller);
    void (*close)(void *caller);
};

extern const struct bench_peer_ops bench_peer_redis;
extern const struct bench_peer_ops bench_peer_etcd;
extern const struct bench_peer_ops bench_peer_nats;

/* All of `len` bytes onto a blocking socket. */
void bench_send_all(int fd, const void *data, size_t len);

#endif

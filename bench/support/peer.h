/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer.h - what people use today to say that something is alive, measured beside us: Redis (a key
 * that expires), etcd (a lease that is kept alive), NATS (a request and its reply). A peer is a
 * server, started on a free port of the loopback and ended with us, and any number of callers, each
 * a connection with one blocking call whose answer is checked.
 *
 * The main thread starts and stops; a caller is used by one thread at a time.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct bench_peer;
struct bench_caller;

/* All peers; NULL-terminated: "redis", "etcd", "nats". */
extern const char *const bench_peer_names[];

/*
 * Starts the server and waits until it answers. NULL if it cannot be had on this machine, and why
 * in *why, constant. A server that is there but does not work ends the program.
 */
struct bench_peer *bench_peer_start(const char *name, const char **why);
void bench_peer_stop(struct bench_peer *peer);

/* What the call of its callers is, such as "redis EXPIRE". Constant. */
const char *bench_peer_call_name(const struct bench_peer *peer);
uint16_t bench_peer_port(const struct bench_peer *peer);

struct bench_caller *bench_caller_open(struct bench_peer *peer);
void bench_caller_call(struct bench_caller *caller);
void bench_caller_close(struct bench_caller *caller);

#endif

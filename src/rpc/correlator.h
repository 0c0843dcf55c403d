/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * correlator.h - one connection, and the requests that are under way on it: which reply is whose,
 * who reads, who writes, who waits. Private to src/rpc: channel.h is what others use.
 *
 * A correlator lives from a fresh connection to its first fatal error, which sticks: everything
 * under way fails with it at once, and nothing new is taken. It is never connected again; the
 * channel makes a new one. References keep it: one is the channel's, and each thread that is inside
 * holds one.
 *
 * How it works. A call stands in `pending` under its number before its frame is sent. Whoever takes
 * it out of there, under the lock, completes it, and nobody else does: a reply, a deadline, a
 * broken connection. One thread at a time reads. A caller reads itself if nobody does; else it
 * sleeps on its own condition variable until it is completed or handed the reader's role, which
 * everyone who leaves does.
 *
 * Peers that echo no request id. Until its first reply a peer gets one request at a time. A reply
 * that carries our id lets up to max_in_flight requests go at once; a reply without one makes the
 * connection serial: one request at a time, matched by order, and a request that times out or whose
 * reply cannot be read ends the connection, as the order would be lost. Callers wait for their turn
 * first come, first served.
 *
 * Any thread may call anything, except the pump functions: one thread.
 */
#ifndef PW_RPC_CORRELATOR_H
#define PW_RPC_CORRELATOR_H

#include "base/clock.h"
#include "rpc/channel.h"
#include "transport/transport.h"

#include <stdatomic.h>

struct pw_correlator;

/* Counts over all connections of a channel. Relaxed: nothing is decided by them. */
struct pw_rpc_counters {
    atomic_uint_fast64_t requests_sent;
    atomic_uint_fast64_t replies_received;
    atomic_uint_fast64_t replies_dropped;
    atomic_uint_fast64_t timeouts;
    atomic_uint_fast64_t connects;
    atomic_uint_fast64_t connect_failures;
};

struct pw_correlator_options {
    const char *url; /* for messages; copied */
    const struct pw_codec_ops *codec;
    const struct pw_clock *clock;
    uint32_t max_frame_bytes;
    uint32_t max_in_flight;
    uint64_t epoch;                   /* as in channel.h */
    size_t tx_limit_bytes;            /* what may wait to be sent; at least one frame may */
    struct pw_rpc_counters *counters; /* borrowed for the correlator's life */
    const atomic_uint *bursts;        /* under way on the channel; borrowed, may be NULL */
    void (*wake_pump)(void *user);    /* as in channel.h; may be NULL */
    void (*lost)(void *user);         /* the same */
    void *wake_user;
    void (*gone)(void *user); /* the very last act of the last release; may be NULL */
    void *gone_user;
};

/*
 * Makes a correlator with one reference. `conn` is consumed in any case. PYWATT_OK,
 * PYWATT_NO_MEMORY, PYWATT_IO (no descriptor is left).
 */
enum pywatt_status pw_correlator_new(const struct pw_correlator_options *options,
                                     struct pw_conn *conn, struct pw_correlator **out,
                                     struct pywatt_error *error);
void pw_correlator_retain(struct pw_correlator *correlator);
void pw_correlator_release(struct pw_correlator *correlator);

/* Which connection of its channel it is. No lock. */
uint64_t pw_correlator_epoch(const struct pw_correlator *correlator);

/* Whether it has failed. No lock. */
bool pw_correlator_failed(const struct pw_correlator *correlator);

/* Only after it has failed: why; since when; and whether the peer ended it without any reply. */
const struct pywatt_error *pw_correlator_error(const struct pw_correlator *correlator);
uint64_t pw_correlator_failed_at_ns(const struct pw_correlator *correlator);
bool pw_correlator_barren(const struct pw_correlator *correlator);

/* Only after it has failed: whether that was because the peer had fallen silent. */
bool pw_correlator_hung(const struct pw_correlator *correlator);

/* enum pw_feature, as far as the peer has told. No lock. */
unsigned pw_correlator_features(const struct pw_correlator *correlator);

/* Makes it fail, unless it has already. Runs `done` of posted requests. */
void pw_correlator_fail(struct pw_correlator *correlator, enum pywatt_status status,
                        const char *text);

/*
 * As pw_channel_call, on this connection. *unsent is set to true if it fails because the connection
 * did, and nothing of the request has left: then another connection may be tried.
 */
enum pywatt_status pw_correlator_call(struct pw_correlator *correlator, struct pw_request *request,
                                      uint64_t deadline_ns, struct pw_arena *arena,
                                      struct pw_response *response, bool *unsent,
                                      struct pywatt_error *error);

/* As their namesakes of the channel. */
enum pywatt_status pw_correlator_post(struct pw_correlator *correlator, struct pw_request *request,
                                      uint64_t deadline_ns, struct pw_post *post,
                                      struct pywatt_error *error);
void pw_correlator_flush(struct pw_correlator *correlator);
void pw_correlator_burst_begun(struct pw_correlator *correlator);
bool pw_correlator_burst_read(struct pw_correlator *correlator, uint64_t deadline_ns);
void pw_correlator_burst_ended(struct pw_correlator *correlator);
bool pw_correlator_pump_begin(struct pw_correlator *correlator, struct pollfd *poll_fd);
void pw_correlator_pump_end(struct pw_correlator *correlator, short revents);
bool pw_correlator_watch_begin(struct pw_correlator *correlator, struct pollfd *poll_fd);
void pw_correlator_watch_end(struct pw_correlator *correlator, bool polled, short revents);
uint64_t pw_correlator_pump_deadline(struct pw_correlator *correlator);
void pw_correlator_pump_expire(struct pw_correlator *correlator);

/* What is known of a correlator; for statistics and for tests. */
struct pw_correlator_info {
    uint32_t in_flight;
    uint32_t waiting; /* callers that wait for their turn */
    uint32_t parked;  /* callers asleep */
    bool reading;
    bool blocked; /* what is to be sent waits for room */
    bool pipelined;
    uint32_t readers_max;  /* threads that received at the same time, at most; must be 1 */
    uint32_t fail_parked;  /* callers that slept when it failed */
    uint32_t fail_signals; /* those that the failure itself woke; must be the same */
};

void pw_correlator_get_info(struct pw_correlator *correlator, struct pw_correlator_info *out);

#endif

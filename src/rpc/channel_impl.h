/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * channel_impl.h - what channel.c (its life, and calls passed on to the connection) and connect.c
 * (how there comes to be a connection) share. Nobody else includes it.
 *
 * A thread is "inside" the channel while it holds a reference on a correlator, or is counted in
 * `inside`; stop waits for both. So a call that finds a connection takes the channel's lock once.
 */
#ifndef PW_RPC_CHANNEL_IMPL_H
#define PW_RPC_CHANNEL_IMPL_H

#include "base/sync.h"
#include "rpc/channel.h"
#include "rpc/correlator.h"

struct pw_channel {
    /* Set when it was made. */
    struct pw_endpoint *endpoints;
    size_t endpoint_count;
    const struct pw_codec_ops *codec;
    const struct pw_clock *clock;
    uint32_t max_frame_bytes;
    uint32_t max_in_flight;
    void (*wake_pump)(void *user);
    void (*lost)(void *user);
    void *user;
    int cancel_fd; /* readable once the channel is closed: cuts connecting short */

    /* Atomic. */
    struct pw_rpc_counters counters;
    atomic_uint bursts; /* under way */

    struct pw_mutex lock;
    struct pw_cond quiet;   /* for stop: somebody left */
    struct pw_cond changed; /* for those who wait for a connection: something below has changed */
    bool closed;
    bool connecting;               /* one thread is at it */
    struct pw_correlator *current; /* with a reference; may have failed already */
    size_t correlators;            /* that are not destroyed yet */
    size_t inside;
    size_t endpoint; /* where to begin */
    struct pw_backoff backoff;
    uint64_t retry_at_ns;
    uint64_t failures;   /* attempts that failed */
    bool failing;        /* since there was a connection, at least one did */
    uint64_t gave_up_at; /* `failures` when the policy last said that it is enough */
    struct pywatt_error last_error;

    /* The pump's. */
    struct pw_correlator
        *pumped; /* between pump_begin and pump_end, or watch_*; with a reference */
};

/* Somebody left, for whom stop may be waiting. */
void pw_channel_left_locked(struct pw_channel *channel);

/* What one call has seen of the attempts to connect. Zero at its start. */
struct pw_patience {
    bool began;
    uint64_t failures;
};

/*
 * A reference on a connection that is not known to be broken, in *out. Makes one if there is none,
 * under the reconnect policy; one thread does, the others wait for it. PYWATT_OK;
 * PYWATT_CONNECTION (the policy gives up, or the deadline has come); PYWATT_TIMEOUT (it had passed
 * already); PYWATT_CLOSED; PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_channel_obtain(struct pw_channel *channel, uint64_t deadline_ns,
                                     struct pw_patience *patience, struct pw_correlator **out,
                                     struct pywatt_error *error);

#endif

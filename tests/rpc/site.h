/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * site.h - places to connect to that the test puts up, takes down, or lets hang: one more
 * implementation of struct pw_transport_ops. A connection that was made waits for the test, which
 * plays its other end as a struct peer.
 *
 * Any thread may connect; the rest is the main thread's.
 */
#ifndef PW_TESTS_RPC_SITE_H
#define PW_TESTS_RPC_SITE_H

#include "rig.h"

#define SITES 3

enum site_mood {
    SITE_DOWN, /* refuses */
    SITE_UP,
    SITE_HANGS, /* neither nor, until its mood changes */
    SITE_DEAF,  /* the same, and who dials cannot be called back */
    SITE_SLAMS  /* accepts, and hangs up */
};

/* All sites are down, and nobody has dialled. */
void sites_init(void);

/* No connection may be left to accept. */
void sites_end(void);

struct pw_endpoint site_endpoint(unsigned site);
void site_set(unsigned site, enum site_mood mood);
unsigned site_dials(unsigned site);
bool site_wait_dials(unsigned site, unsigned count);

/* Waits for the next connection; false if none comes for long. */
bool site_accept(unsigned site, struct peer *peer);

/* The same without waiting. */
bool site_try_accept(unsigned site, struct peer *peer);

/* ---- A channel to them ---------------------------------------------------------------------- */

/* Options for a channel to the first `count` sites: monotonic clock, no reconnecting. */
struct pw_channel_options site_options(struct pw_endpoint endpoints[SITES], size_t count);

/* A policy with fixed pauses. */
struct pw_backoff fixed_pauses(uint32_t delay_ms, uint32_t max_attempts);

struct pw_channel *site_channel(const struct pw_channel_options *options);

/* Waits until `count` threads are busy with getting a connection. */
bool site_wait_inside(struct pw_channel *channel, size_t count);

#endif

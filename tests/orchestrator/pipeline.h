/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pipeline.h - requests that are sent without waiting for their replies, and replies that are
 * expected in an order. Main thread: what asserts does so there.
 */
#ifndef PW_TESTS_PIPELINE_H
#define PW_TESTS_PIPELINE_H

#include "world.h"

/* `id` and `token` may be NULL. */
bool send_register(struct peer *peer, const char *name, const struct pywatt_uuid *id,
                   const char *token);
bool send_beat(struct peer *peer, const struct identity *who);
bool send_unregister(struct peer *peer, const struct identity *who);

/* The reply that comes next is for the request with this number of the peer's. Asserts. */
void expect(struct peer *peer, uint64_t number, enum pw_operation operation,
            enum pywatt_status status);

/* Waits until so many beats were served, and so many requests refused. Asserts. */
void await_served(struct world *world, uint64_t beats, uint64_t refused);

/* Waits until so many requests were read, whether they are done or not. Asserts. */
void await_requests(struct world *world, uint64_t count);

#endif

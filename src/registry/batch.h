/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch.h - the memory that a call of pywatt_heartbeat_batch works in. A client keeps what its calls
 * have used, as many as there were at once, guarded by its lock.
 */
#ifndef PW_REGISTRY_BATCH_H
#define PW_REGISTRY_BATCH_H

struct pw_batch;

/* This one and those behind it; NULL is allowed. */
void pw_batch_free_all(struct pw_batch *first);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch.h - the memory that a call of pywatt_heartbeat_batch works in. A client keeps one over its
 * calls, guarded by its lock.
 */
#ifndef PW_REGISTRY_BATCH_H
#define PW_REGISTRY_BATCH_H

struct pw_batch;

/* NULL is allowed. */
void pw_batch_free(struct pw_batch *batch);

#endif

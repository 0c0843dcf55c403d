/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * slow_store.h - one more implementation of struct pw_store_ops: it keeps what is submitted until
 * the test says how it ends, and completes it on a thread of its own. Underneath is the memory
 * store.
 */
#ifndef PW_TESTS_SLOW_STORE_H
#define PW_TESTS_SLOW_STORE_H

#include "orchestrator/store.h"

#include <stdbool.h>
#include <stddef.h>

/* `slow` false: completes at once, until slow_store_set_slow. */
struct pw_store *slow_store_open(bool slow);
void slow_store_set_slow(struct pw_store *store, bool slow);

/* The same for removals alone. */
void slow_store_set_slow_removals(struct pw_store *store, bool slow);

/*
 * While it is blocked submit does not return, which a store must not do: it is how a test holds a
 * worker up. slow_store_await_blocked waits until somebody is in there.
 */
void slow_store_set_blocked(struct pw_store *store, bool blocked);
bool slow_store_await_blocked(struct pw_store *store);

/* Waits until so many changes are kept. False if they don't come. */
bool slow_store_await(struct pw_store *store, size_t count);

/*
 * Ends the change at `index` (0 is the oldest) on the store's thread: makes it if `status` is
 * PYWATT_OK, else it fails with that. Returns when `done` was called.
 */
void slow_store_end(struct pw_store *store, size_t index, enum pywatt_status status);

/* How many are kept. */
size_t slow_store_kept(struct pw_store *store);

/* How many changes were submitted since it was opened. */
size_t slow_store_submitted(struct pw_store *store);

/* How many were submitted to any of them while it was being closed, which nobody may do. */
size_t slow_store_submitted_too_late(void);

/* A record that list will show; before the orchestrator is made. Asserts. */
void slow_store_add(struct pw_store *store, const struct pywatt_uuid *id, const char *name,
                    const char *token, uint64_t generation, uint64_t lease_ms);

#endif

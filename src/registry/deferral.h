/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * deferral.h - what is done when an orchestrator refuses something and says when to come again: the
 * same for all that is asked of it. Who can wait waits, within its own deadline: a blocking call
 * here, an asynchronous operation with the heartbeat thread, a registration in the background with
 * the recovery thread. Any thread.
 */
#ifndef PW_REGISTRY_DEFERRAL_H
#define PW_REGISTRY_DEFERRAL_H

#include <pywatt/status.h>

#include <stdint.h>

struct pywatt_client;

struct pw_deferral {
    uint32_t retry_after_ms; /* what the orchestrator said; 0: it said nothing */
    uint64_t again_ns;       /* when to come again: then, and a little later by chance */
};

/* Somebody was told so just now. Counts it. */
struct pw_deferral pw_deferral_begin(struct pywatt_client *client, uint32_t retry_after_ms);

/*
 * Whether one can wait for so long whose deadline this is: PYWATT_OK, or PYWATT_UNAVAILABLE, with
 * words for it.
 */
enum pywatt_status pw_deferral_fits(const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error);

/*
 * The same, and waits for it. PYWATT_CLOSED as soon as the client is closed. The caller holds no
 * lock.
 */
enum pywatt_status pw_deferral_wait(struct pywatt_client *client,
                                    const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error);

#endif

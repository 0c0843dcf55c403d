/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * deferral.h - what is done when an orchestrator refuses something and says when to come again: the
 * same for all that is asked of it. Who can wait waits, within its own deadline: a blocking call
 * here, an asynchronous operation with the heartbeat thread, a registration in the background with
 * the recovery thread. Any thread.
 *
 * What an orchestrator said counts on the connection on which it said so, and for PW_DEFERRAL_MAX_MS
 * at most. Who is told so again and again pauses by itself, too, and that counts on any connection:
 * an orchestrator that says "at once" each time, or hangs up each time, does not make a busy client.
 */
#ifndef PW_REGISTRY_DEFERRAL_H
#define PW_REGISTRY_DEFERRAL_H

#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

struct pywatt_client;

#define PW_DEFERRAL_MAX_MS 300000

/* Zero at first. */
struct pw_deferral {
    uint32_t retry_after_ms; /* what the orchestrator said; 0: nothing is put off */
    uint32_t in_a_row;       /* how often it said so since something else came of it */
    uint64_t epoch;          /* of the connection that it was said on */
    uint64_t again_ns;       /* when to come again: then, and a little later by chance */
    uint64_t pause_ns;       /* not before that, on whatever connection; never after again_ns */
};

/* Somebody was told so just now, on the connection `epoch`. Counts it. */
void pw_deferral_note(struct pywatt_client *client, struct pw_deferral *deferral,
                      uint32_t retry_after_ms, uint64_t epoch);

/* When to come again, as things stand: it can get earlier, as connections break, but not later. */
uint64_t pw_deferral_until_ns(struct pywatt_client *client, const struct pw_deferral *deferral);

/* Whether that is still to come. */
bool pw_deferral_pending(struct pywatt_client *client, const struct pw_deferral *deferral);

/*
 * Whether one can wait for so long whose deadline this is: PYWATT_OK, or PYWATT_UNAVAILABLE, with
 * words for it.
 */
enum pywatt_status pw_deferral_fits(struct pywatt_client *client,
                                    const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error);

/*
 * The same, and waits for it; but a heartbeat thread, of whatever client, waits for nothing:
 * PYWATT_UNAVAILABLE. PYWATT_CLOSED as soon as the client is closed. The caller holds no lock.
 */
enum pywatt_status pw_deferral_wait(struct pywatt_client *client,
                                    const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error);

#endif

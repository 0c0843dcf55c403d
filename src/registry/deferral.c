/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * deferral.c - when to come again, and waiting for it. Any thread. Who waits does so on the client's
 * condition `closing`, with its lock, which waiting gives up.
 */
#include "registry/deferral.h"

#include "base/error.h"
#include "base/random.h"
#include "registry/client.h"

enum {
    /* Nobody comes later than that by chance, nor by more than a tenth. */
    JITTER_MAX_MS = 50,
    JITTER_PART = 10
};

struct pw_deferral pw_deferral_begin(struct pywatt_client *client, uint32_t retry_after_ms)
{
    const uint64_t wait_ns = retry_after_ms * PW_NS_PER_MS;
    const uint64_t most_ns = JITTER_MAX_MS * PW_NS_PER_MS;
    const uint64_t part_ns = wait_ns / JITTER_PART;
    const uint64_t jitter_ns = pw_random_below(pw_random_next_shared(&client->random),
                                               (part_ns < most_ns ? part_ns : most_ns) + 1);
    pw_count(&client->counters.deferred, 1);
    return (struct pw_deferral){.retry_after_ms = retry_after_ms,
                                .again_ns = pw_clock_now_ns(client->clock) + wait_ns + jitter_ns};
}

enum pywatt_status pw_deferral_fits(const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error)
{
    return deferral->again_ns < deadline_ns
               ? PYWATT_OK
               : pw_error_set(error, PYWATT_UNAVAILABLE,
                              "the orchestrator is busy and asks to wait for %u ms, for which the "
                              "deadline leaves no time",
                              deferral->retry_after_ms);
}

enum pywatt_status pw_deferral_wait(struct pywatt_client *client,
                                    const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error)
{
    const enum pywatt_status status = pw_deferral_fits(deferral, deadline_ns, error);
    if (status != PYWATT_OK) {
        return status;
    }
    bool early = true;
    pw_mutex_lock(&client->lock);
    while (!client->closed && early) {
        early = pw_cond_wait_until(&client->closing, &client->lock, deferral->again_ns);
    }
    const bool closed = client->closed;
    pw_mutex_unlock(&client->lock);
    return closed ? pw_client_is_closed(error) : PYWATT_OK;
}

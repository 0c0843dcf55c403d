/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * deferral.c - when to come again, and waiting for it. Any thread. Who waits does so on the client's
 * condition `moved`, with its lock, which waiting gives up. To see which connection there is takes
 * the channel's lock for a moment, which is after all of the registry's.
 */
#include "registry/deferral.h"

#include "base/error.h"
#include "base/random.h"
#include "registry/client.h"
#include "transport/backoff.h"

enum {
    /* Nobody comes later than that by chance, nor by more than a tenth. */
    JITTER_MAX_MS = 50,
    JITTER_PART = 10,
    /* From the second time in a row on. Our orchestrator keeps a place for 10 s: none is missed. */
    FIRST_PAUSE_MS = 200,
    LONGEST_PAUSE_MS = 5000,
    /* For so long nobody has to see that the connection breaks. */
    UNWATCHED_MS = 1000
};

static uint64_t pause_ns(struct pywatt_client *client, uint32_t in_a_row)
{
    struct pw_backoff backoff = {.policy = PW_BACKOFF_EXPONENTIAL,
                                 .delay_ms = FIRST_PAUSE_MS,
                                 .max_delay_ms = LONGEST_PAUSE_MS,
                                 .attempts = in_a_row,
                                 .random = pw_random_next_shared(&client->random)};
    uint32_t pause_ms = 0;
    (void)pw_backoff_failed(&backoff, &pause_ms);
    return pause_ms * PW_NS_PER_MS;
}

static void say_that_it_is_long(struct pywatt_client *client, uint32_t retry_after_ms,
                                uint64_t now_ns)
{
    uint32_t more;
    if (pw_log_limit_pass(&client->deferral_log_limit, 1, now_ns, &more)) {
        pw_log(PYWATT_LOG_WARNING,
               "the orchestrator asks to wait for %u ms: asking again after %d ms, which is the "
               "longest (%u such lines left out)",
               retry_after_ms, PW_DEFERRAL_MAX_MS, more);
    }
}

void pw_deferral_note(struct pywatt_client *client, struct pw_deferral *deferral,
                      uint32_t retry_after_ms, uint64_t epoch)
{
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    const bool is_long = retry_after_ms > PW_DEFERRAL_MAX_MS;
    const uint64_t wait_ns = (is_long ? PW_DEFERRAL_MAX_MS : retry_after_ms) * PW_NS_PER_MS;
    const uint64_t most_ns = JITTER_MAX_MS * PW_NS_PER_MS;
    const uint64_t part_ns = wait_ns / JITTER_PART;
    const uint64_t jitter_ns = pw_random_below(pw_random_next_shared(&client->random),
                                               (part_ns < most_ns ? part_ns : most_ns) + 1);
    if (is_long) {
        say_that_it_is_long(client, retry_after_ms, now_ns);
    }
    deferral->retry_after_ms = retry_after_ms;
    deferral->epoch = epoch;
    deferral->pause_ns =
        deferral->in_a_row == 0 ? now_ns : now_ns + pause_ns(client, deferral->in_a_row - 1);
    deferral->again_ns = now_ns + wait_ns + jitter_ns;
    if (deferral->again_ns < deferral->pause_ns) {
        deferral->again_ns = deferral->pause_ns;
    }
    deferral->in_a_row += deferral->in_a_row < UINT32_MAX ? 1 : 0;
    pw_count(&client->counters.deferred, 1);
}

uint64_t pw_deferral_until_ns(struct pywatt_client *client, const struct pw_deferral *deferral)
{
    if (deferral->retry_after_ms == 0) {
        return 0;
    }
    return pw_channel_link(client->channel) == deferral->epoch ? deferral->again_ns
                                                               : deferral->pause_ns;
}

bool pw_deferral_pending(struct pywatt_client *client, const struct pw_deferral *deferral)
{
    return deferral->retry_after_ms != 0 &&
           pw_clock_now_ns(client->clock) < pw_deferral_until_ns(client, deferral);
}

static enum pywatt_status is_busy(const struct pw_deferral *deferral, const char *why_not,
                                  struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_UNAVAILABLE,
                        "the orchestrator is busy and asks to wait for %u ms, for which %s",
                        deferral->retry_after_ms, why_not);
}

enum pywatt_status pw_deferral_fits(struct pywatt_client *client,
                                    const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error)
{
    return pw_deferral_until_ns(client, deferral) < deadline_ns
               ? PYWATT_OK
               : is_busy(deferral, "the deadline leaves no time", error);
}

enum pywatt_status pw_deferral_wait(struct pywatt_client *client,
                                    const struct pw_deferral *deferral, uint64_t deadline_ns,
                                    struct pywatt_error *error)
{
    const enum pywatt_status status = pw_deferral_fits(client, deferral, deadline_ns, error);
    if (status != PYWATT_OK) {
        return status;
    }
    const uint64_t now_ns = pw_clock_now_ns(client->clock);
    if (pw_client_on_heartbeat_thread() && now_ns < pw_deferral_until_ns(client, deferral)) {
        return is_busy(deferral, "the heartbeat thread, which runs this callback, has no time",
                       error);
    }
    if (deferral->again_ns > pw_deadline_after_ms(now_ns, UNWATCHED_MS)) {
        /* The heartbeat thread watches the connection; if it cannot be had it is just not watched. */
        (void)pw_client_start_threads(client, NULL);
    }
    bool early = true;
    pw_mutex_lock(&client->lock);
    while (!client->closed && early) {
        early = pw_cond_wait_until(&client->moved, &client->lock,
                                   pw_deferral_until_ns(client, deferral));
    }
    const bool closed = client->closed;
    pw_mutex_unlock(&client->lock);
    return closed ? pw_client_is_closed(error) : PYWATT_OK;
}

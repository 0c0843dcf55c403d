/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * connect.c - how a channel comes to a connection: one thread at a time connects, the others wait
 * for the outcome, each until its own deadline; pauses by the reconnect policy belong to all.
 *
 * Runs in the threads of those who need a connection. `lock` guards what channel_impl.h says, and
 * is not held while connecting.
 *
 * What counts as a failed attempt: no endpoint could be reached; or one could, but the peer ended
 * the connection without a single reply, as a proxy does whose server is gone. What does not: that
 * the one who connected had no more time, while others still have.
 */
#include "rpc/channel_impl.h"

#include "base/error.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* Longest time for one endpoint: a host that swallows packets must not eat the whole deadline. */
#define ENDPOINT_TIMEOUT_MS 10000

/* Bytes that may wait to be sent on a connection. */
#define TX_LIMIT_BYTES ((size_t)1024 * 1024)

void pw_channel_left_locked(struct pw_channel *channel)
{
    if (channel->closed && channel->inside == 0 && channel->correlators == 0) {
        pw_cond_broadcast(&channel->quiet);
    }
}

/* A correlator's very last act: it may be what stop waits for. */
static void correlator_gone(void *user)
{
    struct pw_channel *channel = user;
    pw_mutex_lock(&channel->lock);
    channel->correlators--;
    pw_channel_left_locked(channel);
    pw_mutex_unlock(&channel->lock);
}

static enum pywatt_status make_correlator(struct pw_channel *channel, const char *url,
                                          struct pw_conn *conn, struct pw_correlator **out,
                                          struct pywatt_error *error)
{
    const struct pw_correlator_options options = {
        .url = url,
        .codec = channel->codec,
        .clock = channel->clock,
        .max_frame_bytes = channel->max_frame_bytes,
        .max_in_flight = channel->max_in_flight,
        /* Whoever connects, one thread at a time, counts it up. */
        .epoch = 1 + pw_channel_epoch(channel),
        .tx_limit_bytes = TX_LIMIT_BYTES,
        .counters = &channel->counters,
        .bursts = &channel->bursts,
        .wake_pump = channel->wake_pump,
        .lost = channel->lost,
        .wake_user = channel->user,
        .gone = correlator_gone,
        .gone_user = channel,
    };
    return pw_correlator_new(&options, conn, out, error);
}

/* What the attempt on one endpoint may take, if `left` endpoints are still to be tried. */
static uint64_t share_of(const struct pw_channel *channel, uint64_t deadline_ns, size_t left)
{
    const uint64_t now_ns = pw_clock_now_ns(channel->clock);
    const uint64_t most_ns = pw_deadline_after_ms(now_ns, ENDPOINT_TIMEOUT_MS);
    if (deadline_ns == PW_DEADLINE_NEVER || deadline_ns <= now_ns) {
        return deadline_ns < most_ns ? deadline_ns : most_ns;
    }
    const uint64_t fair_ns = now_ns + (deadline_ns - now_ns) / left;
    return fair_ns < most_ns ? fair_ns : most_ns;
}

/* Collects why each endpoint failed: "reason; reason". */
static void add_reason(struct pywatt_error *all, const struct pywatt_error *one)
{
    if (all->text[0] == '\0') {
        *all = *one;
    } else {
        pw_error_set(all, one->status, "%s; %s", all->text, one->text);
    }
}

struct attempt {
    struct pw_correlator *correlator;
    size_t endpoint;
};

static enum pywatt_status try_endpoint(struct pw_channel *channel, size_t index,
                                       uint64_t deadline_ns, struct attempt *attempt,
                                       struct pywatt_error *error)
{
    const struct pw_endpoint *endpoint = &channel->endpoints[index];
    struct pw_conn *conn = NULL;
    enum pywatt_status status =
        pw_transport_connect(endpoint, deadline_ns, channel->cancel_fd, &conn, error);
    if (status == PYWATT_OK) {
        status = make_correlator(channel, endpoint->url, conn, &attempt->correlator, error);
        attempt->endpoint = index;
    }
    if (status == PYWATT_IO) {
        pw_error_prefix(error, "%s", endpoint->url);
        return PYWATT_CONNECTION;
    }
    return status;
}

/* Tries every endpoint in turn. Without the lock. */
static enum pywatt_status try_all(struct pw_channel *channel, size_t first, uint64_t deadline_ns,
                                  struct attempt *attempt, struct pywatt_error *error)
{
    error->text[0] = '\0';
    enum pywatt_status status = PYWATT_CONNECTION;
    for (size_t i = 0; i < channel->endpoint_count; i++) {
        struct pywatt_error reason;
        status = try_endpoint(channel, (first + i) % channel->endpoint_count,
                              share_of(channel, deadline_ns, channel->endpoint_count - i), attempt,
                              &reason);
        if (status != PYWATT_CONNECTION && status != PYWATT_TIMEOUT) {
            *error = status == PYWATT_OK ? *error : reason;
            return status;
        }
        atomic_fetch_add_explicit(&channel->counters.connect_failures, 1, memory_order_relaxed);
        add_reason(error, &reason);
    }
    error->status = PYWATT_CONNECTION;
    return status;
}

/* ---- With the lock ------------------------------------------------------------------------- */

static void note_failure_locked(struct pw_channel *channel, uint64_t when_ns,
                                const struct pywatt_error *error)
{
    channel->failures++;
    channel->failing = true;
    channel->last_error = *error;
    channel->last_error.status = PYWATT_CONNECTION;
    uint32_t pause_ms;
    if (pw_backoff_failed(&channel->backoff, &pause_ms)) {
        channel->retry_at_ns = pw_deadline_after_ms(when_ns, pause_ms);
    } else {
        channel->gave_up_at = channel->failures;
        channel->retry_at_ns = 0;
        pw_backoff_reset(&channel->backoff);
    }
    pw_cond_broadcast(&channel->changed);
}

/* Puts a broken connection away. Releases the lock meanwhile. */
static void bury_current_locked(struct pw_channel *channel)
{
    struct pw_correlator *dead = channel->current;
    channel->current = NULL;
    if (pw_correlator_barren(dead) || pw_correlator_hung(dead)) {
        channel->endpoint = (channel->endpoint + 1) % channel->endpoint_count;
    }
    if (pw_correlator_barren(dead)) {
        note_failure_locked(channel, pw_correlator_failed_at_ns(dead), pw_correlator_error(dead));
    } else {
        pw_backoff_reset(&channel->backoff);
    }
    pw_mutex_unlock(&channel->lock);
    pw_correlator_release(dead);
    pw_mutex_lock(&channel->lock);
}

/* Releases the lock if the channel was closed meanwhile. */
static void take_in_locked(struct pw_channel *channel, const struct attempt *attempt)
{
    channel->correlators++;
    if (channel->closed) {
        pw_mutex_unlock(&channel->lock);
        pw_correlator_release(attempt->correlator);
        pw_mutex_lock(&channel->lock);
        return;
    }
    channel->current = attempt->correlator;
    channel->endpoint = attempt->endpoint;
    channel->retry_at_ns = 0;
    channel->failing = false;
    atomic_fetch_add_explicit(&channel->counters.connects, 1, memory_order_relaxed);
}

/*
 * One attempt by this thread. PYWATT_OK if that settled something, so that the caller should look
 * again; else its own failure, which is nobody else's.
 */
static enum pywatt_status attempt_locked(struct pw_channel *channel, uint64_t deadline_ns,
                                         struct pywatt_error *error)
{
    struct attempt attempt = {.correlator = NULL};
    struct pywatt_error reason;
    const size_t first = channel->endpoint;
    channel->connecting = true;
    pw_mutex_unlock(&channel->lock);
    enum pywatt_status status = try_all(channel, first, deadline_ns, &attempt, &reason);
    const uint64_t now_ns = pw_clock_now_ns(channel->clock);
    if (status == PYWATT_OK) {
        pw_log(PYWATT_LOG_INFO, "connected to %s", channel->endpoints[attempt.endpoint].url);
    } else {
        pw_log(status == PYWATT_CLOSED ? PYWATT_LOG_DEBUG : PYWATT_LOG_WARNING,
               "cannot connect: %s", reason.text);
    }
    pw_mutex_lock(&channel->lock);
    channel->connecting = false;
    pw_cond_broadcast(&channel->changed);
    if (status == PYWATT_OK) {
        take_in_locked(channel, &attempt);
        return PYWATT_OK;
    }
    if (status == PYWATT_CONNECTION || (status == PYWATT_TIMEOUT && now_ns < deadline_ns)) {
        note_failure_locked(channel, now_ns, &reason);
        return PYWATT_OK;
    }
    if (status == PYWATT_TIMEOUT) {
        status = PYWATT_CONNECTION;
    }
    return pw_error_set(error, status, "%s", reason.text);
}

static enum pywatt_status out_of_time_locked(const struct pw_channel *channel,
                                             const struct pw_patience *patience,
                                             struct pywatt_error *error)
{
    if (channel->failures > patience->failures) {
        return pw_error_set(error, PYWATT_CONNECTION, "%s", channel->last_error.text);
    }
    if (channel->failing) {
        return pw_error_set(error, PYWATT_CONNECTION, "no connection before the deadline: %s",
                            channel->last_error.text);
    }
    return pw_error_set(error, PYWATT_CONNECTION, "%s: no connection before the deadline",
                        channel->endpoints[channel->endpoint].url);
}

static enum pywatt_status closed_error(struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_CLOSED, "%s", pywatt_status_text(PYWATT_CLOSED));
}

/* Waits for what others do, or for the end of a pause. */
static void wait_locked(struct pw_channel *channel, uint64_t deadline_ns)
{
    uint64_t until_ns = deadline_ns;
    if (!channel->connecting && channel->retry_at_ns < until_ns) {
        until_ns = channel->retry_at_ns;
    }
    pw_cond_wait_until(&channel->changed, &channel->lock, until_ns);
}

static enum pywatt_status obtain_locked(struct pw_channel *channel, uint64_t deadline_ns,
                                        struct pw_patience *patience, struct pw_correlator **out,
                                        struct pywatt_error *error)
{
    for (;;) {
        if (channel->closed) {
            return closed_error(error);
        }
        if (channel->current != NULL && !pw_correlator_failed(channel->current)) {
            *out = channel->current;
            pw_correlator_retain(*out);
            return PYWATT_OK;
        }
        if (channel->current != NULL) {
            bury_current_locked(channel);
            continue;
        }
        const uint64_t now_ns = pw_clock_now_ns(channel->clock);
        if (!patience->began) {
            patience->began = true;
            patience->failures = channel->failures;
            if (now_ns >= deadline_ns) {
                return pw_error_set(error, PYWATT_TIMEOUT, "the deadline had passed already");
            }
        }
        if (channel->gave_up_at > patience->failures) {
            return pw_error_set(error, PYWATT_CONNECTION, "%s", channel->last_error.text);
        }
        if (now_ns >= deadline_ns) {
            return out_of_time_locked(channel, patience, error);
        }
        if (channel->connecting || now_ns < channel->retry_at_ns) {
            wait_locked(channel, deadline_ns);
            continue;
        }
        const enum pywatt_status status = attempt_locked(channel, deadline_ns, error);
        if (status != PYWATT_OK) {
            return status;
        }
    }
}

enum pywatt_status pw_channel_obtain(struct pw_channel *channel, uint64_t deadline_ns,
                                     struct pw_patience *patience, struct pw_correlator **out,
                                     struct pywatt_error *error)
{
    pw_mutex_lock(&channel->lock);
    channel->inside++;
    const enum pywatt_status status = obtain_locked(channel, deadline_ns, patience, out, error);
    channel->inside--;
    pw_channel_left_locked(channel);
    pw_mutex_unlock(&channel->lock);
    return status;
}

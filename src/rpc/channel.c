/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * channel.c - a channel's life, and requests passed on to the connection that there is.
 *
 * Any thread. `lock` guards what channel_impl.h says; it is never held while a correlator is used.
 * A thread that has a reference on a correlator touches nothing of the channel after giving it
 * back, as the channel may then be gone.
 */
#include "rpc/channel_impl.h"

#include "base/error.h"
#include "base/tool_hints.h"
#include "base/wake.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void set_options(struct pw_channel *channel, const struct pw_channel_options *options)
{
    channel->endpoint_count = options->endpoint_count;
    channel->codec = options->codec;
    channel->clock = options->clock;
    channel->backoff = options->backoff;
    channel->max_frame_bytes = options->max_frame_bytes;
    channel->max_in_flight = options->max_in_flight;
    channel->wake_pump = options->wake_pump;
    channel->lost = options->lost;
    channel->user = options->user;
    PW_HINT_ATOMIC(channel->counters);
    PW_HINT_ATOMIC(channel->bursts);
}

static enum pywatt_status copy_endpoints(struct pw_channel *channel,
                                         const struct pw_endpoint *endpoints, size_t count)
{
    channel->endpoints = calloc(count, sizeof(*endpoints));
    if (channel->endpoints == NULL) {
        return PYWATT_NO_MEMORY;
    }
    memcpy(channel->endpoints, endpoints, count * sizeof(*endpoints));
    return PYWATT_OK;
}

static enum pywatt_status init_locks(struct pw_channel *channel)
{
    if (pw_mutex_init(&channel->lock) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&channel->quiet) != PYWATT_OK) {
        pw_mutex_destroy(&channel->lock);
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&channel->changed) != PYWATT_OK) {
        pw_cond_destroy(&channel->quiet);
        pw_mutex_destroy(&channel->lock);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

enum pywatt_status pw_channel_new(const struct pw_channel_options *options, struct pw_channel **out,
                                  struct pywatt_error *error)
{
    assert(options->endpoint_count > 0 && options->max_in_flight > 0);
    struct pw_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        return pw_error_no_memory(error);
    }
    set_options(channel, options);
    channel->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (channel->cancel_fd < 0) {
        pw_error_set(error, PYWATT_IO, "no descriptor for a channel: %s", strerrordesc_np(errno));
        free(channel);
        return PYWATT_IO;
    }
    if (copy_endpoints(channel, options->endpoints, options->endpoint_count) != PYWATT_OK ||
        init_locks(channel) != PYWATT_OK) {
        close(channel->cancel_fd);
        free(channel->endpoints);
        free(channel);
        return pw_error_no_memory(error);
    }
    *out = channel;
    return PYWATT_OK;
}

void pw_channel_close(struct pw_channel *channel)
{
    pw_mutex_lock(&channel->lock);
    struct pw_correlator *current = channel->current;
    channel->closed = true;
    channel->current = NULL;
    channel->inside++;
    pw_cond_broadcast(&channel->changed);
    pw_mutex_unlock(&channel->lock);

    pw_wake(channel->cancel_fd);
    if (current != NULL) {
        pw_correlator_fail(current, PYWATT_CLOSED, "the connection was closed by its owner");
        pw_correlator_release(current);
    }

    pw_mutex_lock(&channel->lock);
    channel->inside--;
    pw_channel_left_locked(channel);
    pw_mutex_unlock(&channel->lock);
}

void pw_channel_stop(struct pw_channel *channel)
{
    pw_channel_close(channel);
    pw_mutex_lock(&channel->lock);
    while (channel->inside > 0 || channel->correlators > 0) {
        pw_cond_wait(&channel->quiet, &channel->lock);
    }
    pw_mutex_unlock(&channel->lock);
}

void pw_channel_free(struct pw_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    pw_channel_stop(channel);
    pw_cond_destroy(&channel->changed);
    pw_cond_destroy(&channel->quiet);
    pw_mutex_destroy(&channel->lock);
    close(channel->cancel_fd);
    free(channel->endpoints);
    free(channel);
}

/* ---- Requests ------------------------------------------------------------------------------ */

enum pywatt_status pw_channel_call(struct pw_channel *channel, struct pw_request *request,
                                   uint64_t deadline_ns, struct pw_arena *arena,
                                   struct pw_response *response, uint64_t *epoch,
                                   struct pywatt_error *error)
{
    struct pw_patience patience = {.began = false};
    struct pw_correlator *used = NULL;
    struct pywatt_error problem;
    enum pywatt_status status;
    bool again = true;
    do {
        struct pw_correlator *next = NULL;
        status = pw_channel_obtain(channel, deadline_ns, &patience, &next, &problem);
        if (used != NULL) {
            pw_correlator_release(used); /* only now: it kept this thread inside */
        }
        used = next;
        if (status == PYWATT_OK) {
            status =
                pw_correlator_call(used, request, deadline_ns, arena, response, &again, &problem);
        }
    } while (used != NULL && status != PYWATT_OK && again);
    if (used != NULL) {
        if (epoch != NULL) {
            *epoch = pw_correlator_epoch(used);
        }
        pw_correlator_release(used);
    }
    if (status != PYWATT_OK && error != NULL) {
        *error = problem;
    }
    return status;
}

enum pywatt_status pw_channel_connect(struct pw_channel *channel, uint64_t deadline_ns,
                                      struct pywatt_error *error)
{
    struct pw_patience patience = {.began = false};
    struct pw_correlator *correlator;
    struct pywatt_error problem;
    const enum pywatt_status status =
        pw_channel_obtain(channel, deadline_ns, &patience, &correlator, &problem);
    if (status == PYWATT_OK) {
        pw_correlator_release(correlator);
    } else if (error != NULL) {
        *error = problem;
    }
    return status;
}

/* The connection that there is, with a reference, broken or not; or NULL. */
static struct pw_correlator *current_of(struct pw_channel *channel, bool *closed)
{
    pw_mutex_lock(&channel->lock);
    struct pw_correlator *current = channel->current;
    if (current != NULL) {
        pw_correlator_retain(current);
    }
    if (closed != NULL) {
        *closed = channel->closed;
    }
    pw_mutex_unlock(&channel->lock);
    return current;
}

bool pw_channel_connected(struct pw_channel *channel)
{
    pw_mutex_lock(&channel->lock);
    const bool connected = channel->current != NULL && !pw_correlator_failed(channel->current);
    pw_mutex_unlock(&channel->lock);
    return connected;
}

uint64_t pw_channel_link(struct pw_channel *channel)
{
    pw_mutex_lock(&channel->lock);
    const bool connected = channel->current != NULL && !pw_correlator_failed(channel->current);
    const uint64_t link = connected ? pw_correlator_epoch(channel->current) : 0;
    pw_mutex_unlock(&channel->lock);
    return link;
}

unsigned pw_channel_features(struct pw_channel *channel)
{
    pw_mutex_lock(&channel->lock);
    const bool connected = channel->current != NULL && !pw_correlator_failed(channel->current);
    const unsigned features = connected ? pw_correlator_features(channel->current) : 0;
    pw_mutex_unlock(&channel->lock);
    return features;
}

uint64_t pw_channel_epoch(struct pw_channel *channel)
{
    return atomic_load_explicit(&channel->counters.connects, memory_order_relaxed);
}

enum pywatt_status pw_channel_post(struct pw_channel *channel, struct pw_request *request,
                                   uint64_t deadline_ns, struct pw_post *post,
                                   struct pywatt_error *error)
{
    bool closed;
    struct pw_correlator *current = current_of(channel, &closed);
    if (current == NULL) {
        return closed ? pw_error_set(error, PYWATT_CLOSED, "%s", pywatt_status_text(PYWATT_CLOSED))
                      : pw_error_set(error, PYWATT_CONNECTION, "there is no connection");
    }
    const enum pywatt_status status =
        pw_correlator_post(current, request, deadline_ns, post, error);
    pw_correlator_release(current);
    return status;
}

void pw_channel_flush(struct pw_channel *channel)
{
    struct pw_correlator *current = current_of(channel, NULL);
    if (current != NULL) {
        pw_correlator_flush(current);
        pw_correlator_release(current);
    }
}

/* ---- Bursts -------------------------------------------------------------------------------- */

static void leave_connection(struct pw_burst *burst)
{
    if (burst->correlator != NULL) {
        pw_correlator_burst_ended(burst->correlator);
        pw_correlator_release(burst->correlator);
        burst->correlator = NULL;
    }
}

static void enter_connection(struct pw_burst *burst)
{
    burst->correlator = current_of(burst->channel, NULL);
    if (burst->correlator != NULL) {
        pw_correlator_burst_begun(burst->correlator);
    }
}

void pw_burst_begin(struct pw_burst *burst, struct pw_channel *channel)
{
    burst->channel = channel;
    atomic_fetch_add(&channel->bursts, 1);
    enter_connection(burst);
}

void pw_burst_renew(struct pw_burst *burst)
{
    struct pw_correlator *now = current_of(burst->channel, NULL);
    const bool same = now == burst->correlator;
    if (now != NULL) {
        pw_correlator_release(now);
    }
    if (!same) {
        leave_connection(burst);
        enter_connection(burst);
    }
}

enum pywatt_status pw_burst_post(struct pw_burst *burst, struct pw_request *request,
                                 uint64_t deadline_ns, struct pw_post *post,
                                 struct pywatt_error *error)
{
    return burst->correlator == NULL
               ? pw_error_set(error, PYWATT_CONNECTION, "there is no connection")
               : pw_correlator_post(burst->correlator, request, deadline_ns, post, error);
}

void pw_burst_flush(struct pw_burst *burst)
{
    if (burst->correlator != NULL) {
        pw_correlator_flush(burst->correlator);
    }
}

bool pw_burst_read(struct pw_burst *burst, uint64_t deadline_ns)
{
    return burst->correlator != NULL && pw_correlator_burst_read(burst->correlator, deadline_ns);
}

void pw_burst_end(struct pw_burst *burst)
{
    atomic_fetch_sub(&burst->channel->bursts, 1);
    leave_connection(burst);
}

/* ---- The pump ------------------------------------------------------------------------------ */

bool pw_channel_pump_begin(struct pw_channel *channel, struct pollfd *poll_fd)
{
    assert(channel->pumped == NULL);
    struct pw_correlator *current = current_of(channel, NULL);
    if (current == NULL) {
        return false;
    }
    if (!pw_correlator_pump_begin(current, poll_fd)) {
        pw_correlator_release(current);
        return false;
    }
    channel->pumped = current;
    return true;
}

void pw_channel_pump_end(struct pw_channel *channel, short revents)
{
    struct pw_correlator *pumped = channel->pumped;
    channel->pumped = NULL;
    pw_correlator_pump_end(pumped, revents);
    pw_correlator_release(pumped);
}

bool pw_channel_watch_begin(struct pw_channel *channel, struct pollfd *poll_fd)
{
    assert(channel->pumped == NULL);
    struct pw_correlator *current = current_of(channel, NULL);
    if (current == NULL) {
        return false;
    }
    if (!pw_correlator_watch_begin(current, poll_fd)) {
        pw_correlator_release(current);
        return false;
    }
    channel->pumped = current;
    return true;
}

void pw_channel_watch_end(struct pw_channel *channel, bool polled, short revents)
{
    struct pw_correlator *watched = channel->pumped;
    channel->pumped = NULL;
    pw_correlator_watch_end(watched, polled, revents);
    pw_correlator_release(watched);
}

uint64_t pw_channel_pump_deadline(struct pw_channel *channel)
{
    struct pw_correlator *current = current_of(channel, NULL);
    if (current == NULL) {
        return PW_DEADLINE_NEVER;
    }
    const uint64_t deadline_ns = pw_correlator_pump_deadline(current);
    pw_correlator_release(current);
    return deadline_ns;
}

void pw_channel_pump_expire(struct pw_channel *channel)
{
    struct pw_correlator *current = current_of(channel, NULL);
    if (current != NULL) {
        pw_correlator_pump_expire(current);
        pw_correlator_release(current);
    }
}

/* ---- Statistics ---------------------------------------------------------------------------- */

static uint64_t count_of(atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void pw_channel_get_stats(struct pw_channel *channel, struct pw_channel_stats *out)
{
    *out = (struct pw_channel_stats){
        .requests_sent = count_of(&channel->counters.requests_sent),
        .replies_received = count_of(&channel->counters.replies_received),
        .replies_dropped = count_of(&channel->counters.replies_dropped),
        .timeouts = count_of(&channel->counters.timeouts),
        .connects = pw_channel_epoch(channel),
        .connect_failures = count_of(&channel->counters.connect_failures),
    };
    struct pw_correlator *current = current_of(channel, NULL);
    if (current != NULL) {
        struct pw_correlator_info info;
        pw_correlator_get_info(current, &info);
        out->in_flight = info.in_flight;
        out->pipelined = info.pipelined;
        pw_correlator_release(current);
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * site.c - see site.h. One lock guards all sites; those who hang poll an eventfd that every change
 * of mood makes readable.
 */
#include "site.h"

#include "base/error.h"
#include "rpc/channel_impl.h"
#include "transport/memory.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    QUEUE_MAX = 64
};

struct site {
    enum site_mood mood;
    unsigned dials;
    int changed_fd;
    struct pw_conn *queue[QUEUE_MAX];
    unsigned queued;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct site sites[SITES];

static enum site_mood mood_of(struct site *site)
{
    pthread_mutex_lock(&lock);
    const enum site_mood mood = site->mood;
    pthread_mutex_unlock(&lock);
    return mood;
}

/* Waits while the site hangs. */
static enum pywatt_status hang(struct site *site, uint64_t deadline_ns, int cancel_fd)
{
    enum site_mood mood;
    while ((mood = mood_of(site)) == SITE_HANGS || mood == SITE_DEAF) {
        struct pollfd fds[] = {{.fd = mood == SITE_DEAF ? -1 : cancel_fd, .events = POLLIN},
                               {.fd = site->changed_fd, .events = POLLIN}};
        const int left_ms = pw_deadline_poll_ms(pw_clock_now_ns(&pw_clock_monotonic), deadline_ns);
        if (poll(fds, 2, left_ms) == 0) {
            return PYWATT_TIMEOUT;
        }
        if (fds[0].revents != 0) {
            return PYWATT_CLOSED;
        }
    }
    return PYWATT_OK;
}

static enum pywatt_status dial(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                               int cancel_fd, struct pw_conn **out, struct pywatt_error *error)
{
    struct site *site = &sites[endpoint->port];
    pthread_mutex_lock(&lock);
    site->dials++;
    pthread_mutex_unlock(&lock);
    enum pywatt_status status = hang(site, deadline_ns, cancel_fd);
    if (status != PYWATT_OK) {
        return pw_error_set(error, status, "%s: no answer", endpoint->url);
    }
    if (mood_of(site) == SITE_DOWN) {
        return pw_error_set(error, PYWATT_CONNECTION, "%s: refused", endpoint->url);
    }
    struct pw_conn *theirs;
    status = pw_memory_pair(out, &theirs, error);
    if (status != PYWATT_OK) {
        return status;
    }
    pthread_mutex_lock(&lock);
    if (site->mood == SITE_SLAMS || site->queued == QUEUE_MAX) {
        pw_conn_destroy(theirs);
    } else {
        site->queue[site->queued++] = theirs;
    }
    pthread_mutex_unlock(&lock);
    return PYWATT_OK;
}

static const struct pw_transport_ops site_transport = {
    .scheme = "site",
    .connect = dial,
};

void sites_init(void)
{
    for (unsigned i = 0; i < SITES; i++) {
        sites[i] = (struct site){.mood = SITE_DOWN, .changed_fd = eventfd(0, EFD_CLOEXEC)};
        assert_true(sites[i].changed_fd >= 0);
    }
}

void sites_end(void)
{
    for (unsigned i = 0; i < SITES; i++) {
        assert_int_equal(sites[i].queued, 0);
        close(sites[i].changed_fd);
    }
}

struct pw_endpoint site_endpoint(unsigned site)
{
    struct pw_endpoint endpoint = {.transport = &site_transport, .port = (uint16_t)site};
    snprintf(endpoint.url, sizeof(endpoint.url), "site:%u", site);
    return endpoint;
}

void site_set(unsigned site, enum site_mood mood)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&lock);
    sites[site].mood = mood;
    pthread_mutex_unlock(&lock);
    if (mood != SITE_HANGS && mood != SITE_DEAF) {
        assert_int_equal(write(sites[site].changed_fd, &one, sizeof(one)), sizeof(one));
    }
}

unsigned site_dials(unsigned site)
{
    pthread_mutex_lock(&lock);
    const unsigned dials = sites[site].dials;
    pthread_mutex_unlock(&lock);
    return dials;
}

struct expectation {
    unsigned site;
    unsigned count;
    struct peer *peer;
};

static bool was_dialled(void *user)
{
    const struct expectation *expected = user;
    return site_dials(expected->site) >= expected->count;
}

bool site_wait_dials(unsigned site, unsigned count)
{
    struct expectation expected = {.site = site, .count = count};
    return pw_test_wait_until(was_dialled, &expected, 10000);
}

bool site_try_accept(unsigned site, struct peer *peer)
{
    struct pw_conn *conn = NULL;
    pthread_mutex_lock(&lock);
    struct site *from = &sites[site];
    if (from->queued > 0) {
        conn = from->queue[0];
        from->queued--;
        memmove(&from->queue[0], &from->queue[1], from->queued * sizeof(from->queue[0]));
    }
    pthread_mutex_unlock(&lock);
    if (conn != NULL) {
        peer_init(peer, conn);
    }
    return conn != NULL;
}

static bool accepts(void *user)
{
    const struct expectation *expected = user;
    return site_try_accept(expected->site, expected->peer);
}

bool site_accept(unsigned site, struct peer *peer)
{
    struct expectation expected = {.site = site, .peer = peer};
    return pw_test_wait_until(accepts, &expected, 10000);
}

/* ---- A channel to them ---------------------------------------------------------------------- */

struct pw_channel_options site_options(struct pw_endpoint endpoints[SITES], size_t count)
{
    for (unsigned i = 0; i < SITES; i++) {
        endpoints[i] = site_endpoint(i);
    }
    struct pw_channel_options options = {
        .endpoints = endpoints,
        .endpoint_count = count,
        .codec = pw_codec_by_name("json"),
        .clock = &pw_clock_monotonic,
        .max_frame_bytes = 1024 * 1024,
        .max_in_flight = 1024,
    };
    pw_backoff_init(&options.backoff, PW_BACKOFF_NONE, 0, 0, 0, 1);
    return options;
}

struct pw_backoff fixed_pauses(uint32_t delay_ms, uint32_t max_attempts)
{
    struct pw_backoff backoff;
    pw_backoff_init(&backoff, PW_BACKOFF_FIXED, delay_ms, delay_ms, max_attempts, 1);
    return backoff;
}

struct pw_channel *site_channel(const struct pw_channel_options *options)
{
    struct pw_channel *channel;
    struct pywatt_error error;
    if (pw_channel_new(options, &channel, &error) != PYWATT_OK) {
        fail_msg("no channel: %s", error.text);
    }
    return channel;
}

static bool has_inside(struct pw_channel *channel, size_t count)
{
    pw_mutex_lock(&channel->lock);
    const bool has = channel->inside == count;
    pw_mutex_unlock(&channel->lock);
    return has;
}

struct inside {
    struct pw_channel *channel;
    size_t count;
};

static bool is_inside(void *user)
{
    const struct inside *expected = user;
    return has_inside(expected->channel, expected->count);
}

bool site_wait_inside(struct pw_channel *channel, size_t count)
{
    struct inside expected = {channel, count};
    return pw_test_wait_until(is_inside, &expected, PEER_PATIENCE_MS);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Closing a channel: what it cuts short, whom it fails, for whom stop waits.
 */
#include "site.h"

#include <pywatt/log.h>

#include <poll.h>
#include <string.h>

enum {
    LONG_MS = 10000,
    SOON_MS = LONG_MS / 4
};

static void call_and_answer(struct pw_channel *channel, struct peer *peer, bool accept)
{
    struct caller caller;
    caller_init_on(&caller, channel, 77, LONG_MS);
    caller_start(&caller);
    assert_true(!accept || site_accept(0, peer));
    peer_answer(peer, 1);
    caller_join(&caller);
    assert_own_reply(&caller);
}

static struct pw_channel *start(struct pw_endpoint endpoints[SITES])
{
    sites_init();
    site_set(0, SITE_UP);
    const struct pw_channel_options options = site_options(endpoints, 1);
    return site_channel(&options);
}

static void count_warning(void *user, enum pywatt_log_level level, const char *line)
{
    (void)level;
    (void)line;
    atomic_fetch_add((atomic_uint *)user, 1);
}

static void closing_cuts_connecting_short(void **state)
{
    (void)state;
    atomic_uint warnings = 0;
    pywatt_set_log_sink(count_warning, &warnings, PYWATT_LOG_WARNING);
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_HANGS);
    const struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_channel *channel = site_channel(&options);
    struct caller callers[4];
    for (uint32_t i = 0; i < 4; i++) {
        caller_init_on(&callers[i], channel, i, LONG_MS);
        caller_start(&callers[i]);
    }
    assert_true(site_wait_inside(channel, 4));
    const int64_t closed_ns = pw_test_now_ns();
    pw_channel_close(channel);
    for (uint32_t i = 0; i < 4; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, PYWATT_CLOSED);
        assert_int_equal(callers[i].error.status, PYWATT_CLOSED);
        assert_true(caller_ended_after_ms(&callers[i], closed_ns) < SOON_MS);
    }
    assert_int_equal(pw_channel_connect(channel, PW_DEADLINE_NEVER, NULL), PYWATT_CLOSED);
    pw_channel_free(channel);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    assert_int_equal(atomic_load(&warnings), 0); /* it is what was asked for */
    sites_end();
}

static void closing_cuts_a_pause_short(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    struct pw_channel_options options = site_options(endpoints, 1);
    options.backoff = fixed_pauses(60000, 0);
    struct pw_channel *channel = site_channel(&options);
    struct caller caller;
    caller_init_on(&caller, channel, 1, LONG_MS);
    caller_start(&caller);
    assert_true(site_wait_dials(0, 1));
    const int64_t closed_ns = pw_test_now_ns();
    pw_channel_close(channel);
    caller_join(&caller);
    assert_int_equal(caller.status, PYWATT_CLOSED);
    assert_true(caller_ended_after_ms(&caller, closed_ns) < SOON_MS);
    pw_channel_free(channel);
    sites_end();
}

/* A connection that is made after the close is not kept. */
static void a_connection_that_comes_after_the_close_is_not_kept(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    const size_t fds = pw_test_open_fds();
    site_set(0, SITE_DEAF);
    const struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_channel *channel = site_channel(&options);
    struct caller caller;
    struct peer peer;
    caller_init_on(&caller, channel, 1, LONG_MS);
    caller_start(&caller);
    assert_true(site_wait_dials(0, 1));
    pw_channel_close(channel);
    assert_false(atomic_load(&caller.finished));
    site_set(0, SITE_UP);
    caller_join(&caller);
    assert_int_equal(caller.status, PYWATT_CLOSED);
    assert_true(site_accept(0, &peer));
    assert_false(pw_channel_connected(channel));
    pw_channel_free(channel);
    peer_end(&peer);
    assert_int_equal(pw_test_open_fds(), fds);
    sites_end();
}

static void closing_while_a_connection_comes_leaves_nothing_behind(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct pw_endpoint endpoints[SITES];
        sites_init();
        const size_t fds = pw_test_open_fds();
        site_set(0, SITE_HANGS);
        const struct pw_channel_options options = site_options(endpoints, 1);
        struct pw_channel *channel = site_channel(&options);
        struct caller caller;
        caller_init_on(&caller, channel, 1, LONG_MS);
        caller_start(&caller);
        assert_true(site_wait_dials(0, 1));
        site_set(0, SITE_UP);
        pw_channel_free(channel);
        caller_join(&caller);
        assert_int_equal(caller.status, PYWATT_CLOSED);
        struct peer peer;
        if (site_try_accept(0, &peer)) {
            peer_end(&peer);
        }
        assert_int_equal(pw_test_open_fds(), fds);
        sites_end();
    }
}

static void closing_fails_all_who_are_under_way(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct pw_channel *channel = start(endpoints);
    struct peer peer;
    struct taken taken;
    struct caller callers[8];
    call_and_answer(channel, &peer, true);
    for (uint32_t i = 0; i < 8; i++) {
        caller_init_on(&callers[i], channel, i, LONG_MS);
        caller_start(&callers[i]);
        assert_true(peer_take(&peer, &taken));
    }
    const int64_t closed_ns = pw_test_now_ns();
    pw_channel_stop(channel);
    for (uint32_t i = 0; i < 8; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, PYWATT_CLOSED);
        assert_true(caller_ended_after_ms(&callers[i], closed_ns) < SOON_MS);
    }
    caller_init_on(&callers[0], channel, 1, LONG_MS);
    caller_run(&callers[0]);
    assert_int_equal(callers[0].status, PYWATT_CLOSED);
    pw_channel_free(channel);
    pw_channel_free(NULL);
    peer_end(&peer);
    sites_end();
}

struct stopper {
    struct pw_channel *channel;
    pthread_t thread;
    atomic_bool stopped;
};

static void *stop_main(void *user)
{
    struct stopper *stopper = user;
    pw_channel_stop(stopper->channel);
    atomic_store(&stopper->stopped, true);
    return NULL;
}

/* The pump between its two functions is inside. */
static void stop_waits_for_the_pump(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct stopper stopper = {.channel = start(endpoints)};
    struct peer peer;
    struct posted posted;
    struct pollfd fd;
    call_and_answer(stopper.channel, &peer, true);
    assert_int_equal(posted_post_on(&posted, stopper.channel, 1, LONG_MS), PYWATT_OK);
    assert_true(pw_channel_pump_begin(stopper.channel, &fd));
    assert_int_equal(pthread_create(&stopper.thread, NULL, stop_main, &stopper), 0);
    assert_int_equal(poll(&fd, 1, LONG_MS), 1);
    pause_ms(20);
    assert_false(atomic_load(&stopper.stopped));
    pw_channel_pump_end(stopper.channel, fd.revents);
    assert_int_equal(pthread_join(stopper.thread, NULL), 0);
    assert_int_equal(posted.status, PYWATT_CLOSED);
    pw_channel_free(stopper.channel);
    peer_end(&peer);
    sites_end();
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(closing_cuts_connecting_short),
        cmocka_unit_test(closing_cuts_a_pause_short),
        cmocka_unit_test(a_connection_that_comes_after_the_close_is_not_kept),
        cmocka_unit_test(closing_while_a_connection_comes_leaves_nothing_behind),
        cmocka_unit_test(closing_fails_all_who_are_under_way),
        cmocka_unit_test(stop_waits_for_the_pump),
    };
    return PW_TEST_RUN(cases);
}

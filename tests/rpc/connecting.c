/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How a channel comes to a connection: who connects, who waits, what the policies do, and what
 * closing cuts short.
 */
#include "site.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LONG_MS = 5000,
    SHORT_MS = 60,
    SOON_MS = 100
};

static void a_call_connects_when_there_is_no_connection(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_UP);
    const size_t fds = pw_test_open_fds();
    const struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_channel *channel = site_channel(&options);
    assert_false(pw_channel_connected(channel));
    assert_int_equal(pw_channel_epoch(channel), 0);
    assert_int_equal(site_dials(0), 0);

    struct caller caller;
    struct peer peer;
    for (uint32_t i = 0; i < 3; i++) {
        caller_init_on(&caller, channel, i, LONG_MS);
        caller_start(&caller);
        assert_true(i > 0 || site_accept(0, &peer));
        peer_answer(&peer, 1);
        caller_join(&caller);
        assert_own_reply(&caller);
    }
    assert_true(pw_channel_connected(channel));
    assert_int_equal(pw_channel_epoch(channel), 1);
    assert_int_equal(site_dials(0), 1);
    struct pw_channel_stats stats;
    pw_channel_get_stats(channel, &stats);
    assert_int_equal(stats.requests_sent, 3);
    assert_int_equal(stats.replies_received, 3);
    assert_int_equal(stats.connects, 1);
    assert_int_equal(stats.connect_failures, 0);
    assert_int_equal(stats.in_flight, 0);
    assert_true(stats.pipelined);
    pw_channel_free(channel);
    peer_end(&peer);
    assert_int_equal(pw_test_open_fds(), fds);
    sites_end();
}

static void one_thread_connects_for_all(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_HANGS);
    const struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_channel *channel = site_channel(&options);
    struct caller callers[16];
    for (uint32_t i = 0; i < 16; i++) {
        caller_init_on(&callers[i], channel, i, LONG_MS);
        caller_start(&callers[i]);
    }
    assert_true(site_wait_inside(channel, 16));
    site_set(0, SITE_UP);
    struct peer peer;
    assert_true(site_accept(0, &peer));
    peer_answer(&peer, 16);
    for (uint32_t i = 0; i < 16; i++) {
        caller_join(&callers[i]);
        assert_own_reply(&callers[i]);
    }
    assert_int_equal(site_dials(0), 1);
    pw_channel_free(channel);
    peer_end(&peer);
    sites_end();
}

static void without_a_policy_one_failed_attempt_fails_all_who_wait(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_HANGS);
    const struct pw_channel_options options = site_options(endpoints, 2);
    struct pw_channel *channel = site_channel(&options);
    struct caller callers[8];
    for (uint32_t i = 0; i < 8; i++) {
        caller_init_on(&callers[i], channel, i, LONG_MS);
        caller_start(&callers[i]);
    }
    assert_true(site_wait_inside(channel, 8));
    site_set(0, SITE_DOWN);
    for (uint32_t i = 0; i < 8; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, PYWATT_CONNECTION);
        assert_string_equal(callers[i].error.text, "site:0: refused; site:1: refused");
    }
    assert_int_equal(site_dials(0), 1);
    assert_int_equal(site_dials(1), 1);

    /* A later call makes an attempt of its own. */
    caller_init_on(&callers[0], channel, 0, LONG_MS);
    caller_run(&callers[0]);
    assert_int_equal(callers[0].status, PYWATT_CONNECTION);
    assert_int_equal(site_dials(0), 2);
    struct pw_channel_stats stats;
    pw_channel_get_stats(channel, &stats);
    assert_int_equal(stats.connect_failures, 4);
    assert_int_equal(stats.connects, 0);
    pw_channel_free(channel);
    sites_end();
}

static void fixed_pauses_lie_between_attempts_until_one_succeeds(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    struct pw_channel_options options = site_options(endpoints, 1);
    options.backoff = fixed_pauses(20, 0);
    struct pw_channel *channel = site_channel(&options);
    struct caller callers[4];
    for (uint32_t i = 0; i < 4; i++) {
        caller_init_on(&callers[i], channel, i, LONG_MS);
        caller_start(&callers[i]);
    }
    assert_true(site_wait_dials(0, 4));
    site_set(0, SITE_UP);
    struct peer peer;
    assert_true(site_accept(0, &peer));
    peer_answer(&peer, 4);
    for (uint32_t i = 0; i < 4; i++) {
        caller_join(&callers[i]);
        assert_own_reply(&callers[i]);
        /* Three pauses at least, whoever made the attempts. */
        assert_true(callers[i].ended_ns - callers[0].began_ns >= 60 * 1000000);
    }
    pw_channel_free(channel);
    peer_end(&peer);
    sites_end();
}

static void attempts_end_when_the_policy_has_had_enough(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    struct pw_channel_options options = site_options(endpoints, 1);
    options.backoff = fixed_pauses(1, 3);
    struct pw_channel *channel = site_channel(&options);
    struct caller caller;
    for (unsigned round = 1; round <= 2; round++) {
        caller_init_on(&caller, channel, 1, LONG_MS);
        caller_run(&caller);
        assert_int_equal(caller.status, PYWATT_CONNECTION);
        assert_string_equal(caller.error.text, "site:0: refused");
        assert_int_equal(site_dials(0), 3 * round);
    }
    pw_channel_free(channel);
    sites_end();
}

static void the_deadline_ends_attempts_too(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    struct pw_channel_options options = site_options(endpoints, 1);
    options.backoff = fixed_pauses(10000, 0);
    struct pw_channel *channel = site_channel(&options);
    struct caller caller;
    caller_init_on(&caller, channel, 1, SHORT_MS);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_CONNECTION);
    assert_string_equal(caller.error.text, "site:0: refused");
    assert_true((uint64_t)caller.ended_ns >= caller.deadline_ns);
    assert_true(caller_took_ms(&caller) < LONG_MS);
    assert_int_equal(site_dials(0), 1);

    /* The pause is still on: nothing new is tried, but the reason is known. */
    caller_init_on(&caller, channel, 1, SHORT_MS);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_CONNECTION);
    assert_string_equal(caller.error.text, "no connection before the deadline: site:0: refused");
    assert_int_equal(site_dials(0), 1);

    /* And one that is over on arrival is a timeout. */
    caller.deadline_ns = 1;
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_TIMEOUT);
    pw_channel_free(channel);
    sites_end();
}

/* Its lack of time is its own: the others go on, and one of them takes its place. */
static void one_who_has_no_more_time_to_connect_fails_alone(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_HANGS);
    const struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_channel *channel = site_channel(&options);
    struct caller hasty;
    struct caller patient;
    caller_init_on(&hasty, channel, 1, SHORT_MS);
    caller_start(&hasty);
    assert_true(site_wait_dials(0, 1));
    caller_init_on(&patient, channel, 2, LONG_MS);
    caller_start(&patient);
    caller_join(&hasty);
    assert_int_equal(hasty.status, PYWATT_CONNECTION);
    assert_string_equal(hasty.error.text, "site:0: no answer");
    assert_true(site_wait_dials(0, 2));
    site_set(0, SITE_UP);
    struct peer peer;
    assert_true(site_accept(0, &peer));
    peer_answer(&peer, 1);
    caller_join(&patient);
    assert_own_reply(&patient);
    pw_channel_free(channel);
    peer_end(&peer);
    sites_end();
}

static void one_who_waits_for_anothers_attempt_keeps_his_own_deadline(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_HANGS);
    const struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_channel *channel = site_channel(&options);
    struct caller patient;
    struct caller hasty;
    caller_init_on(&patient, channel, 1, LONG_MS);
    caller_start(&patient);
    assert_true(site_wait_dials(0, 1));
    caller_init_on(&hasty, channel, 2, SHORT_MS);
    caller_run(&hasty);
    assert_int_equal(hasty.status, PYWATT_CONNECTION);
    assert_string_equal(hasty.error.text, "site:0: no connection before the deadline");
    assert_int_equal(site_dials(0), 1);
    site_set(0, SITE_DOWN);
    caller_join(&patient);
    assert_int_equal(patient.status, PYWATT_CONNECTION);
    pw_channel_free(channel);
    sites_end();
}

/* ---- Several endpoints ---------------------------------------------------------------------- */

/* One call on a channel, answered by the site that is up. */
static void call_through(struct pw_channel *channel, unsigned site, struct peer *peer)
{
    struct caller caller;
    caller_init_on(&caller, channel, 5, LONG_MS);
    caller_start(&caller);
    assert_true(site_accept(site, peer));
    peer_answer(peer, 1);
    caller_join(&caller);
    assert_own_reply(&caller);
}

static void the_next_endpoint_is_tried_where_one_is_dead(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(1, SITE_UP);
    const struct pw_channel_options options = site_options(endpoints, 3);
    struct pw_channel *channel = site_channel(&options);
    struct peer peer;
    call_through(channel, 1, &peer);
    assert_int_equal(site_dials(0), 1);
    assert_int_equal(site_dials(1), 1);

    /* It goes back to the one that worked. */
    peer_end(&peer);
    call_through(channel, 1, &peer);
    assert_int_equal(site_dials(0), 1);
    assert_int_equal(site_dials(1), 2);

    /* When that is gone, round to the first, which came back. */
    site_set(1, SITE_DOWN);
    site_set(0, SITE_UP);
    peer_end(&peer);
    call_through(channel, 0, &peer);
    assert_int_equal(site_dials(1), 3);
    assert_int_equal(site_dials(2), 1);
    assert_int_equal(site_dials(0), 2);
    assert_int_equal(pw_channel_epoch(channel), 3);
    pw_channel_free(channel);
    peer_end(&peer);
    sites_end();
}

struct attempt {
    struct caller caller;
    struct peer peer;
    bool accepted;
};

static bool has_come_or_is_late(void *user)
{
    struct attempt *attempt = user;
    const bool finished = atomic_load(&attempt->caller.finished);
    attempt->accepted = attempt->accepted || site_try_accept(1, &attempt->peer);
    return finished || (attempt->accepted && peer_has_input(&attempt->peer));
}

/* False if so much time was not enough, on a machine that is busy. */
static bool leaves_its_share_to_the_next(unsigned ms)
{
    struct pw_endpoint endpoints[SITES];
    struct attempt attempt = {.accepted = false};
    sites_init();
    site_set(0, SITE_HANGS);
    site_set(1, SITE_UP);
    const struct pw_channel_options options = site_options(endpoints, 2);
    struct pw_channel *channel = site_channel(&options);
    const int64_t before_ns = pw_test_now_ns();
    caller_init_on(&attempt.caller, channel, 5, ms);
    caller_start(&attempt.caller);
    assert_true(pw_test_wait_until(has_come_or_is_late, &attempt, ms + LONG_MS));
    if (attempt.accepted && peer_has_input(&attempt.peer)) {
        peer_answer(&attempt.peer, 1);
    }
    caller_join(&attempt.caller);
    const bool good = attempt.caller.status == PYWATT_OK;
    if (good) {
        assert_own_reply(&attempt.caller);
        assert_true(caller_ended_after_ms(&attempt.caller, before_ns) >= ms * 3 / 8);
    }
    pw_channel_free(channel);
    if (attempt.accepted) {
        peer_end(&attempt.peer);
    }
    sites_end();
    return good;
}

static void an_endpoint_that_swallows_everything_gets_a_fair_share(void **state)
{
    (void)state;
    assert_true(leaves_its_share_to_the_next(400) || leaves_its_share_to_the_next(4000) ||
                leaves_its_share_to_the_next(20000));
}

/* ---- Peers that accept and hang up ---------------------------------------------------------- */

static void hanging_up_at_once_counts_as_a_failed_attempt(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    for (unsigned policy = 0; policy < 2; policy++) {
        sites_init();
        site_set(0, SITE_SLAMS);
        struct pw_channel_options options = site_options(endpoints, 1);
        if (policy == 1) {
            options.backoff = fixed_pauses(1, 3);
        }
        struct pw_channel *channel = site_channel(&options);
        struct caller caller;
        caller_init_on(&caller, channel, 5, LONG_MS);
        caller_run(&caller);
        assert_int_equal(caller.status, PYWATT_CONNECTION);
        assert_non_null(strstr(caller.error.text, "site:0: "));
        assert_int_equal(site_dials(0), policy == 0 ? 1 : 3);
        pw_channel_free(channel);
        sites_end();
    }
}

static void an_endpoint_that_hangs_up_is_left_for_the_next(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_SLAMS);
    site_set(1, SITE_UP);
    struct pw_channel_options options = site_options(endpoints, 2);
    options.backoff = fixed_pauses(1, 0);
    struct pw_channel *channel = site_channel(&options);
    struct peer peer;
    call_through(channel, 1, &peer);
    assert_int_equal(site_dials(0), 1);
    pw_channel_free(channel);
    peer_end(&peer);
    sites_end();
}

/* ---- No descriptor left --------------------------------------------------------------------- */

enum {
    FEW_FDS = 64
};

static void running_out_of_descriptors_is_told(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    sites_init();
    site_set(0, SITE_UP);
    const size_t fds = pw_test_open_fds();
    const struct pw_channel_options options = site_options(endpoints, 1);
    struct pw_channel *channel = site_channel(&options);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit few = {.rlim_cur = FEW_FDS, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int filler[FEW_FDS];
    size_t filled = 0;
    while (filled < FEW_FDS && (filler[filled] = eventfd(0, 0)) >= 0) {
        filled++;
    }
    assert_true(filled >= 2);

    struct pw_channel *other;
    struct pywatt_error error;
    assert_int_equal(pw_channel_new(&options, &other, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "no descriptor for a channel: "));
    /* Enough for a connection, and none to wait on it. */
    close(filler[--filled]);
    close(filler[--filled]);
    assert_int_equal(pw_channel_connect(channel, (uint64_t)pw_test_deadline_ns(LONG_MS), &error),
                     PYWATT_CONNECTION);
    assert_non_null(strstr(error.text, "site:0: no descriptor to wait on: "));
    struct peer peer;
    assert_true(site_accept(0, &peer));
    peer_end(&peer);

    while (filled > 0) {
        close(filler[--filled]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(pw_channel_connect(channel, PW_DEADLINE_NEVER, &error), PYWATT_OK);
    assert_true(site_accept(0, &peer));
    pw_channel_free(channel);
    peer_end(&peer);
    assert_int_equal(pw_test_open_fds(), fds);
    sites_end();
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_call_connects_when_there_is_no_connection),
        cmocka_unit_test(one_thread_connects_for_all),
        cmocka_unit_test(without_a_policy_one_failed_attempt_fails_all_who_wait),
        cmocka_unit_test(fixed_pauses_lie_between_attempts_until_one_succeeds),
        cmocka_unit_test(attempts_end_when_the_policy_has_had_enough),
        cmocka_unit_test(the_deadline_ends_attempts_too),
        cmocka_unit_test(one_who_has_no_more_time_to_connect_fails_alone),
        cmocka_unit_test(one_who_waits_for_anothers_attempt_keeps_his_own_deadline),
        cmocka_unit_test(the_next_endpoint_is_tried_where_one_is_dead),
        cmocka_unit_test(an_endpoint_that_swallows_everything_gets_a_fair_share),
        cmocka_unit_test(hanging_up_at_once_counts_as_a_failed_attempt),
        cmocka_unit_test(an_endpoint_that_hangs_up_is_left_for_the_next),
        cmocka_unit_test(running_out_of_descriptors_is_told),
    };
    return PW_TEST_RUN(cases);
}

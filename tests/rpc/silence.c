/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peers that fall silent: an orchestrator that hangs, a host that vanished. Nothing ends such a
 * connection but the deadlines of the requests on it.
 */
#include "site.h"

#include <string.h>

enum {
    LONG_MS = 5000,
    SHORT_MS = 40
};

struct hush {
    struct rig rig;
    struct fake_clock clock;
};

static void start_hush(struct hush *hush)
{
    fake_clock_init(&hush->clock);
    rig_init(&hush->rig);
    hush->rig.options.clock = &hush->clock.clock;
    rig_connect(&hush->rig);
    rig_make_pipelined(&hush->rig);
}

static void post(struct hush *hush, struct posted *posted, struct taken *taken)
{
    assert_int_equal(posted_post(posted, &hush->rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_flush(hush->rig.correlator);
    assert_true(peer_take(&hush->rig.peer, taken));
}

static void let_time_out(struct hush *hush, struct posted *posted)
{
    atomic_store(&hush->clock.now_ns, posted->post.deadline_ns);
    pw_correlator_pump_expire(hush->rig.correlator);
    assert_int_equal(atomic_load(&posted->runs), 1);
    assert_int_equal(posted->status, PYWATT_TIMEOUT);
}

static void one_silence_does_not_cost_the_connection(void **state)
{
    (void)state;
    struct hush hush;
    struct posted posted[10];
    struct taken taken[10];
    start_hush(&hush);
    for (unsigned i = 0; i < 10; i++) {
        post(&hush, &posted[i], &taken[i]);
    }
    for (unsigned i = 0; i < 10; i++) {
        let_time_out(&hush, &posted[i]); /* the same silence for all of them */
    }
    assert_false(pw_correlator_failed(hush.rig.correlator));
    rig_end(&hush.rig);
}

static void a_byte_is_a_sign_of_life(void **state)
{
    (void)state;
    struct hush hush;
    struct posted posted;
    struct taken taken[4];
    start_hush(&hush);
    post(&hush, &posted, &taken[0]);
    let_time_out(&hush, &posted);
    /* First a whole late reply, which is dropped, then the beginning of one. */
    peer_put_reply(&hush.rig.peer, &taken[0]);
    const size_t whole = pw_buffer_len(&hush.rig.peer.out);
    for (unsigned i = 1; i < 3; i++) {
        post(&hush, &posted, &taken[i]);
        peer_put_reply(&hush.rig.peer, &taken[i - 1]);
        peer_send_some(&hush.rig.peer, i == 1 ? whole : 1);
        assert_true(pump_once(&hush.rig, LONG_MS));
        let_time_out(&hush, &posted);
        post(&hush, &posted, &taken[3]);
        let_time_out(&hush, &posted); /* in silence, for the first time */
        assert_false(pw_correlator_failed(hush.rig.correlator));
    }
    rig_end(&hush.rig);
}

static void the_second_silence_in_a_row_ends_the_connection(void **state)
{
    (void)state;
    struct hush hush;
    struct posted posted[3];
    struct taken taken;
    start_hush(&hush);
    post(&hush, &posted[0], &taken);
    let_time_out(&hush, &posted[0]);
    post(&hush, &posted[1], &taken);
    assert_int_equal(posted_post(&posted[2], &hush.rig, 1, 2 * LONG_MS), PYWATT_OK);
    pw_correlator_flush(hush.rig.correlator);
    let_time_out(&hush, &posted[1]);
    assert_true(pw_correlator_failed(hush.rig.correlator));
    assert_true(pw_correlator_hung(hush.rig.correlator));
    assert_int_equal(posted[2].status, PYWATT_CHANNEL);
    assert_non_null(strstr(posted[2].text, "nothing came meanwhile"));
    assert_int_equal(atomic_load(&hush.rig.counters.timeouts), 2);
    rig_end(&hush.rig);
}

/* ---- What comes after it --------------------------------------------------------------------- */

static void time_out(struct pw_channel *channel)
{
    struct caller caller;
    caller_init_on(&caller, channel, 1, SHORT_MS);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_TIMEOUT);
}

static void call_over(struct pw_channel *channel, unsigned site, struct peer *peer)
{
    struct caller caller;
    caller_init_on(&caller, channel, 2, LONG_MS);
    caller_start(&caller);
    assert_true(site_accept(site, peer));
    peer_answer(peer, 1);
    caller_join(&caller);
    assert_own_reply(&caller);
}

static void a_hung_peer_is_left_for_the_next_endpoint(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct peer peers[2];
    sites_init();
    site_set(0, SITE_UP);
    site_set(1, SITE_UP);
    const struct pw_channel_options options = site_options(endpoints, 2);
    struct pw_channel *channel = site_channel(&options);
    call_over(channel, 0, &peers[0]);
    time_out(channel);
    assert_true(pw_channel_connected(channel));
    time_out(channel);
    assert_false(pw_channel_connected(channel));
    call_over(channel, 1, &peers[1]);
    assert_int_equal(site_dials(0), 1);
    pw_channel_free(channel);
    peer_end(&peers[0]);
    peer_end(&peers[1]);
    sites_end();
}

/* As when a process is stopped whose kernel still takes connections. */
static void so_is_one_that_never_says_a_word(void **state)
{
    (void)state;
    struct pw_endpoint endpoints[SITES];
    struct peer peers[2];
    sites_init();
    site_set(0, SITE_UP);
    site_set(1, SITE_UP);
    const struct pw_channel_options options = site_options(endpoints, 2);
    struct pw_channel *channel = site_channel(&options);
    time_out(channel);
    assert_true(site_accept(0, &peers[0]));
    call_over(channel, 1, &peers[1]);
    assert_int_equal(site_dials(0), 1);
    pw_channel_free(channel);
    peer_end(&peers[0]);
    peer_end(&peers[1]);
    sites_end();
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(one_silence_does_not_cost_the_connection),
        cmocka_unit_test(a_byte_is_a_sign_of_life),
        cmocka_unit_test(the_second_silence_in_a_row_ends_the_connection),
        cmocka_unit_test(a_hung_peer_is_left_for_the_next_endpoint),
        cmocka_unit_test(so_is_one_that_never_says_a_word),
    };
    return PW_TEST_RUN(cases);
}

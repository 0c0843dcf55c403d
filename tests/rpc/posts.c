/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Posted requests, and the pump that reads their replies when no caller does. The main thread is
 * the pump.
 */
#include "rig.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

enum {
    LONG_MS = 10000,
    SOON_MS = LONG_MS / 4
};

static void posts_alone_are_answered_through_the_pump(void **state)
{
    (void)state;
    enum {
        COUNT = 200
    };
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted *posted = calloc(COUNT, sizeof(*posted));
    struct taken *taken = calloc(COUNT, sizeof(*taken));
    assert_false(pump_once(&rig, 0));
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(posted_post(&posted[i], &rig, i, LONG_MS), PYWATT_OK);
    }
    assert_true(atomic_load(&rig.wakes) > 0);
    pw_correlator_flush(rig.correlator);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(peer_take(&rig.peer, &taken[i]));
        assert_int_equal(taken[i].number, i);
    }
    for (uint32_t i = COUNT; i > 0; i--) {
        peer_put_reply(&rig.peer, &taken[i - 1]);
    }
    peer_send(&rig.peer);
    for (uint32_t i = 0; i < COUNT; i++) {
        pump_until_run(&rig, &posted[i]);
        assert_int_equal(posted[i].status, PYWATT_OK);
        assert_true(posted[i].own_reply);
        assert_string_equal(posted[i].text, "");
    }
    assert_false(pump_once(&rig, 0));
    free(taken);
    free(posted);
    rig_end(&rig);
}

static void many_posts_leave_in_one_write(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    struct posted posted[50];
    const unsigned before = atomic_load(&tap.sends);
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(posted_post(&posted[i], &rig, i, LONG_MS), PYWATT_OK);
    }
    assert_int_equal(atomic_load(&tap.sends), before);
    assert_false(peer_has_input(&rig.peer));
    pw_correlator_flush(rig.correlator);
    assert_int_equal(atomic_load(&tap.sends), before + 1);
    peer_answer(&rig.peer, 50);
    for (uint32_t i = 0; i < 50; i++) {
        pump_until_run(&rig, &posted[i]);
    }
    rig_end(&rig);
    tap_end(&tap);
}

/* A caller's request takes along what was posted before. */
static void a_caller_who_reads_completes_posts(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted posted;
    struct caller caller;
    struct taken taken[2];
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    caller_go(&caller, &rig, 2, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken[0]));
    assert_true(peer_take(&rig.peer, &taken[1]));
    assert_true(rig_wait_reading(&rig));
    assert_false(pump_once(&rig, 0));
    peer_put_reply(&rig.peer, &taken[0]);
    peer_send(&rig.peer);
    assert_true(posted_wait(&posted));
    assert_true(posted.own_reply);
    assert_false(atomic_load(&caller.finished));
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    caller_join(&caller);
    assert_own_reply(&caller);
    rig_end(&rig);
}

/* Posts are left when the last caller goes: the pump has to hear of it. */
static void a_caller_who_leaves_posts_behind_wakes_the_pump(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted posted;
    struct caller caller;
    struct taken taken[2];
    caller_go(&caller, &rig, 2, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken[0]));
    assert_true(rig_wait_reading(&rig));
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    assert_true(peer_take(&rig.peer, &taken[1]));
    const unsigned before = atomic_load(&rig.wakes);
    peer_put_reply(&rig.peer, &taken[0]);
    peer_send(&rig.peer);
    caller_join(&caller);
    assert_true(atomic_load(&rig.wakes) > before);
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    pump_until_run(&rig, &posted);
    assert_true(posted.own_reply);
    rig_end(&rig);
}

/* The pump has the role when a caller comes: the caller sleeps, and is handed it afterwards. */
static void the_pump_hands_over_to_callers(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted posted;
    struct caller callers[2];
    struct taken taken[3];
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    assert_true(peer_take(&rig.peer, &taken[0]));
    struct pollfd fd;
    assert_true(pw_correlator_pump_begin(rig.correlator, &fd));
    for (uint32_t i = 0; i < 2; i++) {
        caller_go(&callers[i], &rig, 2 + i, LONG_MS);
        assert_true(peer_take(&rig.peer, &taken[1 + i]));
        assert_true(rig_wait_parked(&rig, 1 + i));
    }
    /* One caller's reply is read by the pump; the other is then alone, and gets the role. */
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    assert_int_equal(poll(&fd, 1, LONG_MS), 1);
    pw_correlator_pump_end(rig.correlator, fd.revents);
    caller_join(&callers[0]);
    assert_own_reply(&callers[0]);
    assert_true(rig_wait_reading(&rig));
    assert_false(pump_once(&rig, 0));
    const int64_t sent_ns = pw_test_now_ns();
    peer_put_reply(&rig.peer, &taken[2]);
    peer_put_reply(&rig.peer, &taken[0]);
    peer_send(&rig.peer);
    caller_join(&callers[1]);
    assert_own_reply(&callers[1]);
    assert_true(caller_ended_after_ms(&callers[1], sent_ns) < SOON_MS);
    assert_true(posted_wait(&posted));
    rig_end(&rig);
}

/* A pump whose wait ended for another reason gives the role back as well. */
static void the_pump_hands_over_when_nothing_came(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted posted;
    struct caller caller;
    struct taken taken[2];
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    assert_true(peer_take(&rig.peer, &taken[0]));
    struct pollfd fd;
    assert_true(pw_correlator_pump_begin(rig.correlator, &fd));
    caller_go(&caller, &rig, 2, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken[1]));
    assert_true(rig_wait_parked(&rig, 1));
    pw_correlator_pump_end(rig.correlator, 0);
    assert_true(rig_wait_reading(&rig));
    peer_put_reply(&rig.peer, &taken[1]);
    const int64_t sent_ns = pw_test_now_ns();
    peer_send(&rig.peer);
    caller_join(&caller);
    assert_own_reply(&caller);
    assert_true(caller_ended_after_ms(&caller, sent_ns) < SOON_MS);
    rig_end(&rig);
    assert_int_equal(posted.status, PYWATT_CLOSED);
}

/* Its poll would not tell it of them. */
static void the_pump_reads_bytes_that_poll_does_not_know_of(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    atomic_store(&tap.keeps_back, true);
    atomic_store(&tap.receive_at_most, 100);
    struct posted posted[4];
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(posted_post(&posted[i], &rig, i, LONG_MS), PYWATT_OK);
    }
    pw_correlator_flush(rig.correlator);
    for (uint32_t i = 0; i < 4; i++) {
        struct taken taken;
        assert_true(peer_take(&rig.peer, &taken));
        peer_put_reply(&rig.peer, &taken);
    }
    peer_send(&rig.peer);
    assert_true(pump_once(&rig, LONG_MS));
    const int64_t began_ns = pw_test_now_ns();
    while (pump_once(&rig, LONG_MS)) {
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(atomic_load(&posted[i].runs), 1);
        assert_true(posted[i].own_reply);
    }
    assert_true(pw_test_now_ns() - began_ns < (int64_t)LONG_MS * 1000000);
    rig_end(&rig);
    tap_end(&tap);
}

static void an_overdue_post_ends_once_and_its_late_reply_is_dropped(void **state)
{
    (void)state;
    struct rig rig;
    struct fake_clock clock;
    fake_clock_init(&clock);
    rig_init(&rig);
    rig.options.clock = &clock.clock;
    rig_connect(&rig);
    rig_make_pipelined(&rig);
    struct posted posted[3];
    struct taken taken[3];
    assert_int_equal(pw_correlator_pump_deadline(rig.correlator), PW_DEADLINE_NEVER);
    assert_int_equal(posted_post(&posted[0], &rig, 0, 3000), PYWATT_OK);
    assert_int_equal(posted_post(&posted[1], &rig, 1, 1000), PYWATT_OK);
    assert_int_equal(posted_post(&posted[2], &rig, 2, 2000), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(peer_take(&rig.peer, &taken[i]));
    }
    /* Exactly at the deadline is over, one nanosecond before is not. */
    atomic_store(&clock.now_ns, posted[1].post.deadline_ns - 1);
    pw_correlator_pump_expire(rig.correlator);
    assert_int_equal(atomic_load(&posted[1].runs), 0);
    assert_int_equal(pw_correlator_pump_deadline(rig.correlator), posted[1].post.deadline_ns);
    atomic_store(&clock.now_ns, posted[1].post.deadline_ns);
    pw_correlator_pump_expire(rig.correlator);
    assert_int_equal(atomic_load(&posted[1].runs), 1);
    assert_int_equal(posted[1].status, PYWATT_TIMEOUT);
    assert_string_equal(posted[1].text, "memory:rig: no reply before the deadline");
    assert_int_equal(pw_correlator_pump_deadline(rig.correlator), posted[2].post.deadline_ns);

    for (uint32_t i = 0; i < 3; i++) {
        peer_put_reply(&rig.peer, &taken[i]);
    }
    peer_send(&rig.peer);
    pump_until_run(&rig, &posted[0]);
    pump_until_run(&rig, &posted[2]);
    assert_int_equal(atomic_load(&posted[1].runs), 1);
    assert_int_equal(atomic_load(&rig.counters.replies_dropped), 1);
    assert_int_equal(atomic_load(&rig.counters.timeouts), 1);
    assert_int_equal(pw_correlator_pump_deadline(rig.correlator), PW_DEADLINE_NEVER);
    rig_end(&rig);
}

/* A reader deep in its own wait cannot know of it: the pump must. */
static void an_earlier_deadline_wakes_the_pump_whoever_reads(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller caller;
    struct posted posted[3];
    caller_go(&caller, &rig, 1, LONG_MS);
    assert_true(rig_wait_reading(&rig));
    unsigned before = atomic_load(&rig.wakes);
    assert_int_equal(posted_post(&posted[0], &rig, 2, 3000), PYWATT_OK);
    assert_int_equal(atomic_load(&rig.wakes), before + 1);
    assert_int_equal(posted_post(&posted[1], &rig, 3, 4000), PYWATT_OK);
    assert_int_equal(atomic_load(&rig.wakes), before + 1);
    assert_int_equal(posted_post(&posted[2], &rig, 4, 2000), PYWATT_OK);
    assert_int_equal(atomic_load(&rig.wakes), before + 2);
    pw_correlator_flush(rig.correlator);
    peer_answer(&rig.peer, 4);
    caller_join(&caller);
    assert_own_reply(&caller);
    for (uint32_t i = 0; i < 3; i++) {
        pump_until_run(&rig, &posted[i]);
    }
    rig_end(&rig);
}

static void a_full_window_refuses_posts_and_says_when_there_is_room(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.options.max_in_flight = 4;
    rig_connect(&rig);
    rig_make_pipelined(&rig);
    struct posted posted[5];
    struct taken taken[5];
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(posted_post(&posted[i], &rig, i, LONG_MS), PYWATT_OK);
    }
    assert_int_equal(posted_post(&posted[4], &rig, 4, LONG_MS), PYWATT_UNAVAILABLE);
    pw_correlator_flush(rig.correlator);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(peer_take(&rig.peer, &taken[i]));
    }
    const unsigned before = atomic_load(&rig.wakes);
    peer_put_reply(&rig.peer, &taken[2]);
    peer_send(&rig.peer);
    pump_until_run(&rig, &posted[2]);
    assert_true(atomic_load(&rig.wakes) > before);
    assert_int_equal(posted_post(&posted[4], &rig, 4, LONG_MS), PYWATT_OK);
    assert_int_equal(atomic_load(&posted[4].runs), 0);
    rig_end(&rig);
    assert_int_equal(atomic_load(&posted[4].runs), 1);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(posts_alone_are_answered_through_the_pump),
        cmocka_unit_test(many_posts_leave_in_one_write),
        cmocka_unit_test(a_caller_who_reads_completes_posts),
        cmocka_unit_test(a_caller_who_leaves_posts_behind_wakes_the_pump),
        cmocka_unit_test(the_pump_hands_over_to_callers),
        cmocka_unit_test(the_pump_hands_over_when_nothing_came),
        cmocka_unit_test(the_pump_reads_bytes_that_poll_does_not_know_of),
        cmocka_unit_test(an_overdue_post_ends_once_and_its_late_reply_is_dropped),
        cmocka_unit_test(an_earlier_deadline_wakes_the_pump_whoever_reads),
        cmocka_unit_test(a_full_window_refuses_posts_and_says_when_there_is_room),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Which reply is whose, whenever and however it comes, on a connection whose peer echoes ids.
 */
#include "rig.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

enum {
    LONG_MS = 10000,
    SOON_MS = LONG_MS / 4
};

static void a_reply_finds_its_caller(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    for (uint32_t i = 0; i < 20; i++) {
        struct caller caller;
        caller_go(&caller, &rig, i, LONG_MS);
        peer_answer(&rig.peer, 1);
        caller_join(&caller);
        assert_own_reply(&caller);
    }
    assert_int_equal(atomic_load(&rig.counters.requests_sent), 20);
    assert_int_equal(atomic_load(&rig.counters.replies_received), 20);
    rig_end(&rig);
}

static void request_ids_are_random_uuids_and_all_different(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct pywatt_uuid seen[8];
    for (uint32_t i = 0; i < 8; i++) {
        struct caller caller;
        struct taken taken;
        caller_go(&caller, &rig, i, LONG_MS);
        assert_true(peer_take(&rig.peer, &taken));
        assert_int_equal(taken.request_id.bytes[6] >> 4, 4);
        assert_int_equal(taken.request_id.bytes[8] >> 6, 2);
        for (uint32_t j = 0; j < i; j++) {
            assert_false(pywatt_uuid_equal(&seen[j], &taken.request_id));
        }
        seen[i] = taken.request_id;
        peer_put_reply(&rig.peer, &taken);
        peer_send(&rig.peer);
        caller_join(&caller);
    }
    rig_end(&rig);
}

/* B is still inside its send when A, who reads, completes it. */
static void a_reply_may_come_before_its_caller_waits(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    struct caller a;
    struct caller b;
    struct taken taken_a;
    struct taken taken_b;
    caller_go(&a, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken_a));
    assert_true(rig_wait_reading(&rig));
    atomic_store(&tap.hold_sends, true);
    caller_go(&b, &rig, 2, LONG_MS);
    tap_wait_held(&tap);
    assert_true(peer_take(&rig.peer, &taken_b));
    peer_put_reply(&rig.peer, &taken_b);
    peer_send(&rig.peer);
    assert_true(rig_wait_received(&rig, 2));
    const int64_t released_ns = pw_test_now_ns();
    tap_let_go(&tap);
    caller_join(&b);
    assert_own_reply(&b);
    assert_true(caller_ended_after_ms(&b, released_ns) < SOON_MS);
    peer_put_reply(&rig.peer, &taken_a);
    peer_send(&rig.peer);
    caller_join(&a);
    assert_own_reply(&a);
    rig_end(&rig);
    tap_end(&tap);
}

/* The same without anybody else: the reply is there when its caller comes to read. */
static void a_reply_may_lie_there_before_anybody_reads(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    struct caller a;
    atomic_store(&tap.hold_sends, true);
    caller_go(&a, &rig, 1, LONG_MS);
    tap_wait_held(&tap);
    peer_answer(&rig.peer, 1);
    tap_let_go(&tap);
    caller_join(&a);
    assert_own_reply(&a);
    rig_end(&rig);
    tap_end(&tap);
}

/* ---- Deadlines, by a clock that the test holds ---------------------------------------------- */

struct timed {
    struct rig rig;
    struct fake_clock clock;
    struct caller caller;
    struct taken taken;
};

/* A call is under way, with a deadline far away on the clock. */
static void start_timed(struct timed *timed)
{
    fake_clock_init(&timed->clock);
    rig_init(&timed->rig);
    timed->rig.options.clock = &timed->clock.clock;
    rig_connect(&timed->rig);
    rig_make_pipelined(&timed->rig);
    caller_go(&timed->caller, &timed->rig, 1, LONG_MS * 10);
    assert_true(peer_take(&timed->rig.peer, &timed->taken));
    assert_true(rig_wait_reading(&timed->rig));
}

/* Something comes, but not the reply: whoever reads looks at the clock then. */
static void send_something_else(struct timed *timed)
{
    struct taken unknown = timed->taken;
    unknown.request_id.bytes[0] ^= 1;
    peer_put_reply(&timed->rig.peer, &unknown);
    peer_send(&timed->rig.peer);
}

static void a_reply_that_was_read_beats_a_deadline_that_has_come(void **state)
{
    (void)state;
    struct timed timed;
    start_timed(&timed);
    atomic_store(&timed.clock.now_ns, timed.caller.deadline_ns);
    peer_put_reply(&timed.rig.peer, &timed.taken);
    peer_send(&timed.rig.peer);
    caller_join(&timed.caller);
    assert_own_reply(&timed.caller);
    rig_end(&timed.rig);
}

static void a_deadline_that_came_first_beats_the_reply(void **state)
{
    (void)state;
    struct timed timed;
    start_timed(&timed);
    atomic_store(&timed.clock.now_ns, timed.caller.deadline_ns - PW_NS_PER_MS);
    send_something_else(&timed);
    assert_true(rig_wait_dropped(&timed.rig, 1));
    assert_true(rig_wait_reading(&timed.rig));
    assert_false(atomic_load(&timed.caller.finished));
    atomic_store(&timed.clock.now_ns, timed.caller.deadline_ns);
    send_something_else(&timed);
    caller_join(&timed.caller);
    assert_int_equal(timed.caller.status, PYWATT_TIMEOUT);

    /* The late reply is dropped, and the next call gets its own. */
    peer_put_reply(&timed.rig.peer, &timed.taken);
    peer_send(&timed.rig.peer);
    struct caller next;
    caller_init(&next, &timed.rig, 2, LONG_MS);
    next.deadline_ns = PW_DEADLINE_NEVER;
    caller_start(&next);
    peer_answer(&timed.rig.peer, 1);
    caller_join(&next);
    assert_own_reply(&next);
    assert_int_equal(atomic_load(&timed.rig.counters.replies_dropped), 3);
    rig_end(&timed.rig);
}

static void nothing_is_sent_after_the_deadline(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller caller;
    caller_init(&caller, &rig, 1, LONG_MS);
    caller.deadline_ns = pw_clock_now_ns(&pw_clock_monotonic);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_TIMEOUT);
    assert_false(caller.unsent);
    assert_false(peer_has_input(&rig.peer));
    assert_false(pw_correlator_failed(rig.correlator));
    rig_end(&rig);
}

/* Steps of the clock end no call early, and lose no reply. */
static void a_clock_that_steps_loses_nothing(void **state)
{
    (void)state;
    struct timed timed;
    start_timed(&timed);
    const uint64_t then_ns = atomic_load(&timed.clock.now_ns);
    atomic_store(&timed.clock.now_ns, then_ns - 3 * PW_NS_PER_S);
    send_something_else(&timed);
    assert_true(rig_wait_dropped(&timed.rig, 1));
    struct caller sleeper;
    caller_go(&sleeper, &timed.rig, 2, LONG_MS);
    struct taken taken;
    assert_true(peer_take(&timed.rig.peer, &taken));
    assert_true(rig_wait_parked(&timed.rig, 1));
    atomic_store(&timed.clock.now_ns, then_ns);
    peer_put_reply(&timed.rig.peer, &taken);
    peer_put_reply(&timed.rig.peer, &timed.taken);
    peer_send(&timed.rig.peer);
    caller_join(&timed.caller);
    caller_join(&sleeper);
    assert_own_reply(&timed.caller);
    assert_own_reply(&sleeper);
    rig_end(&timed.rig);
}

/* ---- Late, doubled and forged --------------------------------------------------------------- */

static void a_late_reply_is_never_taken_for_anothers(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller first;
    struct taken late;
    caller_go(&first, &rig, 1, 20);
    assert_true(peer_take(&rig.peer, &late));
    caller_join(&first);
    assert_int_equal(first.status, PYWATT_TIMEOUT);

    struct caller second;
    struct taken taken;
    caller_go(&second, &rig, 2, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    peer_put_reply(&rig.peer, &late);
    peer_put_reply(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&second);
    assert_own_reply(&second);
    assert_int_equal(atomic_load(&rig.counters.replies_dropped), 1);
    rig_end(&rig);
}

static void doubled_and_unknown_replies_are_dropped_and_counted(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller caller;
    struct taken taken;
    caller_go(&caller, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    /* Another connection's nonce; a number never given; another variant; no bits at all. */
    for (unsigned i = 0; i < 4; i++) {
        struct taken forged = taken;
        if (i == 0) {
            forged.request_id.bytes[7] ^= 0x80;
        } else if (i == 1) {
            forged.request_id.bytes[9] ^= 0x01;
        } else if (i == 2) {
            forged.request_id.bytes[8] ^= 0xc0;
        } else {
            memset(&forged.request_id, 0, sizeof(forged.request_id));
        }
        forged.number = 999;
        peer_put_reply(&rig.peer, &forged);
    }
    peer_put_reply(&rig.peer, &taken);
    peer_put_reply(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&caller);
    assert_own_reply(&caller);
    assert_true(rig_wait_dropped(&rig, 5));

    struct caller next;
    caller_go(&next, &rig, 2, LONG_MS);
    peer_answer(&rig.peer, 1);
    caller_join(&next);
    assert_own_reply(&next);
    rig_end(&rig);
}

/* ---- Pieces --------------------------------------------------------------------------------- */

static void a_reply_may_be_split_at_every_byte(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    size_t len = 2;
    for (size_t split = 1; split < len; split++) {
        struct caller caller;
        struct taken taken;
        caller_go(&caller, &rig, 1, LONG_MS);
        assert_true(peer_take(&rig.peer, &taken));
        peer_put_reply(&rig.peer, &taken);
        len = pw_buffer_len(&rig.peer.out);
        assert_true(rig_wait_reading(&rig));
        peer_send_some(&rig.peer, split);
        peer_send(&rig.peer);
        caller_join(&caller);
        assert_own_reply(&caller);
    }
    rig_end(&rig);
}

/* What was received comes out the same when every receive gives one byte. */
static void replies_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    atomic_store(&tap.receive_at_most, 1);
    struct caller callers[4];
    for (uint32_t i = 0; i < 4; i++) {
        caller_go(&callers[i], &rig, i, LONG_MS);
    }
    peer_answer(&rig.peer, 4);
    for (uint32_t i = 0; i < 4; i++) {
        caller_join(&callers[i]);
        assert_own_reply(&callers[i]);
    }
    rig_end(&rig);
    tap_end(&tap);
}

/* While a reply trickles in, nobody is kept from sending. */
static void a_slow_reply_does_not_hold_others_up(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller slow;
    struct taken taken_slow;
    caller_go(&slow, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken_slow));
    peer_put_reply(&rig.peer, &taken_slow);
    peer_send_some(&rig.peer, 30);

    struct caller other;
    struct posted posted;
    struct taken taken;
    caller_go(&other, &rig, 2, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    assert_int_equal(posted_post(&posted, &rig, 3, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    struct taken taken_post;
    assert_true(peer_take(&rig.peer, &taken_post));
    assert_int_equal(taken_post.number, 3);
    assert_false(atomic_load(&slow.finished));

    while (pw_buffer_len(&rig.peer.out) > 0) {
        peer_send_some(&rig.peer, 1);
    }
    caller_join(&slow);
    assert_own_reply(&slow);
    peer_put_reply(&rig.peer, &taken);
    peer_put_reply(&rig.peer, &taken_post);
    peer_send(&rig.peer);
    caller_join(&other);
    assert_own_reply(&other);
    assert_true(posted_wait(&posted));
    assert_true(posted.own_reply);
    rig_end(&rig);
}

static void replies_of_all_sizes_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 300, 350, 450, 600, 4000, 16384, 60000};
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller callers[8];
    struct taken taken[8];
    for (uint32_t i = 0; i < 8; i++) {
        caller_go(&callers[i], &rig, i, LONG_MS);
        assert_true(peer_take(&rig.peer, &taken[i]));
    }
    for (uint32_t i = 8; i > 0; i--) {
        peer_put_long_reply(&rig.peer, &taken[i - 1], sizes[i - 1]);
    }
    peer_send(&rig.peer);
    for (uint32_t i = 0; i < 8; i++) {
        caller_join(&callers[i]);
        assert_own_reply(&callers[i]);
        assert_int_equal(callers[i].text_len, sizes[i] + strlen("number 0 "));
    }
    rig_end(&rig);
}

/* Whole frames that the transport holds back must not be forgotten when the reader leaves. */
static void bytes_that_poll_does_not_know_of_are_read(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    atomic_store(&tap.keeps_back, true);
    atomic_store(&tap.receive_at_most, 100);
    struct caller a;
    struct caller b;
    struct taken taken[2];
    caller_go(&a, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken[0]));
    caller_go(&b, &rig, 2, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken[1]));
    assert_true(rig_wait_parked(&rig, 1));
    peer_put_reply(&rig.peer, &taken[0]);
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    caller_join(&a);
    caller_join(&b);
    assert_own_reply(&a);
    assert_own_reply(&b);
    rig_end(&rig);
    tap_end(&tap);
}

/* ---- Close ---------------------------------------------------------------------------------- */

static void a_close_that_races_the_reply_completes_the_call_once(void **state)
{
    (void)state;
    unsigned replied = 0;
    for (unsigned round = 0; round < 100; round++) {
        struct rig rig;
        rig_start(&rig);
        struct caller callers[2];
        caller_go(&callers[0], &rig, 0, LONG_MS);
        caller_go(&callers[1], &rig, 1, LONG_MS);
        struct taken taken;
        assert_true(peer_take(&rig.peer, &taken));
        peer_put_reply(&rig.peer, &taken);
        peer_send(&rig.peer);
        if (round % 2 == 1) {
            assert_true(peer_take(&rig.peer, &taken));
        }
        pw_correlator_fail(rig.correlator, PYWATT_CLOSED, "closed");
        for (unsigned i = 0; i < 2; i++) {
            caller_join(&callers[i]);
            if (callers[i].status == PYWATT_OK) {
                assert_true(callers[i].own_reply);
                replied++;
            } else {
                assert_int_equal(callers[i].status, PYWATT_CLOSED);
            }
        }
        rig_end(&rig);
    }
    assert_true(replied > 0);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_reply_finds_its_caller),
        cmocka_unit_test(request_ids_are_random_uuids_and_all_different),
        cmocka_unit_test(a_reply_may_come_before_its_caller_waits),
        cmocka_unit_test(a_reply_may_lie_there_before_anybody_reads),
        cmocka_unit_test(a_reply_that_was_read_beats_a_deadline_that_has_come),
        cmocka_unit_test(a_deadline_that_came_first_beats_the_reply),
        cmocka_unit_test(nothing_is_sent_after_the_deadline),
        cmocka_unit_test(a_clock_that_steps_loses_nothing),
        cmocka_unit_test(a_late_reply_is_never_taken_for_anothers),
        cmocka_unit_test(doubled_and_unknown_replies_are_dropped_and_counted),
        cmocka_unit_test(a_reply_may_be_split_at_every_byte),
        cmocka_unit_test(replies_may_come_byte_by_byte),
        cmocka_unit_test(a_slow_reply_does_not_hold_others_up),
        cmocka_unit_test(replies_of_all_sizes_arrive_whole),
        cmocka_unit_test(bytes_that_poll_does_not_know_of_are_read),
        cmocka_unit_test(a_close_that_races_the_reply_completes_the_call_once),
    };
    return PW_TEST_RUN(cases);
}

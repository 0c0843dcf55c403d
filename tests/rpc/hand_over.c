/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The reader's role is handed on by everyone who leaves, and a failure wakes everyone in one step.
 * Mistakes here show as a call that ends at its deadline instead of at once, so these tests assert
 * which of the two it is. Nobody waits for the deadlines, so they are long, and so are the bounds.
 */
#include "rig.h"

#include <stdlib.h>

enum {
    DEADLINE_MS = 10000,
    SHORT_MS = 100,
    SOON_MS = DEADLINE_MS / 4,
    LATER_MS = 40
};

/* A reads, B sleeps. A's reply comes and A leaves; nobody else calls; B's reply comes later. */
static void a_sleeper_reads_after_the_reader_left(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller a;
    struct caller b;
    struct taken taken_a;
    struct taken taken_b;
    caller_go(&a, &rig, 1, DEADLINE_MS);
    assert_true(peer_take(&rig.peer, &taken_a));
    assert_true(rig_wait_reading(&rig));
    caller_go(&b, &rig, 2, DEADLINE_MS);
    assert_true(peer_take(&rig.peer, &taken_b));
    assert_true(rig_wait_parked(&rig, 1));

    peer_put_reply(&rig.peer, &taken_a);
    peer_send(&rig.peer);
    caller_join(&a);
    assert_own_reply(&a);
    pause_ms(LATER_MS);
    peer_put_reply(&rig.peer, &taken_b);
    const int64_t sent_ns = pw_test_now_ns();
    peer_send(&rig.peer);
    caller_join(&b);
    assert_own_reply(&b);
    assert_true(caller_ended_after_ms(&b, sent_ns) < SOON_MS);
    rig_end(&rig);
}

/* A reads; replies of A and of B, who sleeps, come in one segment; C, who sleeps, gets its later. */
static void a_completed_sleeper_hands_over_too(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller callers[3];
    struct taken taken[3];
    for (uint32_t i = 0; i < 3; i++) {
        caller_go(&callers[i], &rig, i, DEADLINE_MS);
        assert_true(peer_take(&rig.peer, &taken[i]));
        assert_true(i == 0 ? rig_wait_reading(&rig) : rig_wait_parked(&rig, i));
    }
    peer_put_reply(&rig.peer, &taken[0]);
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    caller_join(&callers[0]);
    caller_join(&callers[1]);
    assert_own_reply(&callers[0]);
    assert_own_reply(&callers[1]);
    pause_ms(LATER_MS);
    peer_put_reply(&rig.peer, &taken[2]);
    const int64_t sent_ns = pw_test_now_ns();
    peer_send(&rig.peer);
    caller_join(&callers[2]);
    assert_own_reply(&callers[2]);
    assert_true(caller_ended_after_ms(&callers[2], sent_ns) < SOON_MS);
    rig_end(&rig);
}

/* Two callers are left, one reads and one sleeps, when the peer dies. */
static void both_fail_at_once_when_the_peer_dies(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller a;
    struct caller b;
    struct taken taken;
    caller_go(&a, &rig, 1, DEADLINE_MS);
    assert_true(rig_wait_reading(&rig));
    caller_go(&b, &rig, 2, DEADLINE_MS);
    assert_true(rig_wait_parked(&rig, 1));
    assert_true(peer_take(&rig.peer, &taken));
    assert_true(peer_take(&rig.peer, &taken));

    const int64_t killed_ns = pw_test_now_ns();
    pw_conn_destroy(rig.peer.conn);
    rig.peer.conn = NULL;
    caller_join(&a);
    caller_join(&b);
    assert_int_equal(a.status, PYWATT_CHANNEL);
    assert_int_equal(b.status, PYWATT_CHANNEL);
    assert_string_equal(a.error.text, "memory:rig: closed by the peer");
    assert_string_equal(b.error.text, a.error.text);
    assert_false(a.unsent);
    assert_true(caller_ended_after_ms(&a, killed_ns) < SOON_MS);
    assert_true(caller_ended_after_ms(&b, killed_ns) < SOON_MS);
    rig_end(&rig);
}

/* The reader's deadline passes: the role goes on, also if the reader got nothing. */
static void a_reader_that_times_out_hands_over(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller a;
    struct caller b;
    struct taken taken;
    caller_go(&a, &rig, 1, SHORT_MS);
    assert_true(peer_take(&rig.peer, &taken));
    assert_true(rig_wait_reading(&rig));
    caller_go(&b, &rig, 2, DEADLINE_MS);
    assert_true(peer_take(&rig.peer, &taken));
    caller_join(&a);
    assert_int_equal(a.status, PYWATT_TIMEOUT);
    assert_string_equal(a.error.text, "memory:rig: no reply before the deadline");
    pause_ms(LATER_MS);
    peer_put_reply(&rig.peer, &taken);
    const int64_t sent_ns = pw_test_now_ns();
    peer_send(&rig.peer);
    caller_join(&b);
    assert_own_reply(&b);
    assert_true(caller_ended_after_ms(&b, sent_ns) < SOON_MS);
    assert_int_equal(atomic_load(&rig.counters.timeouts), 1);
    rig_end(&rig);
}

/* A sleeper whose own deadline passes leaves; those who still wait are served. */
static void a_sleeper_that_times_out_leaves_the_others_alone(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller callers[3];
    struct taken taken[3];
    for (uint32_t i = 0; i < 3; i++) {
        caller_go(&callers[i], &rig, i, i == 2 ? SHORT_MS : DEADLINE_MS);
        assert_true(peer_take(&rig.peer, &taken[i]));
        if (i < 2) {
            assert_true(i == 0 ? rig_wait_reading(&rig) : rig_wait_parked(&rig, i));
        }
    }
    caller_join(&callers[2]);
    assert_int_equal(callers[2].status, PYWATT_TIMEOUT);
    peer_put_reply(&rig.peer, &taken[2]);
    peer_put_reply(&rig.peer, &taken[0]);
    peer_send(&rig.peer);
    caller_join(&callers[0]);
    peer_put_reply(&rig.peer, &taken[1]);
    const int64_t sent_ns = pw_test_now_ns();
    peer_send(&rig.peer);
    caller_join(&callers[1]);
    assert_own_reply(&callers[0]);
    assert_own_reply(&callers[1]);
    assert_true(caller_ended_after_ms(&callers[1], sent_ns) < SOON_MS);
    assert_int_equal(atomic_load(&rig.counters.replies_dropped), 1);
    rig_end(&rig);
}

/*
 * The reader leaves and calls B, whose deadline has come meanwhile: B never reads, and leaves too.
 * It is C's turn then.
 */
static void a_sleeper_that_was_called_too_late_hands_over(void **state)
{
    (void)state;
    struct rig rig;
    struct fake_clock clock;
    fake_clock_init(&clock);
    rig_init(&rig);
    rig.options.clock = &clock.clock;
    rig_connect(&rig);
    rig_make_pipelined(&rig);
    struct caller callers[3];
    struct taken taken[3];
    for (uint32_t i = 0; i < 3; i++) {
        caller_go(&callers[i], &rig, i, i == 1 ? 2 * DEADLINE_MS : 4 * DEADLINE_MS);
        assert_true(peer_take(&rig.peer, &taken[i]));
        assert_true(i == 0 ? rig_wait_reading(&rig) : rig_wait_parked(&rig, i));
    }
    atomic_store(&clock.now_ns, callers[1].deadline_ns);
    peer_put_reply(&rig.peer, &taken[0]);
    peer_send(&rig.peer);
    caller_join(&callers[0]);
    caller_join(&callers[1]);
    assert_own_reply(&callers[0]);
    assert_int_equal(callers[1].status, PYWATT_TIMEOUT);
    assert_true(caller_took_ms(&callers[1]) < DEADLINE_MS);
    pause_ms(LATER_MS);
    peer_put_reply(&rig.peer, &taken[2]);
    const int64_t sent_ns = pw_test_now_ns();
    peer_send(&rig.peer);
    caller_join(&callers[2]);
    assert_own_reply(&callers[2]);
    assert_true(caller_ended_after_ms(&callers[2], sent_ns) < SOON_MS);
    rig_end(&rig);
}

enum {
    MANY = 64
};

static bool all_finished(struct caller *callers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!atomic_load(&callers[i].finished)) {
            return false;
        }
    }
    return true;
}

/* Parks `count` callers in the order that `order` gives, and lets the connection fail. */
static void fail_with_parked(const uint32_t *order, uint32_t count)
{
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller callers[MANY];
    struct taken taken;
    for (uint32_t i = 0; i < count; i++) {
        caller_go(&callers[order[i]], &rig, order[i], DEADLINE_MS);
        assert_true(peer_take(&rig.peer, &taken));
        assert_true(i == 0 ? rig_wait_reading(&rig) : rig_wait_parked(&rig, i));
    }
    assert_false(all_finished(callers, count));
    const int64_t killed_ns = pw_test_now_ns();
    pw_conn_shutdown(rig.peer.conn);
    for (uint32_t i = 0; i < count; i++) {
        caller_join(&callers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(callers[i].status, PYWATT_CHANNEL);
        assert_string_equal(callers[i].error.text, callers[0].error.text);
        assert_true(caller_ended_after_ms(&callers[i], killed_ns) < SOON_MS);
    }
    const struct pw_correlator_info info = rig_info(&rig);
    assert_int_equal(info.fail_parked, count - 1);
    assert_int_equal(info.fail_signals, count - 1);
    rig_end(&rig);
}

static void all_sleepers_fail_whatever_their_order(void **state)
{
    (void)state;
    uint32_t order[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        order[i] = i;
    }
    fail_with_parked(order, 8);
    fail_with_parked(order, MANY);
    for (uint32_t i = 0; i < 8; i++) {
        order[i] = 7 - i;
    }
    fail_with_parked(order, 8);
    srand(1);
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t other = (uint32_t)rand() % 8;
        const uint32_t swap = order[i];
        order[i] = order[other];
        order[other] = swap;
    }
    fail_with_parked(order, 8);
}

/* The failure itself wakes the sleepers, not one sleeper the next. */
static void a_failure_signals_every_sleeper(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct caller callers[16];
    for (uint32_t i = 0; i < 16; i++) {
        caller_go(&callers[i], &rig, i, DEADLINE_MS);
    }
    assert_true(rig_wait_parked(&rig, 15));
    pw_correlator_fail(rig.correlator, PYWATT_CLOSED, "closed");
    for (uint32_t i = 0; i < 16; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, PYWATT_CLOSED);
        assert_string_equal(callers[i].error.text, "memory:rig: closed");
    }
    const struct pw_correlator_info info = rig_info(&rig);
    assert_int_equal(info.fail_parked, 15);
    assert_int_equal(info.fail_signals, 15);
    rig_end(&rig);
}

/* Callers come and go all the time, and replies come in another order, twice, or not at all. */
static void nobody_is_forgotten_under_load(void **state)
{
    (void)state;
    enum {
        CALLERS = 16
    };
    const unsigned factor = pw_test_slow_factor();
    const uint32_t rounds = factor > 10 ? 4 : factor > 4 ? 10 : 50;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    srand(7);
    for (uint32_t round = 0; round < rounds; round++) {
        struct caller callers[CALLERS];
        struct taken taken[CALLERS];
        for (uint32_t i = 0; i < CALLERS; i++) {
            caller_go(&callers[i], &rig, round * CALLERS + i, DEADLINE_MS);
        }
        for (uint32_t i = 0; i < CALLERS; i++) {
            assert_true(peer_take(&rig.peer, &taken[i]));
        }
        for (uint32_t left = CALLERS; left > 0; left--) {
            const uint32_t pick = (uint32_t)rand() % left;
            peer_put_reply(&rig.peer, &taken[pick]);
            if (rand() % 8 == 0) {
                peer_put_reply(&rig.peer, &taken[pick]);
            }
            taken[pick] = taken[left - 1];
            if (rand() % 3 == 0) {
                peer_send(&rig.peer);
            }
        }
        peer_send(&rig.peer);
        for (uint32_t i = 0; i < CALLERS; i++) {
            caller_join(&callers[i]);
            assert_own_reply(&callers[i]);
            assert_true(caller_took_ms(&callers[i]) < DEADLINE_MS / 2);
        }
    }
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_sleeper_reads_after_the_reader_left),
        cmocka_unit_test(a_completed_sleeper_hands_over_too),
        cmocka_unit_test(both_fail_at_once_when_the_peer_dies),
        cmocka_unit_test(a_reader_that_times_out_hands_over),
        cmocka_unit_test(a_sleeper_that_times_out_leaves_the_others_alone),
        cmocka_unit_test(a_sleeper_that_was_called_too_late_hands_over),
        cmocka_unit_test(all_sleepers_fail_whatever_their_order),
        cmocka_unit_test(a_failure_signals_every_sleeper),
        cmocka_unit_test(nobody_is_forgotten_under_load),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Full buffers in either direction: who waits for room must not keep anybody from reading, must
 * notice when there is room, and must not be noticed by others longer than needed.
 */
#include "rig.h"
#include "tap.h"

#include "transport/frame.h"
#include "transport/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LONG_MS = 10000,
    SHORT_MS = 100,
    SOON_MS = LONG_MS / 4,
    SMALL_BUFFER = 4096
};

/* The peer takes all bytes that are there, which makes room. */
static void peer_drain(struct rig *rig)
{
    uint8_t bytes[65536];
    size_t got;
    while (pw_conn_receive(rig->peer.conn, bytes, sizeof(bytes), &got, NULL) == PW_IO_OK) {
        assert_int_equal(pw_buffer_append(&rig->peer.in, bytes, got), PYWATT_OK);
    }
}

/* A rig with as small kernel buffers as there are, and room for `tx_limit` bytes of output. */
static void start_small(struct rig *rig, size_t tx_limit)
{
    const int size = SMALL_BUFFER;
    struct pw_conn *ours;
    struct pw_conn *theirs;
    rig_init(rig);
    rig->options.max_frame_bytes = 65536;
    rig->options.tx_limit_bytes = tx_limit;
    assert_int_equal(pw_memory_pair(&ours, &theirs, NULL), PYWATT_OK);
    assert_int_equal(setsockopt(pw_conn_fd(ours), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    assert_int_equal(setsockopt(pw_conn_fd(theirs), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    rig_connect_over(rig, ours, theirs);
    rig_make_pipelined(rig);
}

static bool is_blocked(void *user)
{
    return rig_info(user).blocked;
}

/*
 * A reads, asleep. B's frame does not fit into the kernel's buffer. When there is room it is A who
 * notices, though A slept before there was anything to wait for.
 */
static void a_sleeping_reader_learns_that_there_is_something_to_send(void **state)
{
    (void)state;
    struct rig rig;
    start_small(&rig, 1 << 20);
    struct caller a;
    struct caller b;
    struct taken taken_a;
    struct taken taken_b;
    caller_go(&a, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken_a));
    assert_true(rig_wait_reading(&rig));
    caller_init(&b, &rig, 2, LONG_MS);
    b.padding = 40000;
    caller_start(&b);
    assert_true(rig_wait_parked(&rig, 1));
    assert_true(pw_test_wait_until(is_blocked, &rig, LONG_MS));
    const int64_t began_ns = pw_test_now_ns();
    assert_true(peer_take(&rig.peer, &taken_b));
    peer_put_reply(&rig.peer, &taken_b);
    peer_send(&rig.peer);
    caller_join(&b);
    assert_own_reply(&b);
    assert_true(caller_ended_after_ms(&b, began_ns) < SOON_MS);
    peer_put_reply(&rig.peer, &taken_a);
    peer_send(&rig.peer);
    caller_join(&a);
    assert_own_reply(&a);
    rig_end(&rig);
}

/* The same with a pump that sleeps in its own poll. */
static void a_sleeping_pump_learns_that_there_is_something_to_send(void **state)
{
    (void)state;
    struct rig rig;
    start_small(&rig, 1 << 20);
    struct posted posted;
    struct taken taken;
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    assert_true(peer_take(&rig.peer, &taken));
    struct pollfd fd;
    assert_true(pw_correlator_pump_begin(rig.correlator, &fd));
    assert_int_equal(poll(&fd, 1, 0), 0);
    struct caller b;
    caller_init(&b, &rig, 2, LONG_MS);
    b.padding = 40000;
    caller_start(&b);
    assert_true(rig_wait_parked(&rig, 1));
    assert_true(pw_test_wait_until(is_blocked, &rig, LONG_MS));
    assert_int_equal(poll(&fd, 1, 0), 0);

    /* The peer makes room; the pump, and only the pump, can tell that. */
    peer_drain(&rig);
    assert_int_equal(poll(&fd, 1, LONG_MS), 1);
    pw_correlator_pump_end(rig.correlator, fd.revents);
    peer_put_reply(&rig.peer, &taken);
    assert_true(peer_take(&rig.peer, &taken));
    assert_int_equal(taken.number, 2);
    peer_put_reply(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&b);
    assert_own_reply(&b);
    rig_end(&rig);
}

/* What is blocked and has nobody who reads is the pump's matter. */
static void blocked_output_wakes_the_pump(void **state)
{
    (void)state;
    struct rig rig;
    start_small(&rig, 1 << 20);
    struct caller a;
    caller_init(&a, &rig, 1, SHORT_MS);
    a.padding = 40000;
    const unsigned before = atomic_load(&rig.wakes);
    caller_run(&a);
    assert_int_equal(a.status, PYWATT_TIMEOUT);
    assert_true(atomic_load(&rig.wakes) > before);
    assert_true(rig_info(&rig).blocked);

    /* The rest still leaves, so the stream stays whole, and the next call goes through. */
    struct taken late;
    struct pollfd fd;
    while (pw_correlator_pump_begin(rig.correlator, &fd)) {
        peer_drain(&rig);
        assert_int_equal(poll(&fd, 1, LONG_MS), 1);
        pw_correlator_pump_end(rig.correlator, fd.revents);
    }
    assert_true(peer_take(&rig.peer, &late));
    struct caller b;
    caller_go(&b, &rig, 2, LONG_MS);
    peer_put_reply(&rig.peer, &late);
    peer_send(&rig.peer);
    peer_answer(&rig.peer, 1);
    caller_join(&b);
    assert_own_reply(&b);
    assert_int_equal(atomic_load(&rig.counters.replies_dropped), 1);
    rig_end(&rig);
}

/* No progress in writing for the whole of a deadline: that call times out, the stream lives. */
static void a_stuck_stream_times_calls_out_and_recovers(void **state)
{
    (void)state;
    struct rig rig;
    start_small(&rig, 50000);
    struct caller callers[4];
    for (uint32_t i = 0; i < 4; i++) {
        caller_init(&callers[i], &rig, i, SHORT_MS);
        callers[i].padding = 20000;
        caller_start(&callers[i]);
    }
    for (uint32_t i = 0; i < 4; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, PYWATT_TIMEOUT);
        assert_true((uint64_t)callers[i].ended_ns >= callers[i].deadline_ns);
    }
    assert_false(pw_correlator_failed(rig.correlator));
    const uint64_t sent = atomic_load(&rig.counters.requests_sent) - 1;
    assert_true(sent >= 2 && sent < 4); /* no more than there was room for */
    struct caller next;
    caller_go(&next, &rig, 9, LONG_MS);
    peer_answer(&rig.peer, sent + 1);
    caller_join(&next);
    assert_own_reply(&next);
    assert_int_equal(atomic_load(&rig.counters.replies_dropped), sent);
    rig_end(&rig);
}

static void full_output_refuses_posts_and_tells_when_there_is_room(void **state)
{
    (void)state;
    enum {
        MOST = 1000
    };
    struct rig rig;
    start_small(&rig, 70000);
    struct posted *posted = calloc(MOST, sizeof(*posted));
    uint32_t count = 0;
    while (count < MOST && posted_post(&posted[count], &rig, count, LONG_MS) == PYWATT_OK) {
        pw_correlator_flush(rig.correlator);
        count++;
    }
    assert_true(count > 100 && count < MOST);
    const unsigned before = atomic_load(&rig.wakes);
    peer_drain(&rig);
    struct pollfd fd;
    assert_true(pw_correlator_pump_begin(rig.correlator, &fd));
    assert_int_equal(poll(&fd, 1, LONG_MS), 1);
    pw_correlator_pump_end(rig.correlator, fd.revents);
    assert_true(atomic_load(&rig.wakes) > before);
    assert_int_equal(posted_post(&posted[count], &rig, count, LONG_MS), PYWATT_OK);
    rig_end(&rig);
    for (uint32_t i = 0; i <= count; i++) {
        assert_int_equal(atomic_load(&posted[i].runs), 1);
    }
    free(posted);
}

/* ---- The deadlock --------------------------------------------------------------------------- */

enum {
    CALLERS = 12,
    ROUNDS = 20
};

struct busy_caller {
    struct caller caller;
    pthread_t thread;
    unsigned own_replies;
};

static void *call_again_and_again(void *user)
{
    struct busy_caller *busy = user;
    for (unsigned i = 0; i < ROUNDS; i++) {
        caller_run(&busy->caller);
        busy->own_replies += busy->caller.status == PYWATT_OK && busy->caller.own_reply;
    }
    return NULL;
}

/*
 * The peer takes a request and then sends a long reply, and takes no other before that is sent.
 * All requests are long, too. If those who wait for room did not read, both sides would wait for
 * each other.
 */
static void senders_that_wait_for_room_keep_reading(void **state)
{
    (void)state;
    struct rig rig;
    start_small(&rig, 100000);
    struct busy_caller callers[CALLERS];
    for (uint32_t i = 0; i < CALLERS; i++) {
        callers[i].own_replies = 0;
        caller_init(&callers[i].caller, &rig, i, LONG_MS);
        callers[i].caller.padding = 20000;
        assert_int_equal(
            pthread_create(&callers[i].thread, NULL, call_again_and_again, &callers[i]), 0);
    }
    for (uint32_t i = 0; i < CALLERS * ROUNDS; i++) {
        struct taken taken;
        assert_true(peer_take(&rig.peer, &taken));
        peer_put_long_reply(&rig.peer, &taken, 30000);
        peer_send(&rig.peer);
    }
    for (uint32_t i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        assert_int_equal(callers[i].own_replies, ROUNDS);
    }
    rig_end(&rig);
}

static bool has_finished(void *user)
{
    struct caller *caller = user;
    return atomic_load(&caller->finished);
}

/* The writer's role does not hold its owner for ever: others' frames are passed on. */
static void a_writer_gets_away_from_those_who_keep_adding(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    struct caller reader;
    caller_go(&reader, &rig, 1, LONG_MS);
    struct taken taken_reader;
    assert_true(peer_take(&rig.peer, &taken_reader));
    assert_true(rig_wait_reading(&rig));

    /* Whoever sends is held each time until another frame was added. */
    enum {
        ADDED = 40
    };
    struct posted posted[ADDED];
    struct caller writer;
    struct taken taken;
    atomic_store(&tap.hold_sends, true);
    caller_go(&writer, &rig, 2, LONG_MS);
    for (uint32_t i = 0; i < ADDED; i++) {
        tap_wait_held(&tap);
        if (i == 0) {
            assert_true(peer_take(&rig.peer, &taken));
            peer_put_reply(&rig.peer, &taken);
            peer_send(&rig.peer);
        }
        assert_int_equal(posted_post(&posted[i], &rig, 10 + i, LONG_MS), PYWATT_OK);
        sem_post(&tap.go);
    }
    tap_wait_held(&tap);
    assert_true(pw_test_wait_until(has_finished, &writer, LONG_MS));
    caller_join(&writer);
    assert_own_reply(&writer);
    tap_let_go(&tap);
    peer_answer(&rig.peer, ADDED);
    peer_put_reply(&rig.peer, &taken_reader);
    peer_send(&rig.peer);
    caller_join(&reader);
    assert_own_reply(&reader);
    rig_end(&rig);
    tap_end(&tap);
}

/* ---- Sending fails -------------------------------------------------------------------------- */

/* Nothing of it left: it may go to another connection. */
static void a_request_that_could_not_leave_is_unsent(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    atomic_store(&tap.fail_sends, true);
    struct caller caller;
    caller_init(&caller, &rig, 1, LONG_MS);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_CHANNEL);
    assert_true(caller.unsent);
    assert_string_equal(caller.error.text, "memory:rig: the tap fails");
    rig_end(&rig);
    tap_end(&tap);
}

/* Replies that came before still count; the one whose request left and got none is not unsent. */
static void replies_are_read_after_sending_failed(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    struct posted answered;
    struct posted unanswered;
    struct taken taken;
    assert_int_equal(posted_post(&answered, &rig, 1, LONG_MS), PYWATT_OK);
    assert_int_equal(posted_post(&unanswered, &rig, 2, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    assert_true(peer_take(&rig.peer, &taken));
    peer_put_reply(&rig.peer, &taken);
    peer_send(&rig.peer);
    atomic_store(&tap.fail_sends, true);
    struct caller caller;
    caller_init(&caller, &rig, 3, LONG_MS);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_CHANNEL);
    assert_true(caller.unsent);
    assert_int_equal(atomic_load(&answered.runs), 1);
    assert_int_equal(answered.status, PYWATT_OK);
    assert_int_equal(atomic_load(&unanswered.runs), 1);
    assert_int_equal(unanswered.status, PYWATT_CHANNEL);
    assert_string_equal(unanswered.text, caller.error.text);
    rig_end(&rig);
    tap_end(&tap);
}

/* With somebody asleep as the reader, it is he who finds the end. */
static void a_sleeping_reader_learns_that_sending_failed(void **state)
{
    (void)state;
    struct rig rig;
    struct tap tap;
    rig_start_tapped(&rig, &tap);
    rig_make_pipelined(&rig);
    struct caller a;
    struct caller b;
    struct taken taken;
    caller_go(&a, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    assert_true(rig_wait_reading(&rig));
    atomic_store(&tap.fail_sends, true);
    const int64_t began_ns = pw_test_now_ns();
    caller_go(&b, &rig, 2, LONG_MS);
    caller_join(&a);
    caller_join(&b);
    assert_int_equal(a.status, PYWATT_CHANNEL);
    assert_int_equal(b.status, PYWATT_CHANNEL);
    assert_string_equal(a.error.text, b.error.text);
    assert_string_equal(a.error.text, "memory:rig: the tap fails");
    assert_false(a.unsent);
    assert_true(b.unsent);
    assert_true(caller_ended_after_ms(&a, began_ns) < SOON_MS);
    assert_true(caller_ended_after_ms(&b, began_ns) < SOON_MS);
    rig_end(&rig);
    tap_end(&tap);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_sleeping_reader_learns_that_there_is_something_to_send),
        cmocka_unit_test(a_sleeping_pump_learns_that_there_is_something_to_send),
        cmocka_unit_test(blocked_output_wakes_the_pump),
        cmocka_unit_test(a_stuck_stream_times_calls_out_and_recovers),
        cmocka_unit_test(full_output_refuses_posts_and_tells_when_there_is_room),
        cmocka_unit_test(senders_that_wait_for_room_keep_reading),
        cmocka_unit_test(a_writer_gets_away_from_those_who_keep_adding),
        cmocka_unit_test(a_request_that_could_not_leave_is_unsent),
        cmocka_unit_test(replies_are_read_after_sending_failed),
        cmocka_unit_test(a_sleeping_reader_learns_that_sending_failed),
    };
    return PW_TEST_RUN(cases);
}

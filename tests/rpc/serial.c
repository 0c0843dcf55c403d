/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peers that echo no request id, and peers of which it is not known yet: one request at a time,
 * matched by order, and no way back once the order is lost.
 */
#include "rig.h"

#include <string.h>

enum {
    LONG_MS = 5000,
    SHORT_MS = 50
};

/* `count` callers in the order of their numbers, of which the first one's request is under way. */
static void start_callers(struct rig *rig, struct caller *callers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        caller_go(&callers[i], rig, i, LONG_MS);
        assert_true(rig_wait_in_flight(rig, 1));
        assert_true(rig_wait_waiting(rig, i));
    }
}

static void requests_go_one_by_one_in_the_order_of_their_callers(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[8];
    start_callers(&rig, callers, 8);
    for (uint32_t i = 0; i < 8; i++) {
        struct taken taken;
        assert_true(peer_take(&rig.peer, &taken));
        assert_int_equal(taken.number, i);
        assert_false(peer_has_input(&rig.peer));
        peer_put_reply_without_id(&rig.peer, &taken);
        peer_send(&rig.peer);
    }
    for (uint32_t i = 0; i < 8; i++) {
        caller_join(&callers[i]);
        assert_own_reply(&callers[i]);
    }
    assert_false(rig_info(&rig).pipelined);
    rig_end(&rig);
}

static void the_first_reply_with_an_id_opens_the_window(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.options.max_in_flight = 4;
    rig_connect(&rig);
    struct caller callers[8];
    struct taken taken[8];
    start_callers(&rig, callers, 8);
    assert_true(peer_take(&rig.peer, &taken[0]));
    assert_false(peer_has_input(&rig.peer));
    peer_put_reply(&rig.peer, &taken[0]);
    peer_send(&rig.peer);
    for (uint32_t i = 1; i < 5; i++) {
        assert_true(peer_take(&rig.peer, &taken[i]));
        assert_int_equal(taken[i].number, i);
    }
    assert_true(rig_wait_waiting(&rig, 3));
    assert_false(peer_has_input(&rig.peer));
    assert_true(rig_info(&rig).pipelined);
    for (uint32_t i = 1; i < 5; i++) {
        peer_put_reply(&rig.peer, &taken[i]);
    }
    peer_send(&rig.peer);
    peer_answer(&rig.peer, 3);
    for (uint32_t i = 0; i < 8; i++) {
        caller_join(&callers[i]);
        assert_own_reply(&callers[i]);
    }
    rig_end(&rig);
}

/* One that began to echo ids is believed from then on. */
static void a_serial_peer_may_turn_out_to_echo_ids(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[3];
    struct taken taken;
    start_callers(&rig, callers, 3);
    assert_true(peer_take(&rig.peer, &taken));
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    peer_answer(&rig.peer, 2);
    for (uint32_t i = 0; i < 3; i++) {
        caller_join(&callers[i]);
        assert_own_reply(&callers[i]);
    }
    assert_true(rig_info(&rig).pipelined);
    rig_end(&rig);
}

static void expect_given_up(struct rig *rig, struct caller *callers, uint32_t count,
                            enum pywatt_status first)
{
    for (uint32_t i = 0; i < count; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, i == 0 ? first : PYWATT_CHANNEL);
        assert_int_equal(callers[i].unsent, i > 0);
    }
    assert_true(pw_correlator_failed(rig->correlator));
    assert_false(pw_correlator_barren(rig->correlator));
}

struct going {
    struct rig *rig;
    struct caller *caller;
};

static bool is_sent_or_late(void *user)
{
    const struct going *going = user;
    return atomic_load(&going->caller->finished) || peer_has_input(&going->rig->peer);
}

/*
 * A request whose reply will be overdue. Its time may be over before it is sent, on a machine that is
 * busy; that ends nothing, so it is tried with more.
 */
static void send_overdue(struct rig *rig, struct caller *caller, struct taken *taken)
{
    struct going going = {rig, caller};
    for (unsigned ms = SHORT_MS;; ms *= 4) {
        caller_go(caller, rig, 0, ms);
        assert_true(pw_test_wait_until(is_sent_or_late, &going, 4 * ms + LONG_MS));
        if (peer_has_input(&rig->peer)) {
            break;
        }
        caller_join(caller);
        assert_int_equal(caller->status, PYWATT_TIMEOUT);
    }
    assert_true(peer_take(&rig->peer, taken));
}

/* Whose reply would the next one be? Those who wait for their turn can go elsewhere. */
static void an_overdue_reply_ends_the_connection(void **state)
{
    (void)state;
    for (unsigned known = 0; known < 2; known++) {
        struct rig rig;
        struct caller callers[3];
        struct taken taken;
        rig_start(&rig);
        if (known != 0) {
            caller_go(&callers[0], &rig, 9, LONG_MS);
            assert_true(peer_take(&rig.peer, &taken));
            peer_put_reply_without_id(&rig.peer, &taken);
            peer_send(&rig.peer);
            caller_join(&callers[0]);
            assert_own_reply(&callers[0]);
        }
        send_overdue(&rig, &callers[0], &taken);
        caller_go(&callers[1], &rig, 1, LONG_MS);
        caller_go(&callers[2], &rig, 2, LONG_MS);
        expect_given_up(&rig, callers, 3, PYWATT_TIMEOUT);
        assert_non_null(strstr(callers[1].error.text, "closed after a reply was overdue"));
        rig_end(&rig);
    }
}

/* The next request must not go before the reply is known to be one. */
static void an_unreadable_reply_ends_the_connection(void **state)
{
    (void)state;
    static const char payload[] = "{\"response_type\":\"heartbeat\",\"success\":7}";
    struct rig rig;
    rig_start(&rig);
    struct caller callers[3];
    struct taken taken;
    start_callers(&rig, callers, 3);
    assert_true(peer_take(&rig.peer, &taken));
    peer_put_frame(&rig.peer, 1, payload, sizeof(payload) - 1);
    peer_send(&rig.peer);
    expect_given_up(&rig, callers, 3, PYWATT_SERIALIZATION);
    assert_non_null(strstr(callers[1].error.text, "closed after a reply that cannot be read"));
    rig_end(&rig);
}

/* So is one that answers another operation: the order is lost already. */
static void a_reply_to_something_else_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[2];
    struct taken taken;
    start_callers(&rig, callers, 2);
    assert_true(peer_take(&rig.peer, &taken));
    taken.operation = PW_OP_CAPABILITIES;
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    expect_given_up(&rig, callers, 2, PYWATT_SERIALIZATION);
    rig_end(&rig);
}

static void a_second_reply_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller caller;
    struct taken taken;
    caller_go(&caller, &rig, 0, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&caller);
    assert_own_reply(&caller);
    assert_true(pw_correlator_failed(rig.correlator));
    rig_end(&rig);
}

/* Who gives up before his turn has disturbed nothing. */
static void a_caller_that_times_out_before_its_turn_ends_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[3];
    struct taken taken;
    start_callers(&rig, callers, 1);
    assert_true(peer_take(&rig.peer, &taken));
    caller_go(&callers[1], &rig, 1, SHORT_MS);
    caller_go(&callers[2], &rig, 2, LONG_MS);
    caller_join(&callers[1]);
    assert_int_equal(callers[1].status, PYWATT_TIMEOUT);
    assert_non_null(strstr(callers[1].error.text, "could not be sent before the deadline"));
    assert_true(rig_wait_waiting(&rig, 1));
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    assert_true(peer_take(&rig.peer, &taken));
    assert_int_equal(taken.number, 2);
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&callers[0]);
    caller_join(&callers[2]);
    assert_own_reply(&callers[0]);
    assert_own_reply(&callers[2]);
    assert_int_equal(atomic_load(&rig.counters.requests_sent), 2);
    rig_end(&rig);
}

/* Turns are taken by whoever completes the call before: the sleeper need not wake for that. */
static void a_sleeper_gets_its_turn_while_it_sleeps(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[2];
    struct taken taken;
    start_callers(&rig, callers, 2);
    assert_true(rig_wait_parked(&rig, 1));
    peer_answer(&rig.peer, 2);
    caller_join(&callers[0]);
    caller_join(&callers[1]);
    assert_own_reply(&callers[0]);
    assert_own_reply(&callers[1]);
    (void)taken;
    rig_end(&rig);
}

/* ---- Posts on such connections -------------------------------------------------------------- */

/* A refused post gets the room next, though callers queue without end. */
static void callers_do_not_starve_posts(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[3];
    struct taken taken;
    struct posted posted;
    start_callers(&rig, callers, 1);
    assert_true(peer_take(&rig.peer, &taken));
    assert_int_equal(posted_post(&posted, &rig, 100, LONG_MS), PYWATT_UNAVAILABLE);
    caller_go(&callers[1], &rig, 1, LONG_MS);
    caller_go(&callers[2], &rig, 2, LONG_MS);
    assert_true(rig_wait_waiting(&rig, 2));
    const unsigned wakes = atomic_load(&rig.wakes);
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&callers[0]);
    assert_own_reply(&callers[0]);
    assert_true(atomic_load(&rig.wakes) > wakes);
    assert_int_equal(rig_info(&rig).in_flight, 0);
    assert_false(peer_has_input(&rig.peer));

    assert_int_equal(posted_post(&posted, &rig, 100, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    assert_true(peer_take(&rig.peer, &taken));
    assert_int_equal(taken.number, 100);
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    assert_true(posted_wait(&posted));
    assert_true(posted.own_reply);
    for (uint32_t i = 1; i < 3; i++) {
        assert_true(peer_take(&rig.peer, &taken));
        peer_put_reply_without_id(&rig.peer, &taken);
        peer_send(&rig.peer);
    }
    caller_join(&callers[1]);
    caller_join(&callers[2]);
    assert_own_reply(&callers[1]);
    assert_own_reply(&callers[2]);
    rig_end(&rig);
}

static unsigned encoded;

static enum pywatt_status encode_and_count(const struct pw_request *request, struct pw_buffer *out,
                                           struct pywatt_error *error)
{
    encoded++;
    return pw_codec_by_name("json")->encode_request(request, out, error);
}

/* However often it is offered. */
static void a_post_is_encoded_once(void **state)
{
    (void)state;
    struct pw_codec_ops codec = *pw_codec_by_name("json");
    struct rig rig;
    codec.encode_request = encode_and_count;
    rig_init(&rig);
    rig.options.codec = &codec;
    rig_connect(&rig);
    struct posted posted[2];
    struct taken taken;
    assert_int_equal(posted_post(&posted[0], &rig, 0, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    encoded = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(posted_post(&posted[1], &rig, 1, LONG_MS), PYWATT_UNAVAILABLE);
    }
    assert_int_equal(encoded, 0);
    assert_true(peer_take(&rig.peer, &taken));
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    pump_until_run(&rig, &posted[0]);
    assert_int_equal(posted_post(&posted[1], &rig, 1, LONG_MS), PYWATT_OK);
    assert_int_equal(encoded, 1);
    rig_end(&rig);
}

/* A pump that looks, and does not want the room any more, gives it to the callers. */
static void room_kept_for_a_post_is_given_up_when_the_pump_has_looked(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[2];
    struct taken taken;
    struct posted posted;
    start_callers(&rig, callers, 1);
    assert_true(peer_take(&rig.peer, &taken));
    assert_int_equal(posted_post(&posted, &rig, 100, LONG_MS), PYWATT_UNAVAILABLE);
    caller_go(&callers[1], &rig, 1, LONG_MS);
    assert_true(rig_wait_waiting(&rig, 1));
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&callers[0]);
    assert_false(peer_has_input(&rig.peer));
    struct pollfd fd;
    assert_false(pw_correlator_pump_begin(rig.correlator, &fd));
    assert_true(peer_take(&rig.peer, &taken));
    assert_int_equal(taken.number, 1);
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&callers[1]);
    assert_own_reply(&callers[1]);
    rig_end(&rig);
}

/* The pump's own thread: a provider is asked there, and may call. */
static void *be_refused_and_call(void *arg)
{
    struct caller *caller = arg;
    struct posted posted;
    struct rig rig = {.correlator = caller->correlator};
    if (posted_post(&posted, &rig, 100, LONG_MS) == PYWATT_UNAVAILABLE) {
        caller_run(caller);
    }
    return NULL;
}

static void room_kept_for_a_post_does_not_stand_in_its_own_threads_way(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct caller callers[2];
    struct taken taken;
    start_callers(&rig, callers, 1);
    assert_true(peer_take(&rig.peer, &taken));
    caller_init(&callers[1], &rig, 1, LONG_MS);
    assert_int_equal(pthread_create(&callers[1].thread, NULL, be_refused_and_call, &callers[1]), 0);
    assert_true(rig_wait_waiting(&rig, 1));
    peer_put_reply_without_id(&rig.peer, &taken);
    peer_send(&rig.peer);
    peer_answer(&rig.peer, 1);
    caller_join(&callers[0]);
    caller_join(&callers[1]);
    assert_own_reply(&callers[0]);
    assert_own_reply(&callers[1]);
    assert_true(atomic_load(&rig.wakes) > 0); /* what was refused is to be offered again */
    rig_end(&rig);
}

static void an_unreadable_reply_to_a_post_ends_the_connection(void **state)
{
    (void)state;
    static const char payload[] = "{\"response_type\":\"heartbeat\",\"success\":7}";
    struct rig rig;
    rig_start(&rig);
    struct posted posted;
    struct taken taken;
    struct caller caller;
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    caller_go(&caller, &rig, 2, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    assert_true(rig_wait_waiting(&rig, 1));
    peer_put_frame(&rig.peer, 1, payload, sizeof(payload) - 1);
    peer_send(&rig.peer);
    caller_join(&caller);
    assert_int_equal(caller.status, PYWATT_CHANNEL);
    assert_true(caller.unsent);
    assert_int_equal(atomic_load(&posted.runs), 1);
    assert_int_equal(posted.status, PYWATT_SERIALIZATION);
    rig_end(&rig);
}

static void an_overdue_post_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    struct fake_clock clock;
    fake_clock_init(&clock);
    rig_init(&rig);
    rig.options.clock = &clock.clock;
    rig_connect(&rig);
    struct posted posted;
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_pump_expire(rig.correlator);
    assert_int_equal(atomic_load(&posted.runs), 0);
    atomic_store(&clock.now_ns, pw_correlator_pump_deadline(rig.correlator));
    pw_correlator_pump_expire(rig.correlator);
    assert_int_equal(atomic_load(&posted.runs), 1);
    assert_int_equal(posted.status, PYWATT_TIMEOUT);
    assert_true(pw_correlator_failed(rig.correlator));
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(requests_go_one_by_one_in_the_order_of_their_callers),
        cmocka_unit_test(the_first_reply_with_an_id_opens_the_window),
        cmocka_unit_test(a_serial_peer_may_turn_out_to_echo_ids),
        cmocka_unit_test(an_overdue_reply_ends_the_connection),
        cmocka_unit_test(an_unreadable_reply_ends_the_connection),
        cmocka_unit_test(a_reply_to_something_else_ends_the_connection),
        cmocka_unit_test(a_second_reply_ends_the_connection),
        cmocka_unit_test(a_caller_that_times_out_before_its_turn_ends_nothing),
        cmocka_unit_test(a_sleeper_gets_its_turn_while_it_sleeps),
        cmocka_unit_test(callers_do_not_starve_posts),
        cmocka_unit_test(a_post_is_encoded_once),
        cmocka_unit_test(room_kept_for_a_post_is_given_up_when_the_pump_has_looked),
        cmocka_unit_test(room_kept_for_a_post_does_not_stand_in_its_own_threads_way),
        cmocka_unit_test(an_unreadable_reply_to_a_post_ends_the_connection),
        cmocka_unit_test(an_overdue_post_ends_the_connection),
    };
    return PW_TEST_RUN(cases);
}

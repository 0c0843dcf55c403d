/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How posted requests end other than by a good reply, and what may be done when one ends. The main
 * thread is the pump.
 */
#include "rig.h"

#include <poll.h>
#include <string.h>

enum {
    LONG_MS = 5000
};

static void what_cannot_be_posted_never_runs_done(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.options.max_frame_bytes = 100;
    rig_connect(&rig);
    struct posted posted;
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_LIMIT);
    rig_end(&rig);
    assert_int_equal(atomic_load(&posted.runs), 0);

    rig_start(&rig);
    struct pw_request request;
    make_beat(&request, 1);
    request.operation = PW_OP_REGISTER; /* which lacks its info */
    memset(&posted, 0, sizeof(posted));
    assert_int_equal(pw_correlator_post(rig.correlator, &request,
                                        (uint64_t)pw_test_deadline_ns(LONG_MS), &posted.post, NULL),
                     PYWATT_INVALID_ARGUMENT);

    pw_conn_shutdown(rig.peer.conn);
    struct caller caller;
    caller_init(&caller, &rig, 2, LONG_MS);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_CHANNEL);
    assert_int_equal(posted_post(&posted, &rig, 3, LONG_MS), PYWATT_CONNECTION);
    rig_end(&rig);
    assert_int_equal(atomic_load(&posted.runs), 0);

    rig_start(&rig);
    pw_correlator_fail(rig.correlator, PYWATT_CLOSED, "closed");
    assert_int_equal(posted_post(&posted, &rig, 4, LONG_MS), PYWATT_CLOSED);
    rig_end(&rig);
    assert_int_equal(atomic_load(&posted.runs), 0);
}

static void a_failure_ends_all_posts_once_and_wakes_the_pump(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted posted[20];
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(posted_post(&posted[i], &rig, i, LONG_MS), PYWATT_OK);
    }
    pw_correlator_flush(rig.correlator);
    pw_conn_shutdown(rig.peer.conn);
    const unsigned before = atomic_load(&rig.wakes);
    pump_until_run(&rig, &posted[0]);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(atomic_load(&posted[i].runs), 1);
        assert_int_equal(posted[i].status, PYWATT_CHANNEL);
        assert_string_equal(posted[i].text, "memory:rig: closed by the peer");
    }
    assert_int_equal(atomic_load(&rig.wakes), before + 1);
    assert_false(pump_once(&rig, 0));
    rig_end(&rig);
}

static void closing_ends_posts_within_the_call(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct posted posted;
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_fail(rig.correlator, PYWATT_CLOSED, "closed");
    assert_int_equal(atomic_load(&posted.runs), 1);
    assert_int_equal(posted.status, PYWATT_CLOSED);
    pw_correlator_fail(rig.correlator, PYWATT_CLOSED, "closed");
    assert_int_equal(atomic_load(&posted.runs), 1);
    rig_end(&rig);
}

/* A pump that waits for bytes notices the close. */
static void closing_wakes_a_waiting_pump(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct posted posted;
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    struct pollfd fd;
    assert_true(pw_correlator_pump_begin(rig.correlator, &fd));
    pw_correlator_fail(rig.correlator, PYWATT_CLOSED, "closed");
    assert_int_equal(poll(&fd, 1, LONG_MS), 1);
    pw_correlator_pump_end(rig.correlator, fd.revents);
    assert_int_equal(atomic_load(&posted.runs), 1);
    rig_end(&rig);
}

static void an_unreadable_reply_fails_its_own_post_only(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted posted[2];
    struct taken taken[2];
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(posted_post(&posted[i], &rig, i, LONG_MS), PYWATT_OK);
    }
    pw_correlator_flush(rig.correlator);
    assert_true(peer_take(&rig.peer, &taken[0]));
    assert_true(peer_take(&rig.peer, &taken[1]));
    taken[0].operation = PW_OP_UNREGISTER;
    peer_put_reply(&rig.peer, &taken[0]);
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    pump_until_run(&rig, &posted[0]);
    pump_until_run(&rig, &posted[1]);
    assert_int_equal(posted[0].status, PYWATT_SERIALIZATION);
    assert_int_equal(posted[1].status, PYWATT_OK);
    rig_end(&rig);
}

/* ---- What has not left ------------------------------------------------------------------------ */

static void what_has_not_left_may_be_posted_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct posted posted[4];
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(posted_post(&posted[i], &rig, i, LONG_MS), PYWATT_OK);
        if (i == 1) {
            pw_correlator_flush(rig.correlator);
        }
    }
    pw_conn_shutdown(rig.peer.conn);
    pump_until_run(&rig, &posted[0]);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(atomic_load(&posted[i].runs), 1);
        assert_int_equal(posted[i].status, i < 2 ? PYWATT_CHANNEL : PYWATT_CONNECTION);
        assert_string_equal(posted[i].text, "memory:rig: closed by the peer");
    }
    rig_end(&rig);
}

static void a_post_is_not_lost_with_a_connection_that_died_unused(void **state)
{
    (void)state;
    struct rig rig;
    struct fake_clock clock;
    fake_clock_init(&clock);
    rig_init(&rig);
    rig.options.clock = &clock.clock;
    rig_connect(&rig);
    rig_make_pipelined(&rig);
    struct posted posted;
    pw_conn_shutdown(rig.peer.conn);
    atomic_fetch_add(&clock.now_ns, 1000 * PW_NS_PER_MS);
    assert_int_equal(posted_post(&posted, &rig, 1, LONG_MS), PYWATT_CONNECTION);
    assert_int_equal(atomic_load(&posted.runs), 0);
    rig_end(&rig);
}

/* ---- Watching ---------------------------------------------------------------------------------- */

static void a_watch_keeps_no_caller_from_reading(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct pollfd fd;
    struct caller caller;
    assert_true(pw_correlator_watch_begin(rig.correlator, &fd));
    caller_go(&caller, &rig, 1, LONG_MS);
    peer_answer(&rig.peer, 1);
    caller_join(&caller);
    assert_own_reply(&caller);
    assert_int_equal(poll(&fd, 1, 0), 0);
    pw_correlator_watch_end(rig.correlator, true, 0);
    assert_false(pw_correlator_failed(rig.correlator));
    rig_end(&rig);
}

static void a_watch_sees_the_peer_go(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    rig_make_pipelined(&rig);
    struct pollfd fd;
    assert_true(pw_correlator_watch_begin(rig.correlator, &fd));
    pw_conn_shutdown(rig.peer.conn);
    assert_int_equal(poll(&fd, 1, LONG_MS), 1);
    const unsigned wakes = atomic_load(&rig.wakes);
    pw_correlator_watch_end(rig.correlator, true, fd.revents);
    assert_true(pw_correlator_failed(rig.correlator));
    assert_int_equal(atomic_load(&rig.wakes), wakes + 1);
    assert_false(pw_correlator_watch_begin(rig.correlator, &fd));
    rig_end(&rig);
}

/* ---- Posting from within done --------------------------------------------------------------- */

struct chain {
    struct pw_post post;
    struct rig *rig;
    unsigned left;
    unsigned runs;
    enum pywatt_status last;
};

static enum pywatt_status chain_post(struct chain *chain)
{
    struct pw_request request;
    make_beat(&request, chain->left);
    return pw_correlator_post(chain->rig->correlator, &request,
                              (uint64_t)pw_test_deadline_ns(LONG_MS), &chain->post, NULL);
}

static void chain_done(struct pw_post *post, enum pywatt_status status,
                       const struct pw_response *response, const struct pywatt_error *error)
{
    (void)response;
    (void)error;
    struct chain *chain = PW_CONTAINER_OF(post, struct chain, post);
    chain->runs++;
    chain->last = status;
    if (chain->left > 0) {
        chain->left--;
        chain->last = chain_post(chain);
        pw_correlator_flush(chain->rig->correlator);
    }
}

static void done_may_post_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_start(&rig);
    struct chain chain = {.post = {.done = chain_done}, .rig = &rig, .left = 20};
    assert_int_equal(chain_post(&chain), PYWATT_OK);
    pw_correlator_flush(rig.correlator);
    for (unsigned i = 0; i < 20; i++) {
        peer_answer(&rig.peer, 1);
        assert_true(pump_once(&rig, LONG_MS));
    }
    assert_int_equal(chain.runs, 20);
    assert_int_equal(chain.last, PYWATT_OK);
    pw_correlator_fail(rig.correlator, PYWATT_CLOSED, "closed");
    assert_int_equal(chain.runs, 21);
    assert_int_equal(chain.last, PYWATT_CLOSED);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_cannot_be_posted_never_runs_done),
        cmocka_unit_test(a_failure_ends_all_posts_once_and_wakes_the_pump),
        cmocka_unit_test(closing_ends_posts_within_the_call),
        cmocka_unit_test(closing_wakes_a_waiting_pump),
        cmocka_unit_test(an_unreadable_reply_fails_its_own_post_only),
        cmocka_unit_test(what_has_not_left_may_be_posted_again),
        cmocka_unit_test(a_post_is_not_lost_with_a_connection_that_died_unused),
        cmocka_unit_test(a_watch_keeps_no_caller_from_reading),
        cmocka_unit_test(a_watch_sees_the_peer_go),
        cmocka_unit_test(done_may_post_again),
    };
    return PW_TEST_RUN(cases);
}

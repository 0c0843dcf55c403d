/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a peer can send that is no reply, and what each costs: that call, or the connection; never
 * anything else.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

enum {
    LONG_MS = 5000
};

/* Sends what is in the peer's output to two callers; all of it must end with `status`. */
static void expect_end(struct rig *rig, enum pywatt_status status, const char *words)
{
    struct caller callers[2];
    struct taken taken;
    for (uint32_t i = 0; i < 2; i++) {
        caller_go(&callers[i], rig, i, LONG_MS);
        assert_true(peer_take(&rig->peer, &taken));
    }
    peer_send(&rig->peer);
    for (uint32_t i = 0; i < 2; i++) {
        caller_join(&callers[i]);
        assert_int_equal(callers[i].status, status);
        assert_int_equal(callers[i].error.status, status);
        assert_string_equal(callers[i].error.text, callers[0].error.text);
        if (strstr(callers[i].error.text, words) == NULL) {
            fail_msg("'%s' is not in '%s'", words, callers[i].error.text);
        }
        assert_false(callers[i].unsent);
    }
    assert_true(pw_correlator_failed(rig->correlator));
    assert_false(pw_correlator_barren(rig->correlator));
    rig_end(rig);
}

static void start_pipelined(struct rig *rig)
{
    rig_start(rig);
    rig_make_pipelined(rig);
}

static void an_unknown_format_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    peer_put_frame(&rig.peer, 9, "hello", 5);
    expect_end(&rig, PYWATT_SERIALIZATION,
               "memory:rig: the peer sent what is no reply: a frame of "
               "format 9, 5 bytes");
}

static void what_is_no_message_ends_the_connection(void **state)
{
    (void)state;
    static const char *const payloads[] = {"{", "[]", "", "{\"request_id\":", "\x82\xa2id"};
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        struct rig rig;
        start_pipelined(&rig);
        peer_put_frame(&rig.peer, 1, payloads[i], strlen(payloads[i]));
        expect_end(&rig, PYWATT_SERIALIZATION, "no reply");
    }
}

static void http_ends_the_connection(void **state)
{
    (void)state;
    static const char page[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct rig rig;
    start_pipelined(&rig);
    peer_put_bytes(&rig.peer, page, sizeof(page) - 1);
    expect_end(&rig, PYWATT_LIMIT, "max_frame_bytes is 1048576");
}

static void a_length_over_the_limit_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    peer_put_bytes(&rig.peer, "\xff\xff\xff\xff", 4);
    expect_end(&rig, PYWATT_LIMIT, "a frame of 4294967295 bytes, and max_frame_bytes is 1048576");
}

static void a_frame_just_over_the_limit_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    peer_put_bytes(&rig.peer, "\x00\x10\x00\x01", 4);
    expect_end(&rig, PYWATT_LIMIT, "a frame of 1048577 bytes");
}

/* A peer that echoes ids does so always: what comes without one is nobody's. */
static void a_reply_without_id_ends_a_pipelined_connection(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    const struct taken nobody = {.operation = PW_OP_HEARTBEAT};
    peer_put_reply_without_id(&rig.peer, &nobody);
    expect_end(&rig, PYWATT_SERIALIZATION, "belongs to no request");
}

static void an_end_within_a_frame_is_told(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    struct caller caller;
    struct taken taken;
    caller_go(&caller, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    peer_put_reply(&rig.peer, &taken);
    peer_send_some(&rig.peer, 20);
    pw_conn_shutdown(rig.peer.conn);
    caller_join(&caller);
    assert_int_equal(caller.status, PYWATT_CHANNEL);
    assert_string_equal(caller.error.text,
                        "memory:rig: closed by the peer in the middle of a reply");
    rig_end(&rig);
}

/* What came before the end still counts. */
static void replies_before_the_end_are_delivered(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    struct caller callers[2];
    struct taken taken[2];
    for (uint32_t i = 0; i < 2; i++) {
        caller_go(&callers[i], &rig, i, LONG_MS);
        assert_true(peer_take(&rig.peer, &taken[i]));
    }
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    pw_conn_shutdown(rig.peer.conn);
    caller_join(&callers[0]);
    caller_join(&callers[1]);
    assert_int_equal(callers[0].status, PYWATT_CHANNEL);
    assert_own_reply(&callers[1]);
    rig_end(&rig);
}

/* The body of a reply whose id is known is that caller's matter alone. */
static void an_unreadable_body_fails_its_own_call_only(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    struct caller callers[2];
    struct taken taken[2];
    for (uint32_t i = 0; i < 2; i++) {
        caller_go(&callers[i], &rig, i, LONG_MS);
        assert_true(peer_take(&rig.peer, &taken[i]));
    }
    char id[PYWATT_UUID_TEXT_SIZE];
    char payload[200];
    pywatt_uuid_format(&taken[0].request_id, id);
    const int len = snprintf(payload, sizeof(payload),
                             "{\"request_id\":\"%s\",\"response_type\":\"heartbeat\"}", id);
    peer_put_frame(&rig.peer, 1, payload, (size_t)len);
    peer_put_reply(&rig.peer, &taken[1]);
    peer_send(&rig.peer);
    caller_join(&callers[0]);
    caller_join(&callers[1]);
    assert_int_equal(callers[0].status, PYWATT_SERIALIZATION);
    assert_non_null(strstr(callers[0].error.text,
                           "memory:rig: the reply to a heartbeat request cannot be read: "));
    assert_non_null(strstr(callers[0].error.text, "success"));
    assert_own_reply(&callers[1]);
    assert_false(pw_correlator_failed(rig.correlator));
    rig_end(&rig);
}

static void a_reply_to_something_else_is_no_reply(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    struct caller caller;
    struct taken taken;
    caller_go(&caller, &rig, 1, LONG_MS);
    assert_true(peer_take(&rig.peer, &taken));
    taken.operation = PW_OP_UNREGISTER;
    peer_put_reply(&rig.peer, &taken);
    peer_send(&rig.peer);
    caller_join(&caller);
    assert_int_equal(caller.status, PYWATT_SERIALIZATION);
    assert_string_equal(caller.error.text,
                        "memory:rig: a heartbeat request was answered with a unregister reply");
    assert_false(pw_correlator_failed(rig.correlator));
    rig_end(&rig);
}

/* The caller's arena bounds what it takes; the connection goes on. */
static void a_reply_over_the_arenas_budget_is_a_limit(void **state)
{
    (void)state;
    struct rig rig;
    start_pipelined(&rig);
    struct caller callers[2];
    struct taken taken;
    for (uint32_t i = 0; i < 2; i++) {
        caller_init(&callers[i], &rig, i, LONG_MS);
        callers[i].arena_budget = i == 0 ? 4096 : 65536;
        caller_start(&callers[i]);
        assert_true(peer_take(&rig.peer, &taken));
        peer_put_long_reply(&rig.peer, &taken, 8000);
        peer_send(&rig.peer);
        caller_join(&callers[i]);
    }
    assert_int_equal(callers[0].status, PYWATT_LIMIT);
    assert_non_null(strstr(callers[0].error.text, "is too long to be kept"));
    assert_own_reply(&callers[1]);
    rig_end(&rig);
}

/* A request over the limit is refused before anything is sent. */
static void a_request_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.options.max_frame_bytes = 5000;
    rig_connect(&rig);
    struct caller caller;
    caller_init(&caller, &rig, 1, LONG_MS);
    caller.padding = 6000;
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_LIMIT);
    assert_string_equal(caller.error.text,
                        "a heartbeat request is longer than max_frame_bytes, which is 5000");
    assert_false(caller.unsent);
    assert_false(peer_has_input(&rig.peer));

    caller_init(&caller, &rig, 2, LONG_MS);
    caller.padding = 4000;
    caller_start(&caller);
    peer_answer(&rig.peer, 1);
    caller_join(&caller);
    assert_own_reply(&caller);
    rig_end(&rig);
}

/* Nothing asked for, and yet something comes: it is found before the next request is sent. */
static void unasked_bytes_are_found_before_the_next_request(void **state)
{
    (void)state;
    struct rig rig;
    struct fake_clock clock;
    fake_clock_init(&clock);
    rig_init(&rig);
    rig.options.clock = &clock.clock;
    rig_connect(&rig);
    peer_put_bytes(&rig.peer, "SSH-2.0-x\r\n", 11);
    peer_send(&rig.peer);
    atomic_fetch_add(&clock.now_ns, PW_NS_PER_S);
    struct caller caller;
    caller_init(&caller, &rig, 1, LONG_MS);
    caller_run(&caller);
    assert_int_equal(caller.status, PYWATT_LIMIT);
    assert_true(caller.unsent);
    assert_true(pw_correlator_barren(rig.correlator));
    struct taken taken;
    assert_false(peer_take(&rig.peer, &taken));
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_unknown_format_ends_the_connection),
        cmocka_unit_test(what_is_no_message_ends_the_connection),
        cmocka_unit_test(http_ends_the_connection),
        cmocka_unit_test(a_length_over_the_limit_ends_the_connection),
        cmocka_unit_test(a_frame_just_over_the_limit_ends_the_connection),
        cmocka_unit_test(a_reply_without_id_ends_a_pipelined_connection),
        cmocka_unit_test(an_end_within_a_frame_is_told),
        cmocka_unit_test(replies_before_the_end_are_delivered),
        cmocka_unit_test(an_unreadable_body_fails_its_own_call_only),
        cmocka_unit_test(a_reply_to_something_else_is_no_reply),
        cmocka_unit_test(a_reply_over_the_arenas_budget_is_a_limit),
        cmocka_unit_test(a_request_over_the_limit_is_refused),
        cmocka_unit_test(unasked_bytes_are_found_before_the_next_request),
    };
    return PW_TEST_RUN(cases);
}

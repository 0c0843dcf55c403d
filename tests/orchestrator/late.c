/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Requests that are still in the store when their time is over, their peer goes, or the
 * orchestrator ends.
 */
#include "pipeline.h"
#include "slow_store.h"

#include <pthread.h>
#include <stdio.h>

/* ---- Endings ---- */

static void a_reply_that_is_not_ready_in_time_is_never_sent(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.store = slow_store_open(false);
    world.hooks.reply_timeout_ms = 50;
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&peer, "late", NULL, NULL));
    assert_true(send_beat(&peer, &who));
    assert_true(slow_store_await(world.store, 1));
    assert_true(peer_is_closed_by_other(&peer));
    /* The change itself goes on. */
    slow_store_end(world.store, 0, PYWATT_OK);
    const size_t at = world_await(&world, 1, PYWATT_EVENT_REGISTERED, NULL);
    assert_string_equal(world_event(&world, at).name, "late");
    const struct pywatt_uuid late = world_event(&world, at).id;
    /* Whoever asked for it is gone, so it is suspect: the next one gets the name. */
    world_await_liveness(&world, 0, &late, PYWATT_SUSPECT);
    peer_close(&peer);
    world_stop(&world);
}

/* Over TCP a peer that closed may still read; over memory: it is known to be gone at once. */
static void check_peer_that_goes(bool over_tcp)
{
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.store = slow_store_open(false);
    world.hooks.reply_timeout_ms = 3600000;
    world_start(&world);
    assert_true(peer_open(&peer, over_tcp ? world.url : world.memory_url, "protobuf"));
    assert_int_equal(peer_register(&peer, "here", &who), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_true(send_register(&peer, name, NULL, NULL));
    }
    assert_true(slow_store_await(world.store, 5));
    /* One is ready, behind others that are not. */
    slow_store_end(world.store, 3, PYWATT_OK);
    size_t at = world_await(&world, 1, PYWATT_EVENT_REGISTERED, NULL) + 1;
    peer_close(&peer);
    /* What hangs on the connection is suspect at once, and what comes later, too. */
    world_await_liveness(&world, 0, &who.id, PYWATT_SUSPECT);
    if (!over_tcp) {
        world_await_connections(&world, 0);
    }
    for (size_t left = 4; left > 0; left--) {
        /* The oldest one last: until then the connection may have replies to send. */
        slow_store_end(world.store, left - 1, PYWATT_OK);
        at = world_await(&world, at, PYWATT_EVENT_REGISTERED, NULL) + 1;
        const struct pywatt_uuid id = world_event(&world, at - 1).id;
        world_await_liveness(&world, at, &id, PYWATT_SUSPECT);
    }
    world_await_connections(&world, 0);
    assert_int_equal(world_stats(&world).modules, 6);
    world_stop(&world);
}

static void a_peer_may_go_while_its_request_is_in_the_store(void **state)
{
    (void)state;
    check_peer_that_goes(true);
    check_peer_that_goes(false);
}

static void stopping_does_not_wait_for_the_store_for_ever(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_prepare(&world);
    world.store = slow_store_open(true);
    world.hooks.stop_timeout_ms = 20;
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_true(send_register(&peer, "a", NULL, NULL));
    assert_true(send_register(&peer, "a", NULL, NULL));
    assert_true(slow_store_await(world.store, 1));
    pywatt_orchestrator_stop(world.orchestrator);
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
    /* Ends what is in the store, and then frees all of it. */
    world_stop(&world);
}

static void *stop(void *orchestrator)
{
    pywatt_orchestrator_stop(orchestrator);
    return NULL;
}

static void stopping_waits_for_replies_that_come_in_time(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    pthread_t thread;
    world_prepare(&world);
    world.store = slow_store_open(true);
    world.hooks.stop_timeout_ms = 60000;
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_true(send_register(&peer, "a", NULL, NULL));
    assert_true(slow_store_await(world.store, 1));
    assert_int_equal(pthread_create(&thread, NULL, stop, world.orchestrator), 0);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 1, PW_OP_REGISTER, PYWATT_OK);
    assert_true(peer_is_closed_by_other(&peer));
    pthread_join(thread, NULL);
    peer_close(&peer);
    world_stop(&world);
}

/* The one in the store ends with it; the others, which wait for it, must not begin then. */
static void what_waits_when_the_store_closes_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct peer peers[3];
    world_prepare(&world);
    world.store = slow_store_open(true);
    world.hooks.stop_timeout_ms = 20;
    world_start(&world);
    for (int i = 0; i < 3; i++) {
        world_peer(&world, &peers[i], "json");
        assert_true(send_register(&peers[i], "a", NULL, NULL));
    }
    await_requests(&world, 3);
    assert_true(slow_store_await(world.store, 1));
    assert_int_equal(slow_store_submitted(world.store), 1);
    world_stop(&world);
    assert_int_equal(slow_store_submitted_too_late(), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(peer_is_closed_by_other(&peers[i]));
        peer_close(&peers[i]);
    }
}

/*
 * It is registered again over another connection, which has gone when the store answers: then it
 * hangs on none, and the first one's end means nothing.
 */
static void a_module_does_not_stay_with_the_connection_that_it_was_taken_from(void **state)
{
    (void)state;
    struct world world;
    struct peer first;
    struct peer second;
    struct identity who;
    world_prepare(&world);
    world.store = slow_store_open(false);
    world_start(&world);
    world_peer(&world, &first, "json");
    assert_true(peer_open(&second, world.memory_url, "protobuf"));
    assert_int_equal(peer_register(&first, "a", &who), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&second, "a", &who.id, who.token));
    assert_true(slow_store_await(world.store, 1));
    peer_close(&second);
    world_await_connections(&world, 1);
    slow_store_end(world.store, 0, PYWATT_OK);
    const size_t at = world_await(&world, 0, PYWATT_EVENT_REREGISTERED, &who.id);
    world_await_liveness(&world, at, &who.id, PYWATT_SUSPECT);
    /* It is there on the first one still, and says so. */
    assert_int_equal(peer_beat(&first, &who, PYWATT_HEALTHY), PYWATT_OK);
    world_await_liveness(&world, at, &who.id, PYWATT_ALIVE);
    peer_close(&first);
    world_stop(&world);
}

/* ---- A worker that is held up ---- */

struct elapsed {
    int64_t until_ns;
};

static bool is_over(void *user)
{
    return pw_test_now_ns() >= ((const struct elapsed *)user)->until_ns;
}

/* The one thing that only time brings about: a deadline that has passed. */
static void let_pass(unsigned ms)
{
    struct elapsed elapsed = {.until_ns = pw_test_now_ns() + (int64_t)ms * 1000000};
    assert_true(pw_test_wait_until(is_over, &elapsed, ms + 60000));
}

/* It is ready in time, and would go out too late. */
static void a_reply_that_its_worker_sees_too_late_is_never_sent(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer blocker;
    world_prepare(&world);
    world.store = slow_store_open(true);
    world.options.workers = 1;
    world.hooks.reply_timeout_ms = 2000;
    world_start(&world);
    world_peer(&world, &peer, "json");
    world_peer(&world, &blocker, "json");
    assert_true(send_register(&peer, "late", NULL, NULL));
    assert_true(slow_store_await(world.store, 1));
    slow_store_set_blocked(world.store, true);
    assert_true(send_register(&blocker, "in the way", NULL, NULL));
    assert_true(slow_store_await_blocked(world.store));
    slow_store_end(world.store, 0, PYWATT_OK);
    let_pass(2100);
    slow_store_set_blocked(world.store, false);
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
    peer_close(&blocker);
    world_stop(&world);
}

/* ---- Silence ---- */

/* A peer that waits for what it asked for is not idle. */
static void a_peer_that_waits_for_the_store_is_not_silent(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer silent;
    world_prepare(&world);
    world.store = slow_store_open(true);
    world.options.idle_timeout_ms = 200;
    world.hooks.reply_timeout_ms = 3600000;
    world_start(&world);
    world_peer(&world, &peer, "json");
    world_peer(&world, &silent, "json");
    assert_true(send_register(&peer, "patient", NULL, NULL));
    assert_true(slow_store_await(world.store, 1));
    assert_true(peer_is_closed_by_other(&silent));
    let_pass(400);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 1, PW_OP_REGISTER, PYWATT_OK);
    /* From its reply on it is. */
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
    peer_close(&silent);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_reply_that_is_not_ready_in_time_is_never_sent),
        cmocka_unit_test(a_peer_may_go_while_its_request_is_in_the_store),
        cmocka_unit_test(stopping_does_not_wait_for_the_store_for_ever),
        cmocka_unit_test(stopping_waits_for_replies_that_come_in_time),
        cmocka_unit_test(a_reply_that_its_worker_sees_too_late_is_never_sent),
        cmocka_unit_test(a_peer_that_waits_for_the_store_is_not_silent),
        cmocka_unit_test(what_waits_when_the_store_closes_is_refused),
        cmocka_unit_test(a_module_does_not_stay_with_the_connection_that_it_was_taken_from),
    };
    return PW_TEST_RUN(cases);
}

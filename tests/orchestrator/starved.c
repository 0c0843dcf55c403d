/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A worker that is held up: what lies in its sockets counts, and is answered before the end.
 */
#include "slow_store.h"
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* More than a worker looks at in one go. */
    PEERS = 400,
    /* Fewer bytes than any socket has room for. */
    BEATS = 100
};

static void begin(struct world *world)
{
    world_prepare(world);
    world->options.workers = 1;
    world->hooks.stop_timeout_ms = 60000;
    world->store = slow_store_open(false);
    world_start(world);
}

static bool send_register(struct peer *peer, const char *name)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    struct pw_request request = register_of(info);
    const bool sent = peer_send(peer, &request);
    pywatt_module_info_free(info);
    return sent;
}

/* Holds the only worker up, inside of a registration of this peer. */
static void hold_up(struct world *world, struct peer *peer)
{
    slow_store_set_blocked(world->store, true);
    assert_true(send_register(peer, "in the way"));
    assert_true(slow_store_await_blocked(world->store));
}

/* ---- Leases ---- */

static size_t length(const struct pw_list *list)
{
    size_t count = 0;
    for (const struct pw_list *link = list->next; link != list; link = link->next) {
        count++;
    }
    return count;
}

struct doomed {
    struct world *world;
    size_t count;
};

/* All leases are over, and the lease thread waits for the worker. */
static bool all_are_doomed(void *user)
{
    const struct doomed *wanted = user;
    struct pw_lease *lease = &wanted->world->orchestrator->lease;
    pw_mutex_lock(&lease->mutex);
    const size_t count = length(&lease->doomed) + length(&lease->judged);
    const bool running = lease->pass_running;
    pw_mutex_unlock(&lease->mutex);
    return running && count == wanted->count;
}

static bool none_is_doomed(void *user)
{
    struct pw_lease *lease = &((struct world *)user)->orchestrator->lease;
    pw_mutex_lock(&lease->mutex);
    const bool none =
        pw_list_empty(&lease->doomed) && pw_list_empty(&lease->judged) && !lease->pass_running;
    pw_mutex_unlock(&lease->mutex);
    return none;
}

/*
 * The leases are short, and on a machine that is slow enough they are over before the worker is held
 * up, or once more before anybody looks. That says nothing about whose beats count: then it is tried
 * again with longer ones.
 */
static bool are_doomed_or_lost(void *user)
{
    const struct doomed *wanted = user;
    return all_are_doomed(user) || world_stats(wanted->world).modules_lost > 0;
}

/* False if it was too slow. */
static bool await_doom(struct world *world, size_t count)
{
    struct doomed wanted = {.world = world, .count = count};
    assert_true(pw_test_wait_until(are_doomed_or_lost, &wanted, 20000));
    return world_stats(world).modules_lost == 0;
}

/* Looks for nobody who is lost or suspect. False if it was too slow. */
static bool expect_all_alive(struct world *world, size_t from, int64_t began_ns, unsigned lease_ms)
{
    assert_true(pw_test_wait_until(none_is_doomed, world, 20000));
    const size_t end = world_event_count(world);
    if (pw_test_now_ns() - began_ns >= (int64_t)lease_ms * 1000000) {
        return false;
    }
    for (size_t i = from; i < end; i++) {
        assert_int_not_equal(world_event(world, i).kind, PYWATT_EVENT_LIVENESS);
    }
    return true;
}

static void try_with_longer_leases(bool (*attempt)(unsigned lease_ms))
{
    unsigned lease_ms = 400 * (pw_test_slow_factor() > 10 ? 25 : pw_test_slow_factor());
    while (!attempt(lease_ms)) {
        lease_ms *= 2;
        assert_true(lease_ms < 1000000);
    }
}

static bool try_beats_that_arrived(unsigned lease)
{
    struct world world;
    struct peer blocker;
    struct peer *peers = calloc(PEERS, sizeof(*peers));
    struct identity *who = calloc(PEERS, sizeof(*who));
    char lease_ms[16];
    snprintf(lease_ms, sizeof(lease_ms), "%u", lease);
    assert_non_null(peers);
    assert_non_null(who);
    begin(&world);
    assert_true(peer_open(&blocker, world.memory_url, "json"));
    for (int i = 0; i < PEERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_true(peer_open(&peers[i], world.memory_url, "protobuf"));
        assert_int_equal(peer_register_with(&peers[i], name, NULL, NULL, lease_ms, &who[i]),
                         PYWATT_OK);
    }
    hold_up(&world, &blocker);
    const bool in_time = await_doom(&world, PEERS);
    const size_t from = world_event_count(&world);
    for (int i = 0; i < PEERS; i++) {
        struct pw_request beat = beat_of(&who[i], PYWATT_HEALTHY);
        assert_true(peer_send(&peers[i], &beat));
    }
    const int64_t began_ns = pw_test_now_ns();
    slow_store_set_blocked(world.store, false);
    for (int i = 0; i < PEERS; i++) {
        assert_true(peer_receive(&peers[i]));
        assert_true(peers[i].response.success || !in_time);
    }
    assert_true(peer_receive(&blocker));
    const bool conclusive = in_time && expect_all_alive(&world, from, began_ns, lease);
    for (int i = 0; i < PEERS; i++) {
        peer_close(&peers[i]);
    }
    peer_close(&blocker);
    world_stop(&world);
    free(peers);
    free(who);
    return conclusive;
}

static void beats_that_have_arrived_count_before_anybody_is_lost(void **state)
{
    (void)state;
    try_with_longer_leases(try_beats_that_arrived);
}

/* ---- Whoever has connected, and was not accepted ---- */

static bool try_beats_that_wait_to_be_accepted(unsigned lease)
{
    enum {
        MODULES = 100
    };
    struct world world;
    struct peer blocker;
    struct peer first;
    struct peer again[MODULES];
    struct identity who[MODULES];
    char lease_ms[16];
    snprintf(lease_ms, sizeof(lease_ms), "%u", lease);
    begin(&world);
    assert_true(peer_open(&blocker, world.memory_url, "json"));
    assert_true(peer_open(&first, world.memory_url, "protobuf"));
    for (int i = 0; i < MODULES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(peer_register_with(&first, name, NULL, NULL, lease_ms, &who[i]),
                         PYWATT_OK);
    }
    hold_up(&world, &blocker);
    const bool in_time = await_doom(&world, MODULES);
    const size_t from = world_event_count(&world);
    for (int i = 0; i < MODULES; i++) {
        struct pw_request beat = beat_of(&who[i], PYWATT_HEALTHY);
        world_peer(&world, &again[i], "protobuf");
        assert_true(peer_send(&again[i], &beat));
    }
    const int64_t began_ns = pw_test_now_ns();
    slow_store_set_blocked(world.store, false);
    for (int i = 0; i < MODULES; i++) {
        assert_true(peer_receive(&again[i]));
        assert_true(again[i].response.success || !in_time);
    }
    const bool conclusive = in_time && expect_all_alive(&world, from, began_ns, lease);
    for (int i = 0; i < MODULES; i++) {
        peer_close(&again[i]);
    }
    peer_close(&first);
    peer_close(&blocker);
    world_stop(&world);
    return conclusive;
}

static void beats_on_connections_that_wait_to_be_accepted_count(void **state)
{
    (void)state;
    try_with_longer_leases(try_beats_that_wait_to_be_accepted);
}

/* ---- Stopping ---- */

static void *stop(void *orchestrator)
{
    pywatt_orchestrator_stop(orchestrator);
    return NULL;
}

/* The worker has been told to stop, and has not heard it. */
static bool has_mail(void *user)
{
    struct pw_worker *worker = &((struct world *)user)->orchestrator->server.workers[0];
    pw_mutex_lock(&worker->mail_mutex);
    const bool any = !pw_list_empty(&worker->mail);
    pw_mutex_unlock(&worker->mail_mutex);
    return any;
}

/*
 * They are sent in one piece, so that all of them lie in the orchestrator's socket: what the
 * kernel still holds back on the peer's side, for want of room, has not arrived.
 */
static void what_lies_in_the_socket_is_answered_before_the_end(void **state)
{
    (void)state;
    struct world world;
    struct peer blocker;
    struct peer peer;
    struct identity who;
    pthread_t thread;
    begin(&world);
    world_peer(&world, &blocker, "json");
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    hold_up(&world, &blocker);
    assert_int_equal(pthread_create(&thread, NULL, stop, world.orchestrator), 0);
    assert_true(pw_test_wait_until(has_mail, &world, 20000));
    pw_buffer_clear(&peer.out);
    for (int i = 0; i < BEATS; i++) {
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        assert_true(peer_pack(&peer, &beat, &peer.out));
    }
    assert_true(peer_send_raw(&peer, pw_buffer_bytes(&peer.out), pw_buffer_len(&peer.out)));
    slow_store_set_blocked(world.store, false);
    for (int i = 0; i < BEATS; i++) {
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
    }
    assert_true(peer_is_closed_by_other(&peer));
    assert_true(peer_receive(&blocker));
    pthread_join(thread, NULL);
    peer_close(&peer);
    peer_close(&blocker);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(beats_that_have_arrived_count_before_anybody_is_lost),
        cmocka_unit_test(beats_on_connections_that_wait_to_be_accepted_count),
        cmocka_unit_test(what_lies_in_the_socket_is_answered_before_the_end),
    };
    return PW_TEST_RUN(cases);
}

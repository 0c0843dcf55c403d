/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * When a beat counts from, on a clock that the test can move under the orchestrator's feet.
 */
#include "slow_store.h"
#include "world.h"

#include <pthread.h>
#include <stdatomic.h>

#define MS PW_NS_PER_MS

/* The real time, and what the test adds to it. */
struct moved_clock {
    struct pw_clock base; /* first, so that a pointer to it is one to the whole */
    struct world *world;
    atomic_uint_fast64_t ahead_ns;
    atomic_bool stalls;  /* the worker stands still for ten seconds, right after it has looked */
    atomic_bool is_slow; /* each look of the worker's takes a millisecond */
};

static struct moved_clock moved;

static bool stall_is_known(void *user)
{
    return atomic_load(&((struct world *)user)->orchestrator->lease.stall_ns) >= 5000 * MS;
}

static bool is_worker(struct world *world)
{
    const struct pw_server *server = &world->orchestrator->server;
    return atomic_load(&server->counting) == 1 &&
           pthread_equal(pthread_self(), server->workers[0].thread) != 0;
}

static uint64_t moved_now(const struct pw_clock *clock)
{
    (void)clock;
    const uint64_t ahead_ns = atomic_load(&moved.ahead_ns);
    const uint64_t now_ns = pw_clock_now_ns(&pw_clock_monotonic) + ahead_ns;
    if (atomic_load(&moved.stalls) && is_worker(moved.world)) {
        atomic_store(&moved.stalls, false);
        atomic_fetch_add(&moved.ahead_ns, 10000 * MS);
        (void)pw_test_wait_until(stall_is_known, moved.world, 20000);
    } else if (atomic_load(&moved.is_slow) && is_worker(moved.world)) {
        atomic_fetch_add(&moved.ahead_ns, MS);
    }
    return now_ns;
}

static void begin(struct world *world)
{
    world_prepare(world);
    moved = (struct moved_clock){.base = {.now_ns = moved_now}, .world = world};
    world->options.workers = 1;
    world->hooks.clock = &moved.base;
    world->store = slow_store_open(false);
    world_start(world);
}

static uint64_t last_beat_ns(struct world *world, const struct identity *who)
{
    struct pw_shard *shard;
    const struct pw_module *module =
        pw_table_lock_module(&world->orchestrator->table, &who->id, &shard);
    assert_non_null(module);
    const uint64_t last_ns = module->last_beat_ns;
    pw_mutex_unlock(&shard->mutex);
    return last_ns;
}

static void a_stall_between_the_clock_and_the_beat_does_not_make_it_older(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    atomic_store(&moved.stalls, true);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_true(stall_is_known(&world));
    struct pywatt_module_view *view = world_view(&world, &who.id);
    assert_true(pywatt_module_view_silent_ns(view) < 5000 * MS);
    pywatt_module_view_free(view);
    peer_close(&peer);
    world_stop(&world);
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

/* Both are ready when the worker comes back to its sockets. */
static void each_event_of_a_batch_counts_from_its_own_moment(void **state)
{
    (void)state;
    struct world world;
    struct peer blocker;
    struct peer peers[2];
    struct identity who[2];
    begin(&world);
    world_peer(&world, &blocker, "json");
    for (int i = 0; i < 2; i++) {
        world_peer(&world, &peers[i], "json");
        assert_int_equal(peer_register(&peers[i], i == 0 ? "a" : "b", &who[i]), PYWATT_OK);
    }
    slow_store_set_blocked(world.store, true);
    assert_true(send_register(&blocker, "in the way"));
    assert_true(slow_store_await_blocked(world.store));
    for (int i = 0; i < 2; i++) {
        struct pw_request beat = beat_of(&who[i], PYWATT_HEALTHY);
        assert_true(peer_send(&peers[i], &beat));
    }
    atomic_store(&moved.is_slow, true);
    slow_store_set_blocked(world.store, false);
    for (int i = 0; i < 2; i++) {
        assert_true(peer_receive(&peers[i]));
        assert_true(peers[i].response.success);
    }
    atomic_store(&moved.is_slow, false);
    const uint64_t a_ns = last_beat_ns(&world, &who[0]);
    const uint64_t b_ns = last_beat_ns(&world, &who[1]);
    assert_true(a_ns > b_ns ? a_ns - b_ns >= MS : b_ns - a_ns >= MS);
    for (int i = 0; i < 2; i++) {
        peer_close(&peers[i]);
    }
    peer_close(&blocker);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_stall_between_the_clock_and_the_beat_does_not_make_it_older),
        cmocka_unit_test(each_event_of_a_batch_counts_from_its_own_moment),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Modules that are about to be forgotten or taken over while the store takes its time, and come
 * back: none is told that all is well, and is gone a moment later, nor that it is gone, and is not.
 */
#include "pipeline.h"
#include "slow_store.h"

static void begin(struct world *world)
{
    world_prepare(world);
    world->store = slow_store_open(false);
}

/* A lost module whose removal is in the store. */
static void begin_forgetting(struct world *world, struct peer *peer, struct identity *who)
{
    begin(world);
    world->options.retain_ms = 20;
    world_start(world);
    world_peer(world, peer, "json");
    assert_int_equal(peer_register_with(peer, "a", NULL, NULL, "30", who), PYWATT_OK);
    slow_store_set_slow(world->store, true);
    world_await_liveness(world, 0, &who->id, PYWATT_LOST);
    assert_true(slow_store_await(world->store, 1));
}

static void a_module_that_is_being_forgotten_may_register_again(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin_forgetting(&world, &peer, &who);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_UNAVAILABLE);
    slow_store_set_slow(world.store, false);
    assert_true(send_register(&peer, "a", &who.id, who.token)); /* 3 */
    await_requests(&world, 3);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 3, PW_OP_REGISTER, PYWATT_OK);
    assert_true(pywatt_uuid_equal(pywatt_registration_id(peer.response.registration), &who.id));
    const size_t at = world_await(&world, 0, PYWATT_EVENT_FORGOTTEN, &who.id);
    world_await(&world, at, PYWATT_EVENT_REGISTERED, &who.id);
    peer_close(&peer);
    world_stop(&world);
}

static void a_module_that_was_not_forgotten_after_all_beats_again(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin_forgetting(&world, &peer, &who);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_UNAVAILABLE);
    const size_t from = world_event_count(&world);
    slow_store_end(world.store, 0, PYWATT_UNAVAILABLE);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    world_await_liveness(&world, from, &who.id, PYWATT_ALIVE);
    assert_int_equal(world_count_events(&world, PYWATT_EVENT_FORGOTTEN, NULL), 0);
    peer_close(&peer);
    world_stop(&world);
}

/* A suspect module, and a thief of its name whose registration is in the store. */
static void begin_takeover(struct world *world, struct peer *thief, struct identity *who,
                           const struct pywatt_uuid *id)
{
    struct peer holder;
    begin(world);
    world_start(world);
    world_peer(world, &holder, "json");
    world_peer(world, thief, "json");
    assert_int_equal(peer_register(&holder, "a", who), PYWATT_OK);
    peer_close(&holder);
    world_await_liveness(world, 0, &who->id, PYWATT_SUSPECT);
    slow_store_set_slow(world->store, true);
    assert_true(send_register(thief, "a", id, NULL)); /* 1 */
    assert_true(slow_store_await(world->store, 1));
}

static const struct pywatt_uuid other_id = {.bytes = {0x17, 4, 0, 0, 0, 0, 0x40, 0, 0x80}};

static void check_takeover(const struct pywatt_uuid *id, enum pywatt_status fate)
{
    for (int taken = 0; taken < 2; taken++) {
        struct world world;
        struct peer thief;
        struct peer back;
        struct identity who;
        begin_takeover(&world, &thief, &who, id);
        world_peer(&world, &back, "protobuf");
        assert_int_equal(peer_beat(&back, &who, PYWATT_HEALTHY), PYWATT_UNAVAILABLE);
        assert_int_equal(world_liveness(&world, &who.id), PYWATT_SUSPECT);
        slow_store_end(world.store, 0, taken ? PYWATT_OK : PYWATT_IO);
        expect(&thief, 1, PW_OP_REGISTER, taken ? PYWATT_OK : PYWATT_UNAVAILABLE);
        assert_int_equal(peer_beat(&back, &who, PYWATT_HEALTHY), taken ? fate : PYWATT_OK);
        peer_close(&back);
        peer_close(&thief);
        world_stop(&world);
    }
}

static void a_module_that_is_being_taken_over_is_put_off_until_that_is_known(void **state)
{
    (void)state;
    check_takeover(NULL, PYWATT_INVALID_TOKEN);
    check_takeover(&other_id, PYWATT_MODULE_NOT_FOUND);
}

/* Who has the token takes nothing away: its beats go on. */
static void a_module_that_registers_again_with_its_token_beats_meanwhile(void **state)
{
    (void)state;
    struct world world;
    struct peer first;
    struct peer second;
    struct identity who;
    begin(&world);
    world_start(&world);
    world_peer(&world, &first, "json");
    world_peer(&world, &second, "json");
    assert_int_equal(peer_register(&first, "a", &who), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&second, "a", &who.id, who.token));
    assert_true(slow_store_await(world.store, 1));
    assert_int_equal(peer_beat(&first, &who, PYWATT_HEALTHY), PYWATT_OK);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&second, 1, PW_OP_REGISTER, PYWATT_OK);
    peer_close(&first);
    peer_close(&second);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_module_that_is_being_forgotten_may_register_again),
        cmocka_unit_test(a_module_that_was_not_forgotten_after_all_beats_again),
        cmocka_unit_test(a_module_that_is_being_taken_over_is_put_off_until_that_is_known),
        cmocka_unit_test(a_module_that_registers_again_with_its_token_beats_meanwhile),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A store that takes its time: what fails changes nothing, changes of one module follow each other.
 */
#include "pipeline.h"
#include "slow_store.h"

#include <pywatt/log.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static void begin(struct world *world, bool slow)
{
    world_prepare(world);
    world->store = slow_store_open(slow);
    world_start(world);
}

/* ---- Failure ---- */

static void what_the_store_does_not_take_changes_nothing(void **state)
{
    (void)state;
    const enum pywatt_status failures[] = {PYWATT_IO, PYWATT_STALE_GENERATION, PYWATT_UNAVAILABLE,
                                           PYWATT_LIMIT};
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct world world;
        struct peer peer;
        struct identity who;
        struct pywatt_module_view *view = NULL;
        begin(&world, false);
        world_peer(&world, &peer, "json");
        assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK); /* 1 */
        slow_store_set_slow(world.store, true);
        assert_true(send_register(&peer, "b", NULL, NULL)); /* 2 */
        assert_true(slow_store_await(world.store, 1));
        slow_store_end(world.store, 0, failures[i]);
        expect(&peer, 2, PW_OP_REGISTER, PYWATT_UNAVAILABLE);
        assert_int_equal(pywatt_orchestrator_find_by_name(world.orchestrator, "b", &view),
                         PYWATT_MODULE_NOT_FOUND);
        assert_true(send_unregister(&peer, &who)); /* 3 */
        assert_true(slow_store_await(world.store, 1));
        slow_store_end(world.store, 0, failures[i]);
        expect(&peer, 3, PW_OP_UNREGISTER, PYWATT_UNAVAILABLE);
        /* Still there, with its token; and the name and the id are free for the next change. */
        slow_store_set_slow(world.store, false);
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
        assert_int_equal(peer_advertise(&peer, &who, "/x"), PYWATT_OK);
        assert_int_equal(peer_register(&peer, "b", NULL), PYWATT_OK);
        assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
        peer_close(&peer);
        world_stop(&world);
    }
}

static void a_name_that_another_orchestrator_holds_is_taken(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    begin(&world, true);
    world_peer(&world, &peer, "json");
    assert_true(send_register(&peer, "b", NULL, NULL));
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_NAME_TAKEN);
    expect(&peer, 1, PW_OP_REGISTER, PYWATT_NAME_TAKEN);
    assert_string_equal(peer.error, "Module name 'b' is already taken");
    peer_close(&peer);
    world_stop(&world);
}

struct stored {
    unsigned count;
    struct pywatt_uuid id;
    char name[32];
    bool has_capabilities;
    uint8_t token_hash[PW_TOKEN_HASH_SIZE];
    uint64_t generation;
    uint64_t lease_ms;
};

static bool show(void *user, const struct pw_store_record *record)
{
    struct stored *stored = user;
    stored->count++;
    stored->id = record->id;
    snprintf(stored->name, sizeof(stored->name), "%s", pywatt_module_info_name(record->info->info));
    stored->has_capabilities = record->capabilities != NULL;
    memcpy(stored->token_hash, record->token_hash, sizeof(stored->token_hash));
    stored->generation = record->generation;
    stored->lease_ms = record->lease_ms;
    return true;
}

/* There is one record, and it says this. */
static void check_stored(struct world *world, const struct identity *who, const char *name,
                         bool has_capabilities)
{
    struct stored stored = {.count = 0};
    uint8_t hash[PW_TOKEN_HASH_SIZE];
    uint64_t revision;
    assert_int_equal(pw_store_list(world->store, show, &stored, &revision, NULL), PYWATT_OK);
    assert_int_equal(stored.count, 1);
    assert_true(pywatt_uuid_equal(&stored.id, &who->id));
    assert_string_equal(stored.name, name);
    assert_int_equal(stored.has_capabilities, has_capabilities);
    assert_int_equal(pw_token_hash(pw_str_from(who->token), hash), PYWATT_OK);
    assert_memory_equal(stored.token_hash, hash, sizeof(hash));
    assert_int_equal(stored.generation, who->generation);
    assert_int_equal(stored.lease_ms, who->lease_ms);
}

static void the_store_has_what_a_restart_needs(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer heir;
    struct identity who;
    begin(&world, false);
    world_peer(&world, &peer, "json");
    world_peer(&world, &heir, "json");
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, "500000", &who), PYWATT_OK);
    check_stored(&world, &who, "a", false);
    assert_int_equal(peer_advertise(&peer, &who, "/x"), PYWATT_OK);
    check_stored(&world, &who, "a", true);
    assert_int_equal(peer_register_with(&peer, "b", &who.id, who.token, "400000", &who), PYWATT_OK);
    check_stored(&world, &who, "b", true);
    assert_int_equal(peer_advertise(&peer, &who, "/y"), PYWATT_OK);
    check_stored(&world, &who, "b", true);
    peer_close(&peer);
    world_await_liveness(&world, 0, &who.id, PYWATT_SUSPECT);
    assert_int_equal(peer_register(&heir, "b", &who), PYWATT_OK);
    check_stored(&world, &who, "b", true);
    /* Beats do not go there. */
    const size_t submitted = slow_store_submitted(world.store);
    assert_int_equal(peer_beat(&heir, &who, PYWATT_UNHEALTHY), PYWATT_OK);
    assert_int_equal(slow_store_submitted(world.store), submitted);
    assert_int_equal(peer_unregister(&heir, &who), PYWATT_OK);
    struct stored stored = {.count = 0};
    uint64_t revision;
    assert_int_equal(pw_store_list(world.store, show, &stored, &revision, NULL), PYWATT_OK);
    assert_int_equal(stored.count, 0);
    peer_close(&heir);
    world_stop(&world);
}

/* ---- Changes that touch the same ---- */

static void the_second_registration_of_a_name_waits_for_the_first(void **state)
{
    (void)state;
    for (int good = 0; good < 2; good++) {
        struct world world;
        struct peer first;
        struct peer second;
        begin(&world, true);
        world_peer(&world, &first, "json");
        world_peer(&world, &second, "protobuf");
        assert_true(send_register(&first, "same", NULL, NULL));
        assert_true(slow_store_await(world.store, 1));
        assert_true(send_register(&second, "same", NULL, NULL));
        /* A third one shows that the second has been looked at. */
        assert_true(send_register(&second, "third", NULL, NULL));
        assert_true(slow_store_await(world.store, 2));
        assert_int_equal(slow_store_submitted(world.store), 2);
        slow_store_end(world.store, 1, PYWATT_OK);
        slow_store_end(world.store, 0, good ? PYWATT_OK : PYWATT_IO);
        expect(&first, 1, PW_OP_REGISTER, good ? PYWATT_OK : PYWATT_UNAVAILABLE);
        if (!good) {
            assert_true(slow_store_await(world.store, 1));
            slow_store_end(world.store, 0, PYWATT_OK);
        }
        expect(&second, 1, PW_OP_REGISTER, good ? PYWATT_NAME_TAKEN : PYWATT_OK);
        expect(&second, 2, PW_OP_REGISTER, PYWATT_OK);
        peer_close(&first);
        peer_close(&second);
        world_stop(&world);
    }
}

static void many_that_wait_for_one_name_come_each_in_its_turn(void **state)
{
    (void)state;
    enum {
        PEERS = 40
    };
    struct world world;
    struct peer peers[PEERS];
    unsigned granted = 0;
    begin(&world, true);
    for (int i = 0; i < PEERS; i++) {
        world_peer(&world, &peers[i], "protobuf");
        assert_true(send_register(&peers[i], "same", NULL, NULL));
    }
    /* The first five of them fail; whoever is the sixth gets it, and all others are refused. */
    for (int i = 0; i < 6; i++) {
        assert_true(slow_store_await(world.store, 1));
        slow_store_end(world.store, 0, i < 5 ? PYWATT_IO : PYWATT_OK);
    }
    unsigned unavailable = 0;
    unsigned taken = 0;
    for (int i = 0; i < PEERS; i++) {
        assert_true(peer_receive(&peers[i]));
        granted += peers[i].response.success;
        taken += !peers[i].response.success && peers[i].response.status == PYWATT_NAME_TAKEN;
        unavailable += !peers[i].response.success && peers[i].response.status == PYWATT_UNAVAILABLE;
    }
    assert_int_equal(granted, 1);
    assert_int_equal(unavailable, 5);
    assert_int_equal(taken, PEERS - 6);
    assert_int_equal(slow_store_submitted(world.store), 6);
    for (int i = 0; i < PEERS; i++) {
        peer_close(&peers[i]);
    }
    world_stop(&world);
}

static void changes_of_one_module_follow_each_other(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin(&world, false);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK); /* 1 */
    slow_store_set_slow(world.store, true);
    assert_true(send_unregister(&peer, &who)); /* 2 */
    assert_true(send_unregister(&peer, &who)); /* 3 */
    assert_true(
        send_register(&peer, "a", NULL, NULL)); /* 4: a new module, once the old one is gone */
    assert_true(send_beat(&peer, &who));        /* 5: after them */
    assert_true(slow_store_await(world.store, 1));
    assert_int_equal(slow_store_submitted(world.store), 2);
    slow_store_end(world.store, 0, PYWATT_OK);
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 2, PW_OP_UNREGISTER, PYWATT_OK);
    expect(&peer, 3, PW_OP_UNREGISTER, PYWATT_MODULE_NOT_FOUND);
    expect(&peer, 4, PW_OP_REGISTER, PYWATT_OK);
    assert_false(pywatt_uuid_equal(pywatt_registration_id(peer.response.registration), &who.id));
    expect(&peer, 5, PW_OP_HEARTBEAT, PYWATT_MODULE_NOT_FOUND);
    peer_close(&peer);
    world_stop(&world);
}

static void of_two_that_take_a_suspect_name_over_one_gets_it(void **state)
{
    (void)state;
    struct world world;
    struct peer holder;
    struct peer first;
    struct peer second;
    struct identity who;
    begin(&world, false);
    world_peer(&world, &holder, "json");
    assert_int_equal(peer_register(&holder, "held", &who), PYWATT_OK);
    peer_close(&holder);
    world_await_liveness(&world, 0, &who.id, PYWATT_SUSPECT);
    slow_store_set_slow(world.store, true);
    world_peer(&world, &first, "json");
    world_peer(&world, &second, "json");
    assert_true(send_register(&first, "held", NULL, NULL));
    assert_true(slow_store_await(world.store, 1));
    assert_true(send_register(&second, "held", &who.id, NULL));
    assert_true(send_register(&second, "other", NULL, NULL));
    assert_true(slow_store_await(world.store, 2));
    slow_store_end(world.store, 0, PYWATT_OK);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&first, 1, PW_OP_REGISTER, PYWATT_OK);
    assert_int_equal(pywatt_registration_generation(first.response.registration), 2);
    /* By then its new holder is alive. */
    expect(&second, 1, PW_OP_REGISTER, PYWATT_NAME_TAKEN);
    expect(&second, 2, PW_OP_REGISTER, PYWATT_OK);
    peer_close(&first);
    peer_close(&second);
    world_stop(&world);
}

static void the_limit_counts_modules_that_are_under_way(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_prepare(&world);
    world.store = slow_store_open(true);
    world.options.max_modules = 2;
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_true(send_register(&peer, "a", NULL, NULL)); /* 1 */
    assert_true(send_register(&peer, "b", NULL, NULL)); /* 2 */
    assert_true(send_register(&peer, "c", NULL, NULL)); /* 3 */
    assert_true(slow_store_await(world.store, 2));
    await_served(&world, 0, 1);
    slow_store_end(world.store, 0, PYWATT_IO);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 1, PW_OP_REGISTER, PYWATT_UNAVAILABLE);
    expect(&peer, 2, PW_OP_REGISTER, PYWATT_OK);
    expect(&peer, 3, PW_OP_REGISTER, PYWATT_LIMIT);
    slow_store_set_slow(world.store, false);
    /* The one that failed has given its place back. */
    assert_int_equal(peer_register(&peer, "d", NULL), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "e", NULL), PYWATT_LIMIT);
    peer_close(&peer);
    world_stop(&world);
}

static void a_lost_module_whose_removal_fails_is_forgotten_later(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.store = slow_store_open(false);
    world.options.retain_ms = 10;
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, "20", &who), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_IO);
    /* It is there still, and comes to life with a beat. */
    const size_t from = world_event_count(&world);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    world_await_liveness(&world, from, &who.id, PYWATT_LOST);
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_IO);
    /* Lost and silent now: a little later it is tried again. */
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_OK);
    world_await(&world, 0, PYWATT_EVENT_FORGOTTEN, &who.id);
    peer_close(&peer);
    world_stop(&world);
}

/* ---- Forgetting ---- */

enum {
    FORGETTABLE = 400
};

static bool all_were_lost(void *user)
{
    return world_stats(user).modules_lost == FORGETTABLE;
}

static bool all_are_forgotten(void *user)
{
    struct world *world = user;
    while (slow_store_kept(world->store) > 0) {
        slow_store_end(world->store, 0, PYWATT_OK);
    }
    return world_stats(world).modules == 0;
}

/* They come due together; their removals do not come to the store together. */
static void only_so_many_removals_are_under_way_at_once(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_prepare(&world);
    world.store = slow_store_open(false);
    slow_store_set_slow_removals(world.store, true);
    world.options.retain_ms = 1;
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    for (int i = 0; i < FORGETTABLE; i++) {
        struct identity who;
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(peer_register_with(&peer, name, NULL, NULL, "10", &who), PYWATT_OK);
    }
    assert_true(pw_test_wait_until(all_were_lost, &world, 20000));
    assert_true(slow_store_await(world.store, PW_FORGET_AT_ONCE));
    assert_int_equal(slow_store_submitted(world.store), FORGETTABLE + PW_FORGET_AT_ONCE);
    assert_true(pw_test_wait_until(all_are_forgotten, &world, 20000));
    assert_int_equal(slow_store_submitted(world.store), 2 * FORGETTABLE);
    peer_close(&peer);
    world_stop(&world);
}

/* ---- The log ---- */

static void count_line(void *user, enum pywatt_log_level level, const char *line)
{
    (void)level;
    if (strstr(line, "the store did not take a change") != NULL) {
        atomic_fetch_add((atomic_uint *)user, 1);
    }
}

static void a_store_that_fails_every_change_is_worth_few_lines(void **state)
{
    (void)state;
    enum {
        CHANGES = 300
    };
    struct world world;
    struct peer peer;
    atomic_uint lines = 0;
    begin(&world, true);
    world_peer(&world, &peer, "protobuf");
    pywatt_set_log_sink(count_line, &lines, PYWATT_LOG_DEBUG);
    const int64_t began_ns = pw_test_now_ns();
    for (int i = 0; i < CHANGES; i++) {
        assert_true(send_register(&peer, "a", NULL, NULL));
        assert_true(slow_store_await(world.store, 1));
        slow_store_end(world.store, 0, PYWATT_IO);
        assert_true(peer_receive(&peer));
        assert_int_equal(peer.response.status, PYWATT_UNAVAILABLE);
    }
    const unsigned seconds = (unsigned)((pw_test_now_ns() - began_ns) / 1000000000) + 2;
    peer_close(&peer);
    world_stop(&world);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    assert_in_range(atomic_load(&lines), 1, seconds * 5);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_the_store_does_not_take_changes_nothing),
        cmocka_unit_test(a_name_that_another_orchestrator_holds_is_taken),
        cmocka_unit_test(the_store_has_what_a_restart_needs),
        cmocka_unit_test(the_second_registration_of_a_name_waits_for_the_first),
        cmocka_unit_test(many_that_wait_for_one_name_come_each_in_its_turn),
        cmocka_unit_test(changes_of_one_module_follow_each_other),
        cmocka_unit_test(of_two_that_take_a_suspect_name_over_one_gets_it),
        cmocka_unit_test(the_limit_counts_modules_that_are_under_way),
        cmocka_unit_test(a_lost_module_whose_removal_fails_is_forgotten_later),
        cmocka_unit_test(only_so_many_removals_are_under_way_at_once),
        cmocka_unit_test(a_store_that_fails_every_change_is_worth_few_lines),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A store that takes its time: replies keep their order, beats go on, what fails changes nothing,
 * changes of one module follow each other, a late reply is never sent.
 */
#include "slow_store.h"
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void begin(struct world *world, bool slow)
{
    world_prepare(world);
    world->store = slow_store_open(slow);
    world_start(world);
}

static bool send_register(struct peer *peer, const char *name, const struct pywatt_uuid *id)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    if (id != NULL) {
        assert_int_equal(pywatt_module_info_set_id(info, id), PYWATT_OK);
    }
    struct pw_request request = register_of(info);
    const bool sent = peer_send(peer, &request);
    pywatt_module_info_free(info);
    return sent;
}

static bool send_beat(struct peer *peer, const struct identity *who)
{
    struct pw_request beat = beat_of(who, PYWATT_HEALTHY);
    return peer_send(peer, &beat);
}

static bool send_unregister(struct peer *peer, const struct identity *who)
{
    struct pw_request request = {
        .operation = PW_OP_UNREGISTER, .module_id = who->id, .token = pw_str_from(who->token)};
    return peer_send(peer, &request);
}

/* The reply that comes next is for the request with this number of the peer's. */
static void expect(struct peer *peer, uint64_t number, enum pw_operation operation,
                   enum pywatt_status status)
{
    uint64_t id;
    assert_true(peer_receive(peer));
    memcpy(&id, peer->response.request_id.bytes, sizeof(id));
    assert_int_equal(id, number);
    assert_int_equal(peer->response.operation, operation);
    assert_int_equal(peer->response.success ? PYWATT_OK : peer->response.status, status);
}

struct served_wanted {
    struct world *world;
    uint64_t beats;
    uint64_t refused;
};

static bool has_served(void *user)
{
    const struct served_wanted *wanted = user;
    const struct pywatt_orchestrator_stats stats = world_stats(wanted->world);
    return stats.heartbeats >= wanted->beats && stats.requests_refused >= wanted->refused;
}

static void await_served(struct world *world, uint64_t beats, uint64_t refused)
{
    struct served_wanted wanted = {.world = world, .beats = beats, .refused = refused};
    assert_true(pw_test_wait_until(has_served, &wanted, 20000));
}

/* ---- Order ---- */

static void beats_are_served_while_an_older_request_waits_and_answered_after_it(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin(&world, false);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK); /* 1 */
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&peer, "b", NULL)); /* 2 */
    assert_true(send_beat(&peer, &who));          /* 3 */
    assert_true(send_register(&peer, "c", NULL)); /* 4 */
    assert_true(send_beat(&peer, &who));          /* 5 */
    assert_true(slow_store_await(world.store, 2));
    /* The worker has not waited. */
    await_served(&world, 2, 0);
    assert_true(peer_has_nothing(&peer));
    /* The later one ends first: nothing goes out. */
    slow_store_end(world.store, 1, PYWATT_OK);
    world_await(&world, 0, PYWATT_EVENT_REGISTERED, NULL);
    assert_true(peer_has_nothing(&peer));
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 2, PW_OP_REGISTER, PYWATT_OK);
    assert_string_equal(
        pywatt_module_info_name(pywatt_registration_info(peer.response.registration)), "b");
    expect(&peer, 3, PW_OP_HEARTBEAT, PYWATT_OK);
    expect(&peer, 4, PW_OP_REGISTER, PYWATT_OK);
    assert_string_equal(
        pywatt_module_info_name(pywatt_registration_info(peer.response.registration)), "c");
    expect(&peer, 5, PW_OP_HEARTBEAT, PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

static void every_order_of_completion_keeps_the_order_of_replies(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 6; seed++) {
        struct world world;
        struct peer peer;
        begin(&world, true);
        world_peer(&world, &peer, "protobuf");
        for (int i = 0; i < 12; i++) {
            char name[16];
            snprintf(name, sizeof(name), "m%d", i);
            assert_true(send_register(&peer, name, NULL));
        }
        assert_true(slow_store_await(world.store, 12));
        uint32_t random = seed;
        for (uint32_t left = 12; left > 0; left--) {
            random = random * 1664525 + 1013904223;
            slow_store_end(world.store, random / 65536 % left,
                           random % 3 == 0 ? PYWATT_IO : PYWATT_OK);
        }
        for (uint64_t i = 1; i <= 12; i++) {
            uint64_t id;
            assert_true(peer_receive(&peer));
            memcpy(&id, peer.response.request_id.bytes, sizeof(id));
            assert_int_equal(id, i);
        }
        peer_close(&peer);
        world_stop(&world);
    }
}

static void other_connections_do_not_wait(void **state)
{
    (void)state;
    struct world world;
    struct peer slow;
    struct peer fast[4];
    struct identity who;
    begin(&world, false);
    world_peer(&world, &slow, "json");
    assert_int_equal(peer_register(&slow, "a", &who), PYWATT_OK);
    slow_store_set_slow(world.store, true);
    assert_true(send_register(&slow, "b", NULL));
    assert_true(slow_store_await(world.store, 1));
    for (int i = 0; i < 4; i++) {
        world_peer(&world, &fast[i], "json");
        assert_int_equal(peer_beat(&fast[i], &who, PYWATT_HEALTHY), PYWATT_OK);
        peer_close(&fast[i]);
    }
    slow_store_end(world.store, 0, PYWATT_OK);
    assert_true(peer_receive(&slow));
    peer_close(&slow);
    world_stop(&world);
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
        assert_true(send_register(&peer, "b", NULL)); /* 2 */
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
    assert_true(send_register(&peer, "b", NULL));
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
        assert_true(send_register(&first, "same", NULL));
        assert_true(slow_store_await(world.store, 1));
        assert_true(send_register(&second, "same", NULL));
        /* A third one shows that the second has been looked at. */
        assert_true(send_register(&second, "third", NULL));
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
        assert_true(send_register(&peers[i], "same", NULL));
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
    assert_true(send_unregister(&peer, &who));    /* 2 */
    assert_true(send_unregister(&peer, &who));    /* 3 */
    assert_true(send_register(&peer, "a", NULL)); /* 4: a new module, once the old one is gone */
    assert_true(send_beat(&peer, &who)); /* 5: it is there until the store says otherwise */
    await_served(&world, 1, 0);
    assert_int_equal(slow_store_submitted(world.store), 2);
    slow_store_end(world.store, 0, PYWATT_OK);
    assert_true(slow_store_await(world.store, 1));
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 2, PW_OP_UNREGISTER, PYWATT_OK);
    expect(&peer, 3, PW_OP_UNREGISTER, PYWATT_MODULE_NOT_FOUND);
    expect(&peer, 4, PW_OP_REGISTER, PYWATT_OK);
    assert_false(pywatt_uuid_equal(pywatt_registration_id(peer.response.registration), &who.id));
    expect(&peer, 5, PW_OP_HEARTBEAT, PYWATT_OK);
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
    assert_true(send_register(&first, "held", NULL));
    assert_true(slow_store_await(world.store, 1));
    assert_true(send_register(&second, "held", &who.id));
    assert_true(send_register(&second, "other", NULL));
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
    assert_true(send_register(&peer, "a", NULL)); /* 1 */
    assert_true(send_register(&peer, "b", NULL)); /* 2 */
    assert_true(send_register(&peer, "c", NULL)); /* 3 */
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
    assert_true(send_register(&peer, "late", NULL));
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
        assert_true(send_register(&peer, name, NULL));
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
    assert_true(send_register(&peer, "a", NULL));
    assert_true(send_register(&peer, "a", NULL));
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
    assert_true(send_register(&peer, "a", NULL));
    assert_true(slow_store_await(world.store, 1));
    assert_int_equal(pthread_create(&thread, NULL, stop, world.orchestrator), 0);
    slow_store_end(world.store, 0, PYWATT_OK);
    expect(&peer, 1, PW_OP_REGISTER, PYWATT_OK);
    assert_true(peer_is_closed_by_other(&peer));
    pthread_join(thread, NULL);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(beats_are_served_while_an_older_request_waits_and_answered_after_it),
        cmocka_unit_test(every_order_of_completion_keeps_the_order_of_replies),
        cmocka_unit_test(other_connections_do_not_wait),
        cmocka_unit_test(what_the_store_does_not_take_changes_nothing),
        cmocka_unit_test(a_name_that_another_orchestrator_holds_is_taken),
        cmocka_unit_test(the_store_has_what_a_restart_needs),
        cmocka_unit_test(the_second_registration_of_a_name_waits_for_the_first),
        cmocka_unit_test(many_that_wait_for_one_name_come_each_in_its_turn),
        cmocka_unit_test(changes_of_one_module_follow_each_other),
        cmocka_unit_test(of_two_that_take_a_suspect_name_over_one_gets_it),
        cmocka_unit_test(the_limit_counts_modules_that_are_under_way),
        cmocka_unit_test(a_lost_module_whose_removal_fails_is_forgotten_later),
        cmocka_unit_test(a_reply_that_is_not_ready_in_time_is_never_sent),
        cmocka_unit_test(a_peer_may_go_while_its_request_is_in_the_store),
        cmocka_unit_test(stopping_does_not_wait_for_the_store_for_ever),
        cmocka_unit_test(stopping_waits_for_replies_that_come_in_time),
    };
    return PW_TEST_RUN(cases);
}

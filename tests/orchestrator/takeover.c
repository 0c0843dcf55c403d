/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Who gets a name or an id that is in use: every policy, every liveness of the holder, with and
 * without its token, by name and by id.
 */
#include "world.h"

#include "slow_store.h"

#include <stdio.h>
#include <string.h>

static const char wrong_token[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/* How a second registration comes for what a first module holds. */
enum way {
    BY_NAME,    /* the name alone */
    BY_ID,      /* the name and the holder's id */
    BY_OTHER_ID /* the name and an id that nobody has */
};

enum proof {
    NO_TOKEN,
    WRONG_TOKEN,
    ITS_TOKEN
};

static const struct pywatt_uuid other_id = {.bytes = {0x42, 1, 2, 3, 4, 5, 0x40, 7, 0x80, 9}};

struct state_wanted {
    struct world *world;
    const struct pywatt_uuid *id;
    enum pywatt_liveness liveness;
};

static bool is_in_state(void *user)
{
    const struct state_wanted *wanted = user;
    return world_liveness(wanted->world, wanted->id) == wanted->liveness;
}

/* Brings the module `who` of `peer` to this liveness. The lease is the caller's business. */
static void bring_to(struct world *world, struct peer *peer, const struct identity *who,
                     enum pywatt_liveness liveness)
{
    if (liveness != PYWATT_ALIVE) {
        struct state_wanted wanted = {.world = world, .id = &who->id, .liveness = liveness};
        peer_close(peer);
        assert_true(pw_test_wait_until(is_in_state, &wanted, 20000));
    }
}

static bool expected_grant(enum pywatt_takeover policy, enum pywatt_liveness liveness,
                           enum proof proof)
{
    if (proof == ITS_TOKEN) {
        return true;
    }
    switch (policy) {
    case PYWATT_TAKEOVER_SUSPECT: return liveness != PYWATT_ALIVE;
    case PYWATT_TAKEOVER_LOST: return liveness == PYWATT_LOST;
    case PYWATT_TAKEOVER_TOKEN: break;
    }
    return false;
}

static void check_granted(struct world *world, struct peer *peer, const struct identity *first,
                          const struct identity *second, enum way way, enum proof proof)
{
    struct pywatt_module_view *view = NULL;
    if (way == BY_OTHER_ID) {
        /* The name has come to another id: the one before has ended. */
        assert_true(pywatt_uuid_equal(&second->id, &other_id));
        assert_int_equal(second->generation, 1);
        assert_int_equal(pywatt_orchestrator_find(world->orchestrator, &first->id, &view),
                         PYWATT_MODULE_NOT_FOUND);
        world_await(world, 0, PYWATT_EVENT_UNREGISTERED, &first->id);
        assert_int_equal(peer_beat(peer, first, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    } else {
        assert_true(pywatt_uuid_equal(&second->id, &first->id));
        assert_int_equal(second->generation, 2);
        world_await(world, 0, PYWATT_EVENT_REREGISTERED, &first->id);
        view = world_view(world, &second->id);
        /* What was advertised stays until it is advertised anew. */
        assert_non_null(pywatt_module_view_capabilities(view));
        pywatt_module_view_free(view);
        if (proof == ITS_TOKEN) {
            assert_string_equal(second->token, first->token);
        } else {
            assert_string_not_equal(second->token, first->token);
            assert_string_not_equal(second->token, wrong_token);
            assert_int_equal(peer_beat(peer, first, PYWATT_HEALTHY), PYWATT_INVALID_TOKEN);
        }
    }
    assert_int_equal(peer_beat(peer, second, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(world_liveness(world, &second->id), PYWATT_ALIVE);
    assert_int_equal(world_stats(world).modules, 1);
}

static void check_refused(struct world *world, struct peer *peer, const struct identity *first,
                          enum pywatt_liveness liveness)
{
    assert_string_equal(peer->error, "Module name 'held' is already taken");
    assert_int_equal(world_liveness(world, &first->id), liveness);
    /* Nothing has changed for the holder. */
    assert_int_equal(peer_beat(peer, first, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(world_stats(world).modules, 1);
}

static void check_case(enum pywatt_takeover policy, enum pywatt_liveness liveness, enum way way,
                       enum proof proof)
{
    struct world world;
    struct peer holder;
    struct peer peer;
    struct identity first;
    struct identity second;
    world_prepare(&world);
    world.options.takeover = policy;
    world_start(&world);
    world_peer(&world, &holder, "json");
    world_peer(&world, &peer, "protobuf");
    const char *lease_ms = liveness == PYWATT_LOST ? "20" : "600000";
    assert_int_equal(peer_register_with(&holder, "held", NULL, NULL, lease_ms, &first), PYWATT_OK);
    assert_int_equal(peer_advertise(&holder, &first, "/x"), PYWATT_OK);
    bring_to(&world, &holder, &first, liveness);

    const char *const tokens[] = {NULL, wrong_token, first.token};
    const struct pywatt_uuid *const ids[] = {NULL, &first.id, &other_id};
    const enum pywatt_status status =
        peer_register_with(&peer, "held", ids[way], tokens[proof], "600000", &second);
    if (expected_grant(policy, liveness, proof)) {
        assert_int_equal(status, PYWATT_OK);
        check_granted(&world, &peer, &first, &second, way, proof);
    } else {
        assert_int_equal(status, PYWATT_NAME_TAKEN);
        check_refused(&world, &peer, &first, liveness);
    }
    if (liveness == PYWATT_ALIVE) {
        peer_close(&holder);
    }
    peer_close(&peer);
    world_stop(&world);
}

static void the_whole_matrix(void **state)
{
    (void)state;
    for (int policy = PYWATT_TAKEOVER_SUSPECT; policy <= PYWATT_TAKEOVER_TOKEN; policy++) {
        for (int liveness = PYWATT_ALIVE; liveness <= PYWATT_LOST; liveness++) {
            for (int way = BY_NAME; way <= BY_OTHER_ID; way++) {
                for (int proof = NO_TOKEN; proof <= ITS_TOKEN; proof++) {
                    check_case((enum pywatt_takeover)policy, (enum pywatt_liveness)liveness,
                               (enum way)way, (enum proof)proof);
                }
            }
        }
    }
}

static void registering_again_with_id_and_token_may_be_repeated(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity first;
    struct identity again;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &first), PYWATT_OK);
    for (uint64_t generation = 2; generation < 10; generation++) {
        assert_int_equal(peer_register_with(&peer, "a", &first.id, first.token, NULL, &again),
                         PYWATT_OK);
        assert_true(pywatt_uuid_equal(&first.id, &again.id));
        assert_string_equal(first.token, again.token);
        assert_int_equal(again.generation, generation);
    }
    assert_int_equal(world_stats(&world).modules, 1);
    peer_close(&peer);
    world_stop(&world);
}

static void an_unknown_id_is_used_as_it_is_asked_for(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json-python");
    /* Also with a token that an orchestrator before this one has given. */
    assert_int_equal(peer_register_with(&peer, "a", &other_id, wrong_token, NULL, &who), PYWATT_OK);
    assert_true(pywatt_uuid_equal(&who.id, &other_id));
    assert_string_not_equal(who.token, wrong_token);
    assert_int_equal(who.generation, 1);
    peer_close(&peer);
    world_stop(&world);
}

static void a_known_id_changes_its_name_with_its_token_only(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer holder;
    struct identity first;
    struct identity renamed;
    struct pywatt_module_view *view = NULL;
    world_begin(&world);
    world_peer(&world, &holder, "json");
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&holder, "old", &first), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "other", NULL), PYWATT_OK);
    const char *const tokens[] = {NULL, wrong_token};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(peer_register_with(&peer, "new", &first.id, tokens[i], NULL, NULL),
                         PYWATT_INVALID_TOKEN);
        assert_int_equal(strncmp(peer.error, "Invalid token", 13), 0);
    }
    assert_int_equal(peer_register_with(&peer, "other", &first.id, first.token, NULL, NULL),
                     PYWATT_NAME_TAKEN);
    assert_string_equal(peer.error, "Module name 'other' is already taken");
    assert_int_equal(peer_register_with(&peer, "new", &first.id, first.token, NULL, &renamed),
                     PYWATT_OK);
    assert_int_equal(renamed.generation, 2);
    assert_int_equal(pywatt_orchestrator_find_by_name(world.orchestrator, "old", &view),
                     PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pywatt_orchestrator_find_by_name(world.orchestrator, "new", &view), PYWATT_OK);
    assert_true(pywatt_uuid_equal(pywatt_module_view_id(view), &first.id));
    pywatt_module_view_free(view);
    assert_int_equal(peer_register(&peer, "old", NULL), PYWATT_OK);
    /* A stranger cannot rename even a module that is suspect. */
    peer_close(&peer);
    bring_to(&world, &holder, &first, PYWATT_SUSPECT);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register_with(&peer, "newer", &first.id, NULL, NULL, NULL),
                     PYWATT_INVALID_TOKEN);
    peer_close(&peer);
    world_stop(&world);
}

static void a_takeover_starts_with_a_clean_state_of_health(void **state)
{
    (void)state;
    struct world world;
    struct peer holder;
    struct peer peer;
    struct identity first;
    struct identity second;
    world_begin(&world);
    world_peer(&world, &holder, "json");
    world_peer(&world, &peer, "json");
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "disk", "full"), PYWATT_OK);
    assert_int_equal(peer_register(&holder, "held", &first), PYWATT_OK);
    assert_int_equal(peer_beat_with(&holder, &first, PYWATT_UNHEALTHY, 0, details), PYWATT_OK);
    pywatt_string_map_free(details);
    bring_to(&world, &holder, &first, PYWATT_SUSPECT);
    assert_int_equal(peer_register(&peer, "held", &second), PYWATT_OK);
    struct pywatt_module_view *view = world_view(&world, &second.id);
    assert_int_equal(pywatt_module_view_health(view), PYWATT_HEALTHY);
    assert_null(pywatt_module_view_details(view));
    assert_int_equal(pywatt_module_view_beats(view), 0);
    pywatt_module_view_free(view);
    peer_close(&peer);
    world_stop(&world);
}

static void modules_of_the_store_come_back_suspect_with_their_tokens(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who = {.id = other_id};
    struct identity again;
    snprintf(who.token, sizeof(who.token), "%s", wrong_token);
    world_prepare(&world);
    world.store = slow_store_open(false);
    slow_store_add(world.store, &other_id, "stored", wrong_token, 7, 30000);
    world.options.takeover = PYWATT_TAKEOVER_LOST;
    world_start(&world);
    struct pywatt_module_view *view = world_view(&world, &other_id);
    assert_int_equal(pywatt_module_view_liveness(view), PYWATT_SUSPECT);
    assert_int_equal(pywatt_module_view_generation(view), 7);
    assert_int_equal(pywatt_module_view_lease_ms(view), 30000);
    pywatt_module_view_free(view);
    world_peer(&world, &peer, "json");
    struct identity thief = who;
    thief.token[0] = 'B';
    assert_int_equal(peer_register(&peer, "stored", NULL), PYWATT_NAME_TAKEN);
    assert_int_equal(peer_beat(&peer, &thief, PYWATT_HEALTHY), PYWATT_INVALID_TOKEN);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(world_liveness(&world, &other_id), PYWATT_ALIVE);
    assert_int_equal(peer_register_with(&peer, "stored", &who.id, who.token, NULL, &again),
                     PYWATT_OK);
    assert_int_equal(again.generation, 8);
    assert_int_equal(peer_unregister(&peer, &again), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

/* All are suspect after a start, through no fault of theirs: each has a lease to come back. */
static void modules_of_the_store_keep_their_names_for_one_lease(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who = {.id = other_id};
    struct identity again;
    snprintf(who.token, sizeof(who.token), "%s", wrong_token);
    world_prepare(&world);
    world.store = slow_store_open(false);
    slow_store_add(world.store, &other_id, "stored", wrong_token, 7, 30000);
    world_start(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(world_liveness(&world, &other_id), PYWATT_SUSPECT);
    assert_int_equal(peer_register(&peer, "stored", NULL), PYWATT_NAME_TAKEN);
    assert_int_equal(peer_register_with(&peer, "stored", &other_id, NULL, NULL, NULL),
                     PYWATT_NAME_TAKEN);
    /* Once it has come back its connection counts as everybody's does. */
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    peer_close(&peer);
    world_await_liveness(&world, 0, &other_id, PYWATT_SUSPECT);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "stored", &again), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
    /* Who does not come back is lost, and so is its name. */
    world_prepare(&world);
    world.options.first_frame_timeout_ms = 3000; /* only after that its lease begins */
    world.store = slow_store_open(false);
    slow_store_add(world.store, &other_id, "stored", wrong_token, 7, 50);
    world_start(&world);
    world_await_liveness(&world, 0, &other_id, PYWATT_LOST);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "stored", &again), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_whole_matrix),
        cmocka_unit_test(registering_again_with_id_and_token_may_be_repeated),
        cmocka_unit_test(an_unknown_id_is_used_as_it_is_asked_for),
        cmocka_unit_test(a_known_id_changes_its_name_with_its_token_only),
        cmocka_unit_test(a_takeover_starts_with_a_clean_state_of_health),
        cmocka_unit_test(modules_of_the_store_come_back_suspect_with_their_tokens),
        cmocka_unit_test(modules_of_the_store_keep_their_names_for_one_lease),
    };
    return PW_TEST_RUN(cases);
}

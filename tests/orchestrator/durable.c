/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that is started again with its sqlite store: who was registered is known, under the
 * id, the token and the generation that he had, with what he advertised and with a whole lease.
 */
#include "orchestrator/store_sqlite.h"

#include "faulty_vfs.h"
#include "pw_test.h"
#include "store_place.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

static int set_up(void **state)
{
    (void)state;
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    return 0;
}

static void start(struct world *world, const struct store_place *place, struct peer *peer)
{
    world_prepare(world);
    world->options.store = place->url;
    world_start(world);
    world_peer(world, peer, "protobuf");
}

static void stop(struct world *world, struct peer *peer)
{
    peer_close(peer);
    world_stop(world);
}

static void expect_known(struct world *world, struct peer *peer, const struct identity *who)
{
    struct identity again = {.generation = 0};
    struct identity forged = *who;
    struct pywatt_module_view *view = world_view(world, &who->id);
    assert_int_equal(pywatt_module_view_liveness(view), PYWATT_SUSPECT);
    assert_int_equal(pywatt_module_view_generation(view), who->generation);
    assert_int_equal(pywatt_module_view_lease_ms(view), who->lease_ms);
    const struct pywatt_capabilities *capabilities = pywatt_module_view_capabilities(view);
    assert_non_null(capabilities);
    assert_string_equal(pywatt_endpoint_path(pywatt_capabilities_endpoint(capabilities, 0)),
                        "/path");
    pywatt_module_view_free(view);
    forged.token[0] = forged.token[0] == 'A' ? 'B' : 'A';
    assert_int_equal(peer_beat(peer, &forged, PYWATT_HEALTHY), PYWATT_INVALID_TOKEN);
    /* Nobody takes the name before the lease is over. */
    assert_int_equal(peer_register(peer, "durable", &again), PYWATT_NAME_TAKEN);
    assert_int_equal(peer_beat_with(peer, who, PYWATT_DEGRADED, who->generation, NULL), PYWATT_OK);
    assert_int_equal(world_liveness(world, &who->id), PYWATT_ALIVE);
}

static void modules_are_known_after_a_restart(void **state)
{
    (void)state;
    struct store_place place;
    struct world world;
    struct peer peer;
    struct identity who;
    struct identity gone;
    store_place_begin(&place, &pw_store_sqlite);
    start(&world, &place, &peer);
    assert_int_equal(peer_register_with(&peer, "durable", NULL, NULL, "600000", &who), PYWATT_OK);
    assert_int_equal(peer_advertise(&peer, &who, "/path"), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "gone", &gone), PYWATT_OK);
    assert_int_equal(peer_unregister(&peer, &gone), PYWATT_OK);
    stop(&world, &peer);

    start(&world, &place, &peer);
    expect_known(&world, &peer, &who);
    assert_int_equal(peer_beat(&peer, &gone, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    /* The next registration raises the generation, and the one before is not good any more. */
    struct identity next;
    assert_int_equal(peer_register_with(&peer, "durable", &who.id, who.token, "600000", &next),
                     PYWATT_OK);
    assert_int_equal(next.generation, who.generation + 1);
    stop(&world, &peer);

    start(&world, &place, &peer);
    assert_int_equal(peer_beat_with(&peer, &next, PYWATT_HEALTHY, who.generation, NULL),
                     PYWATT_STALE_GENERATION);
    assert_int_equal(peer_beat_with(&peer, &next, PYWATT_HEALTHY, next.generation, NULL),
                     PYWATT_OK);
    stop(&world, &peer);
    store_place_end(&place);
}

/*
 * Whoever waits for the reply to a beat that a dead connection has swallowed may do so for as long as a
 * connection may be silent at first. His lease begins after that, or when he comes.
 */
static void a_lease_after_a_restart_begins_when_the_first_beat_cannot_be_under_way(void **state)
{
    (void)state;
    struct store_place place;
    struct world world;
    struct peer peer;
    struct identity known;
    struct identity other;
    store_place_begin(&place, &pw_store_sqlite);
    start(&world, &place, &peer);
    assert_int_equal(peer_register_with(&peer, "known", NULL, NULL, "50", &known), PYWATT_OK);
    stop(&world, &peer);

    world_prepare(&world);
    world.options.store = place.url;
    world.options.first_frame_timeout_ms = 3600000;
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register_with(&peer, "other", NULL, NULL, "50", &other), PYWATT_OK);
    world_await_liveness(&world, 0, &other.id, PYWATT_LOST);
    assert_int_equal(world_liveness(&world, &known.id), PYWATT_SUSPECT);
    assert_int_equal(peer_beat(&peer, &known, PYWATT_HEALTHY), PYWATT_OK);
    world_await_liveness(&world, 0, &known.id, PYWATT_LOST);
    stop(&world, &peer);
    store_place_end(&place);
}

/* ---- Many of them ---- */

enum {
    MANY = 200, /* fewer under slow tools */
    MANY_SLOW = 40,
    LEASE_MS = 300
};

static unsigned how_many(void)
{
    return pw_test_slow_factor() > 1 ? MANY_SLOW : MANY;
}

/* Each with a path of its own; every other one has registered twice. */
static void register_many(struct peer *peer, struct identity *many)
{
    for (unsigned i = 0; i < how_many(); i++) {
        struct identity first;
        char text[16];
        char lease_ms[16];
        snprintf(text, sizeof(text), "many %u", i);
        snprintf(lease_ms, sizeof(lease_ms), "%u", LEASE_MS + i % 3);
        assert_int_equal(peer_register_with(peer, text, NULL, NULL, lease_ms, &many[i]), PYWATT_OK);
        if (i % 2 == 1) {
            first = many[i];
            assert_int_equal(
                peer_register_with(peer, text, &first.id, first.token, lease_ms, &many[i]),
                PYWATT_OK);
        }
        snprintf(text, sizeof(text), "/%u", i);
        assert_int_equal(peer_advertise(peer, &many[i], text), PYWATT_OK);
    }
}

static void expect_as_it_was(struct world *world, const struct identity *who, unsigned i)
{
    char text[16];
    struct pywatt_module_view *view = world_view(world, &who->id);
    assert_int_equal(who->generation, 1 + i % 2);
    assert_int_equal(pywatt_module_view_generation(view), who->generation);
    assert_int_equal(pywatt_module_view_lease_ms(view), LEASE_MS + i % 3);
    snprintf(text, sizeof(text), "many %u", i);
    assert_string_equal(pywatt_module_info_name(pywatt_module_view_info(view)), text);
    const struct pywatt_capabilities *capabilities = pywatt_module_view_capabilities(view);
    assert_non_null(capabilities);
    snprintf(text, sizeof(text), "/%u", i);
    assert_string_equal(pywatt_endpoint_path(pywatt_capabilities_endpoint(capabilities, 0)), text);
    pywatt_module_view_free(view);
}

static void expect_many(struct world *world, struct peer *peer, struct identity *many)
{
    assert_int_equal(world_stats(world).modules, how_many());
    for (unsigned i = 0; i < how_many(); i++) {
        expect_as_it_was(world, &many[i], i);
        /* With the token of another one: an index that has them mixed up would take it. */
        struct identity mixed_up = many[i];
        memcpy(mixed_up.token, many[(i + 2) % how_many()].token, sizeof(mixed_up.token));
        assert_int_equal(peer_beat_with(peer, &mixed_up, PYWATT_HEALTHY, 0, NULL),
                         PYWATT_INVALID_TOKEN);
        assert_int_equal(peer_beat_with(peer, &many[i], PYWATT_HEALTHY, many[i].generation, NULL),
                         PYWATT_OK);
    }
}

/* Nobody beats; all are lost, once each, and not before their leases are over. */
static void expect_whole_leases(const struct store_place *place, const struct identity *many)
{
    struct world world;
    world_prepare(&world);
    world.options.store = place->url;
    world.options.first_frame_timeout_ms = 1;
    const int64_t began_ns = pw_test_now_ns();
    world_start(&world);
    (void)world_await(&world, 0, PYWATT_EVENT_LIVENESS, NULL);
    assert_true(pw_test_now_ns() - began_ns >= (int64_t)LEASE_MS * 1000000);
    for (unsigned i = 0; i < how_many(); i++) {
        (void)world_await_liveness(&world, 0, &many[i].id, PYWATT_LOST);
        assert_int_equal(world_count_events(&world, PYWATT_EVENT_LIVENESS, &many[i].id), 1);
    }
    assert_int_equal(world_stats(&world).modules_lost, how_many());
    world_stop(&world);
}

static void each_of_many_is_known_as_it_was_and_has_a_whole_lease(void **state)
{
    (void)state;
    static struct identity many[MANY];
    struct store_place place;
    struct world world;
    struct peer peer;
    store_place_begin(&place, &pw_store_sqlite);
    start(&world, &place, &peer);
    register_many(&peer, many);
    stop(&world, &peer);
    start(&world, &place, &peer);
    expect_many(&world, &peer, many);
    stop(&world, &peer);
    expect_whole_leases(&place, many);
    store_place_end(&place);
}

static void a_store_that_cannot_be_opened_is_told_by_the_public_functions(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_store_recovery recovery = {.size = sizeof(recovery)};
    struct pywatt_error error;
    pywatt_orchestrator_options_init(&options);
    options.store = "sqlite:";
    assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, &error),
                     PYWATT_INVALID_ARGUMENT);
    options.store = "sqlite:/nowhere/at/all.db";
    assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, "/nowhere/at/all.db"));
    assert_int_equal(pywatt_store_recover(options.store, &recovery, &error), PYWATT_IO);
    assert_int_equal(pywatt_store_recover(NULL, NULL, &error), PYWATT_INVALID_ARGUMENT);
    recovery.size = 0;
    assert_int_equal(pywatt_store_recover(options.store, &recovery, &error),
                     PYWATT_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(modules_are_known_after_a_restart),
        cmocka_unit_test(a_lease_after_a_restart_begins_when_the_first_beat_cannot_be_under_way),
        cmocka_unit_test(each_of_many_is_known_as_it_was_and_has_a_whole_lease),
        cmocka_unit_test(a_store_that_cannot_be_opened_is_told_by_the_public_functions),
    };
    return PW_TEST_RUN_WITH(cases, set_up, NULL);
}

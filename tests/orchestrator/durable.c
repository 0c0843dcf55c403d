/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that is started again with its sqlite store: who was registered is known, under the
 * id, the token and the generation that he had, with what he advertised and with a whole lease.
 */
#include "orchestrator/store_sqlite.h"

#include "pw_test.h"
#include "store_place.h"
#include "world.h"

#include <string.h>

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
        cmocka_unit_test(a_store_that_cannot_be_opened_is_told_by_the_public_functions),
    };
    return PW_TEST_RUN(cases);
}

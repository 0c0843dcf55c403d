/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the application sees and says: verdicts, looking at all modules, counts.
 */
#include "world.h"

#include <stdio.h>
#include <string.h>

static const struct pywatt_uuid stranger = {.bytes = {0xde, 0xad, 0xbe, 0xef, 1, 2, 0x40, 3, 0x80}};

static void a_verdict_answers_beats_until_it_is_cleared(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_set_verdict(world.orchestrator, &who.id, PYWATT_UNHEALTHY),
                     PYWATT_OK);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer.response.health, PYWATT_UNHEALTHY);
    struct pywatt_module_view *view = world_view(&world, &who.id);
    assert_int_equal(pywatt_module_view_health(view), PYWATT_HEALTHY);
    pywatt_module_view_free(view);
    assert_int_equal(pywatt_orchestrator_clear_verdict(world.orchestrator, &who.id), PYWATT_OK);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_DEGRADED), PYWATT_OK);
    assert_int_equal(peer.response.health, PYWATT_DEGRADED);
    assert_int_equal(pywatt_orchestrator_set_verdict(world.orchestrator, &stranger, PYWATT_HEALTHY),
                     PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pywatt_orchestrator_clear_verdict(world.orchestrator, &stranger),
                     PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(
        pywatt_orchestrator_set_verdict(world.orchestrator, &who.id, (enum pywatt_health)3),
        PYWATT_INVALID_ARGUMENT);
    peer_close(&peer);
    world_stop(&world);
}

struct visits {
    unsigned count;
    unsigned limit;
    uint64_t beats;
};

static bool count_visit(void *user, const struct pywatt_module_view *view)
{
    struct visits *visits = user;
    visits->count++;
    visits->beats += pywatt_module_view_beats(view);
    return visits->count < visits->limit;
}

static void walks_over_all_modules(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    for (int i = 0; i < 300; i++) {
        struct identity who;
        char name[32];
        snprintf(name, sizeof(name), "module %d", i);
        assert_int_equal(peer_register(&peer, name, &who), PYWATT_OK);
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    struct visits visits = {.limit = UINT32_MAX};
    assert_int_equal(pywatt_orchestrator_for_each(world.orchestrator, count_visit, &visits),
                     PYWATT_OK);
    assert_int_equal(visits.count, 300);
    assert_int_equal(visits.beats, 300);
    visits = (struct visits){.limit = 10};
    assert_int_equal(pywatt_orchestrator_for_each(world.orchestrator, count_visit, &visits),
                     PYWATT_OK);
    assert_int_equal(visits.count, 10);
    struct pywatt_module_view *view = NULL;
    assert_int_equal(pywatt_orchestrator_find_by_name(world.orchestrator, "module 77", &view),
                     PYWATT_OK);
    assert_string_equal(pywatt_module_info_name(pywatt_module_view_info(view)), "module 77");
    pywatt_module_view_free(view);
    peer_close(&peer);
    world_stop(&world);
}

static void counts_what_happens(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_NAME_TAKEN);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    const struct pywatt_orchestrator_stats stats = world_stats(&world);
    assert_int_equal(stats.modules, 1);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.connections_accepted, 1);
    assert_int_equal(stats.connections_refused, 0);
    assert_int_equal(stats.requests, 7);
    assert_int_equal(stats.heartbeats, 5);
    assert_int_equal(stats.registrations, 1);
    assert_int_equal(stats.requests_refused, 1);
    assert_int_equal(stats.bad_frames, 0);
    assert_int_equal(stats.modules_lost, 0);
    assert_true(stats.bytes_received > 500);
    assert_true(stats.bytes_sent > 500);
    /* An older caller's struct ends sooner. */
    struct pywatt_orchestrator_stats old;
    memset(&old, 0x5a, sizeof(old));
    old.size = offsetof(struct pywatt_orchestrator_stats, connections);
    assert_int_equal(pywatt_orchestrator_get_stats(world.orchestrator, &old), PYWATT_OK);
    assert_int_equal(old.modules, 1);
    assert_int_equal(old.connections, 0x5a5a5a5a5a5a5a5a);
    old.size = 0;
    assert_int_equal(pywatt_orchestrator_get_stats(world.orchestrator, &old),
                     PYWATT_INVALID_ARGUMENT);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_verdict_answers_beats_until_it_is_cleared),
        cmocka_unit_test(walks_over_all_modules),
        cmocka_unit_test(counts_what_happens),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Many at once: threads that want the same names, connections that come and go, modules that wander
 * between connections, an application that looks on.
 */
#include "world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    THREADS = 8,
    NAMES = 60
};

/* Under a tool the same is done fewer times. */
static unsigned rounds(unsigned count)
{
    return pw_test_slow_factor() > 1 ? count / 4 : count;
}

struct racer {
    struct world *world;
    unsigned rounds;
    unsigned index;
    bool broken; /* something that cannot be has been seen */
    unsigned won;
    bool won_name[NAMES];
};

static const char *codec_of(unsigned index)
{
    static const char *const codecs[] = {"json", "protobuf", "json-python"};
    return codecs[index % 3];
}

static void run_all(struct world *world, struct racer racers[THREADS], void *(*body)(void *))
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.world = world, .index = i, .rounds = rounds(24)};
        assert_int_equal(pthread_create(&threads[i], NULL, body, &racers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_false(racers[i].broken);
    }
}

static void *register_all_names(void *user)
{
    struct racer *racer = user;
    struct peer peer;
    racer->broken = !peer_open(&peer, racer->world->url, codec_of(racer->index));
    for (unsigned i = 0; i < NAMES && !racer->broken; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name %u", i);
        const enum pywatt_status status = peer_register(&peer, name, NULL);
        racer->won_name[i] = status == PYWATT_OK;
        racer->won += status == PYWATT_OK;
        racer->broken = status != PYWATT_OK && status != PYWATT_NAME_TAKEN;
    }
    peer_close(&peer);
    return NULL;
}

static void a_name_is_given_once_however_many_want_it(void **state)
{
    (void)state;
    struct world world;
    struct racer racers[THREADS];
    world_prepare(&world);
    world.options.takeover = PYWATT_TAKEOVER_TOKEN;
    world_start(&world);
    run_all(&world, racers, register_all_names);
    unsigned won = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        won += racers[i].won;
    }
    assert_int_equal(won, NAMES);
    for (unsigned n = 0; n < NAMES; n++) {
        unsigned winners = 0;
        for (unsigned i = 0; i < THREADS; i++) {
            winners += racers[i].won_name[n];
        }
        assert_int_equal(winners, 1);
    }
    assert_int_equal(world_stats(&world).modules, NAMES);
    world_stop(&world);
}

/* Registers, beats, advertises, closes, comes again, unregisters; under names that others use. */
static void *live_a_life(void *user)
{
    struct racer *racer = user;
    struct identity who;
    for (unsigned round = 0; round < racer->rounds && !racer->broken; round++) {
        struct peer peer;
        char name[16];
        snprintf(name, sizeof(name), "name %u", round % 5);
        racer->broken = !peer_open(&peer, racer->world->url, codec_of(racer->index + round));
        if (!racer->broken && peer_register(&peer, name, &who) == PYWATT_OK) {
            racer->won++;
            /* From here on another one may take the name over only if this one is suspect. */
            racer->broken = peer_beat(&peer, &who, PYWATT_HEALTHY) != PYWATT_OK ||
                            peer_advertise(&peer, &who, "/x") != PYWATT_OK ||
                            peer_beat(&peer, &who, PYWATT_DEGRADED) != PYWATT_OK;
            if (round % 2 == 0 && !racer->broken) {
                racer->broken = peer_unregister(&peer, &who) != PYWATT_OK ||
                                peer_beat(&peer, &who, PYWATT_HEALTHY) != PYWATT_MODULE_NOT_FOUND;
            }
        }
        peer_close(&peer);
    }
    return NULL;
}

static bool see(void *user, const struct pywatt_module_view *view)
{
    atomic_uint *seen = user;
    if (pywatt_module_view_info(view) != NULL && pywatt_module_view_generation(view) > 0) {
        atomic_fetch_add(seen, 1);
    }
    return true;
}

struct onlooker {
    struct pywatt_orchestrator *orchestrator;
    atomic_bool end;
    atomic_uint seen;
};

static void *look_on(void *user)
{
    struct onlooker *onlooker = user;
    while (!atomic_load(&onlooker->end)) {
        struct pywatt_module_view *view = NULL;
        struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
        pywatt_orchestrator_for_each(onlooker->orchestrator, see, &onlooker->seen);
        if (pywatt_orchestrator_find_by_name(onlooker->orchestrator, "name 3", &view) ==
            PYWATT_OK) {
            pywatt_orchestrator_set_verdict(onlooker->orchestrator, pywatt_module_view_id(view),
                                            PYWATT_DEGRADED);
            pywatt_module_view_free(view);
        }
        pywatt_orchestrator_get_stats(onlooker->orchestrator, &stats);
    }
    return NULL;
}

static void lives_of_many_modules_do_not_mix(void **state)
{
    (void)state;
    struct world world;
    struct racer racers[THREADS];
    struct onlooker onlooker = {.seen = 0};
    pthread_t thread;
    world_begin(&world);
    onlooker.orchestrator = world.orchestrator;
    assert_int_equal(pthread_create(&thread, NULL, look_on, &onlooker), 0);
    run_all(&world, racers, live_a_life);
    atomic_store(&onlooker.end, true);
    pthread_join(thread, NULL);
    unsigned won = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        won += racers[i].won;
    }
    assert_true(won >= 5);
    world_await_connections(&world, 0);
    const struct pywatt_orchestrator_stats stats = world_stats(&world);
    assert_true(stats.modules <= 5);
    assert_int_equal(stats.bad_frames, 0);
    assert_int_equal(stats.registrations, won);
    world_stop(&world);
}

static struct identity wanderer;

/* One module beats on all connections at once, which come and go. */
static void *beat_and_leave(void *user)
{
    struct racer *racer = user;
    for (unsigned round = 0; round < racer->rounds && !racer->broken; round++) {
        struct peer peer;
        racer->broken = !peer_open(&peer, racer->world->url, codec_of(racer->index));
        for (unsigned i = 0; i < 10 && !racer->broken; i++) {
            racer->broken = peer_beat(&peer, &wanderer, PYWATT_HEALTHY) != PYWATT_OK;
        }
        peer_close(&peer);
    }
    return NULL;
}

static void a_module_may_beat_on_many_connections_at_once(void **state)
{
    (void)state;
    struct world world;
    struct racer racers[THREADS];
    struct peer peer;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "wanderer", &wanderer), PYWATT_OK);
    run_all(&world, racers, beat_and_leave);
    world_await_connections(&world, 1);
    struct pywatt_module_view *view = world_view(&world, &wanderer.id);
    assert_int_equal(pywatt_module_view_beats(view), THREADS * rounds(24) * 10);
    /* All of its connections are gone. */
    assert_int_equal(pywatt_module_view_liveness(view), PYWATT_SUSPECT);
    pywatt_module_view_free(view);
    assert_int_equal(peer_beat(&peer, &wanderer, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(world_liveness(&world, &wanderer.id), PYWATT_ALIVE);
    peer_close(&peer);
    world_stop(&world);
}

/* Each has one module at a time, and there may be as many as there are threads. */
static void *come_and_go(void *user)
{
    struct racer *racer = user;
    struct peer peer;
    char name[16];
    snprintf(name, sizeof(name), "name %u", racer->index);
    racer->broken = !peer_open(&peer, racer->world->url, codec_of(racer->index));
    for (unsigned i = 0; i < racer->rounds * 50 && !racer->broken; i++) {
        struct identity who;
        racer->broken = peer_register(&peer, name, &who) != PYWATT_OK ||
                        peer_unregister(&peer, &who) != PYWATT_OK;
    }
    peer_close(&peer);
    return NULL;
}

static void the_limit_is_met_exactly_however_many_come_and_go(void **state)
{
    (void)state;
    struct world world;
    struct racer racers[THREADS];
    world_prepare(&world);
    world.options.workers = 4;
    world.options.max_modules = THREADS;
    world.options.on_event = NULL;
    world_start(&world);
    run_all(&world, racers, come_and_go);
    assert_int_equal(world_stats(&world).modules, 0);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_name_is_given_once_however_many_want_it),
        cmocka_unit_test(lives_of_many_modules_do_not_mix),
        cmocka_unit_test(a_module_may_beat_on_many_connections_at_once),
        cmocka_unit_test(the_limit_is_met_exactly_however_many_come_and_go),
    };
    return PW_TEST_RUN(cases);
}

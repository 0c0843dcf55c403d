/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Beats of heartbeat loops that share messages, between the real client and the real orchestrator:
 * each loop hears of its own beat, whatever the others' come to; and what the client tells of it all.
 */
#include "pw_test.h"

#include "client.h"
#include "host.h"

#include <pywatt/pywatt.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOPS ((size_t)200)
#define INTERVAL_MS 5

/* What a module's watcher was told last. */
struct news {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned count;
    bool reregistered;
    enum pywatt_status status;
    enum pywatt_health verdict;
    char text[PYWATT_ERROR_TEXT_MAX];
};

struct scene {
    struct host host;
    struct pywatt_client *client;
    struct pywatt_module *modules[LOOPS];
    struct news news; /* of module 0 */
};

static void on_news(void *user, struct pywatt_module *module,
                    const struct pywatt_heartbeat_event *event)
{
    struct news *news = user;
    (void)module;
    pthread_mutex_lock(&news->mutex);
    news->count++;
    news->status = event->status;
    news->verdict = event->verdict;
    news->reregistered |= event->reregistered;
    snprintf(news->text, sizeof(news->text), "%s", event->text);
    pthread_cond_broadcast(&news->changed);
    pthread_mutex_unlock(&news->mutex);
}

/* Waits until the watcher was told this. */
static void await_news(struct news *news, enum pywatt_status status, enum pywatt_health verdict)
{
    pthread_mutex_lock(&news->mutex);
    while (news->count == 0 || news->status != status || news->verdict != verdict) {
        pthread_cond_wait(&news->changed, &news->mutex);
    }
    pthread_mutex_unlock(&news->mutex);
}

static struct scene *begin(bool coalesce)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    struct pywatt_client_options options;
    assert_non_null(scene);
    pthread_mutex_init(&scene->news.mutex, NULL);
    pthread_cond_init(&scene->news.changed, NULL);
    host_begin(&scene->host, "tcp");
    client_options(&options, scene->host.url, "protobuf");
    options.coalesce = coalesce;
    scene->client = client_open_with(&options);
    for (size_t i = 0; i < LOOPS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "module-%zu", i);
        scene->modules[i] = client_register(scene->client, name);
    }
    return scene;
}

static void start_loops(struct scene *scene, pywatt_health_provider provider, void *user)
{
    pywatt_module_set_watcher(scene->modules[0], on_news, &scene->news);
    for (size_t i = 0; i < LOOPS; i++) {
        assert_int_equal(pywatt_start_heartbeat_loop(scene->modules[i], INTERVAL_MS,
                                                     i % 10 == 3 ? provider : NULL, user, NULL,
                                                     NULL),
                         PYWATT_OK);
    }
}

static void end(struct scene *scene)
{
    for (size_t i = 0; i < LOOPS; i++) {
        pywatt_module_free(scene->modules[i]);
    }
    pywatt_client_free(scene->client);
    host_destroy(&scene->host);
    pthread_cond_destroy(&scene->news.changed);
    pthread_mutex_destroy(&scene->news.mutex);
    free(scene);
}

static uint64_t beats_of(struct scene *scene, size_t index)
{
    struct pywatt_module_view *view = NULL;
    assert_int_equal(pywatt_orchestrator_find(scene->host.orchestrator,
                                              pywatt_module_id(scene->modules[index]), &view),
                     PYWATT_OK);
    const uint64_t beats = pywatt_module_view_beats(view);
    pywatt_module_view_free(view);
    return beats;
}

/* Requests per beat while ten beats of each loop were answered. */
static double requests_per_beat(struct scene *scene)
{
    client_await_beats(scene->client, 1);
    const struct pywatt_client_stats before = client_stats(scene->client);
    client_await_beats(scene->client, before.beats_answered + 10 * LOOPS);
    const struct pywatt_client_stats after = client_stats(scene->client);
    return (double)(after.requests_sent - before.requests_sent) /
           (double)(after.beats_answered - before.beats_answered);
}

static void beats_that_are_due_together_share_messages(void **state)
{
    (void)state;
    struct scene *scene = begin(true);
    start_loops(scene, NULL, NULL);
    /* On a grid of 250 us, a loop of 5 ms has one of 20 places; a slow tool makes them fewer. */
    const double requests = requests_per_beat(scene);
    if (requests > 0.5) {
        fail_msg("%.2f requests a beat", requests);
    }
    end(scene);
}

static void beats_have_messages_of_their_own_if_that_is_asked_for(void **state)
{
    (void)state;
    struct scene *scene = begin(false);
    start_loops(scene, NULL, NULL);
    assert_true(requests_per_beat(scene) >= 0.5);
    end(scene);
}

static void every_loop_beats(void **state)
{
    (void)state;
    struct scene *scene = begin(true);
    start_loops(scene, NULL, NULL);
    client_await_beats(scene->client, 20 * LOOPS);
    for (size_t i = 0; i < LOOPS; i++) {
        assert_true(beats_of(scene, i) > 0);
    }
    end(scene);
}

/* Beats with details go by themselves, between the others. */
static enum pywatt_health with_details(void *user, struct pywatt_string_map *details)
{
    (void)user;
    (void)pywatt_string_map_set(details, "load", "0.5");
    return PYWATT_DEGRADED;
}

static void details_arrive_among_beats_that_share_messages(void **state)
{
    (void)state;
    struct scene *scene = begin(true);
    start_loops(scene, with_details, NULL);
    client_await_beats(scene->client, 20 * LOOPS);
    for (size_t i = 0; i < LOOPS; i++) {
        struct pywatt_module_view *view = NULL;
        assert_int_equal(pywatt_orchestrator_find(scene->host.orchestrator,
                                                  pywatt_module_id(scene->modules[i]), &view),
                         PYWATT_OK);
        const char *load = pywatt_string_map_get(pywatt_module_view_details(view), "load");
        if (i % 10 == 3) {
            assert_non_null(load);
            assert_string_equal(load, "0.5");
            assert_int_equal(pywatt_module_view_health(view), PYWATT_DEGRADED);
        } else {
            assert_null(load);
        }
        pywatt_module_view_free(view);
    }
    end(scene);
}

static void each_watcher_hears_of_its_own_module(void **state)
{
    (void)state;
    struct scene *scene = begin(true);
    start_loops(scene, NULL, NULL);
    await_news(&scene->news, PYWATT_OK, PYWATT_HEALTHY);
    assert_int_equal(pywatt_orchestrator_set_verdict(scene->host.orchestrator,
                                                     pywatt_module_id(scene->modules[0]),
                                                     PYWATT_UNHEALTHY),
                     PYWATT_OK);
    await_news(&scene->news, PYWATT_OK, PYWATT_UNHEALTHY);
    pywatt_module_set_health(scene->modules[1], PYWATT_DEGRADED);
    client_await_beats(scene->client, client_stats(scene->client).beats_answered + 5 * LOOPS);
    pthread_mutex_lock(&scene->news.mutex);
    assert_int_equal(scene->news.count, 2);
    pthread_mutex_unlock(&scene->news.mutex);
    end(scene);
}

static void one_refused_beat_leaves_the_others_alone(void **state)
{
    (void)state;
    struct scene *scene = begin(true);
    struct pywatt_module *impostor = NULL;
    struct news told = {.count = 0};
    pthread_mutex_init(&told.mutex, NULL);
    pthread_cond_init(&told.changed, NULL);
    assert_int_equal(pywatt_attach_module(scene->client, NULL, pywatt_module_id(scene->modules[5]),
                                          "not the token", &impostor, NULL),
                     PYWATT_OK);
    pywatt_module_set_watcher(impostor, on_news, &told);
    start_loops(scene, NULL, NULL);
    assert_int_equal(pywatt_start_heartbeat_loop(impostor, INTERVAL_MS, NULL, NULL, NULL, NULL),
                     PYWATT_OK);
    await_news(&told, PYWATT_INVALID_TOKEN, PYWATT_HEALTHY);
    assert_string_equal(told.text, "Invalid token");
    client_await_beats(scene->client, client_stats(scene->client).beats_answered + 5 * LOOPS);
    pywatt_module_free(impostor);
    end(scene);
    pthread_cond_destroy(&told.changed);
    pthread_mutex_destroy(&told.mutex);
}

static void forgotten_modules_register_again(void **state)
{
    (void)state;
    struct scene *scene = begin(true);
    start_loops(scene, NULL, NULL);
    client_await_beats(scene->client, 5 * LOOPS);
    host_stop(&scene->host);
    host_start(&scene->host); /* with a store that forgets */
    for (size_t i = 0; i < LOOPS; i++) {
        while (host_module(&scene->host, pywatt_module_id(scene->modules[i])).registered == 0) {
            client_await_beats(scene->client, client_stats(scene->client).beats_answered + 1);
        }
    }
    client_await_beats(scene->client, client_stats(scene->client).beats_answered + 5 * LOOPS);
    assert_int_equal(host_stats(&scene->host).modules, LOOPS);
    end(scene);
}

/* ---- Statistics ---- */

static void the_statistics_add_up(void **state)
{
    (void)state;
    for (int coalesce = 0; coalesce < 2; coalesce++) {
        struct scene *scene = begin(coalesce == 1);
        start_loops(scene, NULL, NULL);
        client_await_beats(scene->client, 10 * LOOPS);
        /* Stopped loops have nothing under way when their modules are gone. */
        for (size_t i = 0; i < LOOPS; i++) {
            assert_int_equal(pywatt_unregister_module(scene->modules[i], NULL), PYWATT_OK);
        }
        struct pywatt_client_stats stats;
        do {
            stats = client_stats(scene->client);
        } while (stats.beats_answered + stats.beats_failed != stats.beats_sent ||
                 stats.lateness.count != stats.beats_sent);
        assert_int_equal(stats.lateness.count, stats.beats_sent);
        assert_int_equal(stats.round_trips.count, stats.beats_sent);
        assert_true(stats.beats_late <= stats.beats_sent);
        assert_true(stats.lateness.max_ns == stats.beats_max_lateness_ns);
        assert_true(pywatt_histogram_at(&stats.round_trips, 500000) > 0);
        assert_true(pywatt_histogram_at(&stats.round_trips, 1000000) == stats.round_trips.max_ns);
        end(scene);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(beats_that_are_due_together_share_messages),
        cmocka_unit_test(beats_have_messages_of_their_own_if_that_is_asked_for),
        cmocka_unit_test(every_loop_beats),
        cmocka_unit_test(details_arrive_among_beats_that_share_messages),
        cmocka_unit_test(each_watcher_hears_of_its_own_module),
        cmocka_unit_test(one_refused_beat_leaves_the_others_alone),
        cmocka_unit_test(forgotten_modules_register_again),
        cmocka_unit_test(the_statistics_add_up),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pywatt_heartbeat_batch between the real client and the real orchestrator, over both codecs, as one
 * message and as many: every beat gets its own answer, whatever happens to the others.
 */
#include "pw_test.h"

#include "client.h"
#include "host.h"
#include "raw_server.h"

#include <pywatt/pywatt.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULES ((size_t)1000)

/* How a client sends many beats. */
struct way {
    const char *name;
    const char *codec;
    bool coalesce;
};

static const struct way ways[] = {
    {"protobuf, together", "protobuf", true},
    {"protobuf, one by one", "protobuf", false},
    {"json", "json", true},
};

struct scene {
    const struct way *way;
    struct host host;
    struct pywatt_client *client;
    size_t count;
    struct pywatt_beat beats[MODULES];
};

static struct pywatt_client *open_client(const struct way *way, const char *url)
{
    struct pywatt_client_options options;
    client_options(&options, url, way->codec);
    options.coalesce = way->coalesce;
    return client_open_with(&options);
}

static struct scene *begin(const struct way *way, size_t count)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    scene->way = way;
    scene->count = count;
    host_begin(&scene->host, "tcp");
    scene->client = open_client(way, scene->host.url);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "module-%zu", i);
        scene->beats[i].module = client_register(scene->client, name);
    }
    return scene;
}

static void end(struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        pywatt_module_free(scene->beats[i].module);
    }
    pywatt_client_free(scene->client);
    host_destroy(&scene->host);
    free(scene);
}

static void forget_results(struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        scene->beats[i].status = PYWATT_IO;
        scene->beats[i].verdict = PYWATT_UNHEALTHY;
    }
}

static size_t usual_count(void)
{
    return pw_test_slow_factor() > 4 ? 50 : MODULES;
}

static void expect_all_answered(const struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        const struct pywatt_beat *beat = &scene->beats[i];
        if (beat->status != PYWATT_OK || beat->verdict != beat->health) {
            fail_msg("%s: beat %zu: %s", scene->way->name, i, pywatt_status_name(beat->status));
        }
    }
}

/* What the orchestrator knows is what was reported. */
static void expect_reported(struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        struct pywatt_module_view *view = NULL;
        assert_int_equal(pywatt_orchestrator_find(scene->host.orchestrator,
                                                  pywatt_module_id(scene->beats[i].module), &view),
                         PYWATT_OK);
        assert_int_equal(pywatt_module_view_health(view), scene->beats[i].health);
        pywatt_module_view_free(view);
    }
}

static void every_beat_is_answered_and_counts(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct scene *scene = begin(&ways[w], usual_count());
        struct pywatt_error error;
        for (int health = PYWATT_HEALTHY; health <= PYWATT_UNHEALTHY; health++) {
            forget_results(scene);
            for (size_t i = 0; i < scene->count; i++) {
                scene->beats[i].health = (enum pywatt_health)((i + (size_t)health) % 3);
            }
            assert_int_equal(
                pywatt_heartbeat_batch(scene->client, scene->beats, scene->count, &error),
                PYWATT_OK);
            expect_all_answered(scene);
            expect_reported(scene);
        }
        assert_int_equal(host_stats(&scene->host).heartbeats, 3 * scene->count);
        end(scene);
    }
}

static void beats_share_messages_where_both_sides_can(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        const bool together = strcmp(ways[w].codec, "protobuf") == 0 && ways[w].coalesce;
        struct scene *scene = begin(&ways[w], usual_count());
        const uint64_t before = client_stats(scene->client).requests_sent;
        assert_int_equal(pywatt_heartbeat_batch(scene->client, scene->beats, scene->count, NULL),
                         PYWATT_OK);
        const struct pywatt_client_stats stats = client_stats(scene->client);
        assert_int_equal(stats.beats_answered, scene->count);
        assert_int_equal(stats.beats_failed, 0);
        if (together) {
            assert_in_range(stats.requests_sent - before, 1, scene->count / 100 + 1);
        } else {
            assert_int_equal(stats.requests_sent - before, scene->count);
        }
        end(scene);
    }
}

static void any_number_of_beats_is_a_batch(void **state)
{
    (void)state;
    struct scene *scene = begin(&ways[0], usual_count());
    for (size_t count = 0; count <= scene->count; count += count < 3 ? 1 : scene->count / 7) {
        forget_results(scene);
        assert_int_equal(pywatt_heartbeat_batch(scene->client, scene->beats, count, NULL),
                         PYWATT_OK);
        for (size_t i = 0; i < scene->count; i++) {
            assert_int_equal(scene->beats[i].status, i < count ? PYWATT_OK : PYWATT_IO);
        }
    }
    /* A module may be in it more than once. */
    struct pywatt_module *own = scene->beats[1].module;
    scene->beats[1].module = scene->beats[0].module;
    const uint64_t before = host_stats(&scene->host).heartbeats;
    assert_int_equal(pywatt_heartbeat_batch(scene->client, scene->beats, 2, NULL), PYWATT_OK);
    assert_int_equal(host_stats(&scene->host).heartbeats - before, 2);
    scene->beats[1].module = own;
    end(scene);
}

static void the_orchestrators_view_comes_back(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct scene *scene = begin(&ways[w], 9);
        assert_int_equal(pywatt_orchestrator_set_verdict(scene->host.orchestrator,
                                                         pywatt_module_id(scene->beats[4].module),
                                                         PYWATT_DEGRADED),
                         PYWATT_OK);
        assert_int_equal(pywatt_heartbeat_batch(scene->client, scene->beats, 9, NULL), PYWATT_OK);
        for (size_t i = 0; i < 9; i++) {
            assert_int_equal(scene->beats[i].verdict, i == 4 ? PYWATT_DEGRADED : PYWATT_HEALTHY);
        }
        end(scene);
    }
}

/* ---- Beats that go wrong ---- */

static struct pywatt_module *impostor_of(struct scene *scene, size_t index)
{
    struct pywatt_module *impostor = NULL;
    assert_int_equal(pywatt_attach_module(scene->client, NULL,
                                          pywatt_module_id(scene->beats[index].module),
                                          "not the token", &impostor, NULL),
                     PYWATT_OK);
    return impostor;
}

static void a_beat_that_fails_leaves_the_others_alone(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct scene *scene = begin(&ways[w], 20);
        struct pywatt_client *stranger = open_client(&ways[w], scene->host.url);
        struct pywatt_error error;
        struct pywatt_uuid nobody;
        struct pywatt_beat beats[20];
        char id[PYWATT_UUID_TEXT_SIZE];
        memcpy(beats, scene->beats, sizeof(beats));
        pywatt_uuid_generate(&nobody);
        assert_int_equal(pywatt_unregister_module(scene->beats[3].module, NULL), PYWATT_OK);
        beats[5].module = impostor_of(scene, 5);
        assert_int_equal(
            pywatt_attach_module(scene->client, NULL, &nobody, "a token", &beats[7].module, NULL),
            PYWATT_OK);
        beats[9].module = NULL;
        beats[11].module = client_register(stranger, "stranger");
        beats[13].health = (enum pywatt_health)7;

        assert_int_equal(pywatt_heartbeat_batch(scene->client, beats, 20, &error), PYWATT_CLOSED);
        pywatt_uuid_format(pywatt_module_id(scene->beats[3].module), id);
        assert_non_null(strstr(error.text, id));
        for (size_t i = 0; i < 20; i++) {
            const enum pywatt_status expected = i == 3   ? PYWATT_CLOSED
                                                : i == 5 ? PYWATT_INVALID_TOKEN
                                                : i == 7 ? PYWATT_MODULE_NOT_FOUND
                                                : i == 9 || i == 11 || i == 13
                                                    ? PYWATT_INVALID_ARGUMENT
                                                    : PYWATT_OK;
            if (beats[i].status != expected) {
                fail_msg("%s: beat %zu: %s", ways[w].name, i, pywatt_status_name(beats[i].status));
            }
        }
        pywatt_module_free(beats[5].module);
        pywatt_module_free(beats[7].module);
        pywatt_module_free(beats[11].module);
        pywatt_client_free(stranger);
        end(scene);
    }
}

static void names_what_is_wrong(void **state)
{
    (void)state;
    struct scene *scene = begin(&ways[0], 2);
    struct pywatt_beat none = {.module = NULL};
    struct pywatt_error error;
    assert_int_equal(pywatt_heartbeat_batch(NULL, scene->beats, 1, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "client is NULL"));
    assert_int_equal(pywatt_heartbeat_batch(scene->client, NULL, 1, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "beats is NULL"));
    assert_int_equal(pywatt_heartbeat_batch(scene->client, &none, 1, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "beat 0 of the batch: the module is NULL"));
    struct pywatt_module *impostor = impostor_of(scene, 0);
    struct pywatt_beat beat = {.module = impostor};
    assert_int_equal(pywatt_heartbeat_batch(scene->client, &beat, 1, &error), PYWATT_INVALID_TOKEN);
    assert_non_null(strstr(error.text, "Invalid token"));
    pywatt_module_free(impostor);
    pywatt_client_close(scene->client);
    assert_int_equal(pywatt_heartbeat_batch(scene->client, scene->beats, 2, &error), PYWATT_CLOSED);
    end(scene);
}

static void forgotten_modules_are_registered_again(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct scene *scene = begin(&ways[w], 10);
        assert_int_equal(pywatt_heartbeat_batch(scene->client, scene->beats, 10, NULL), PYWATT_OK);
        host_stop(&scene->host);
        host_start(&scene->host); /* with a store that forgets */
        forget_results(scene);
        struct pywatt_error error = {PYWATT_OK, ""};
        enum pywatt_status status;
        do { /* the connection that broke may have taken beats with it */
            status = pywatt_heartbeat_batch(scene->client, scene->beats, 10, &error);
        } while (status == PYWATT_CHANNEL);
        if (status != PYWATT_OK) {
            fail_msg("%s: %s", ways[w].name, error.text);
        }
        expect_all_answered(scene);
        assert_int_equal(client_stats(scene->client).reregistrations, 10);
        assert_int_equal(host_stats(&scene->host).modules, 10);
        end(scene);
    }
}

static void without_an_orchestrator_every_beat_says_so(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct scene *scene = begin(&ways[w], 10);
        struct pywatt_client_options options;
        client_options(&options, scene->host.url, ways[w].codec);
        options.reconnect = PYWATT_RECONNECT_NONE;
        options.coalesce = ways[w].coalesce;
        struct pywatt_client *client = client_open_with(&options);
        struct pywatt_beat beats[10] = {{.module = NULL}};
        for (size_t i = 0; i < 10; i++) {
            struct pywatt_registration *registration =
                pywatt_module_registration(scene->beats[i].module);
            assert_int_equal(pywatt_attach_module(
                                 client, NULL, pywatt_module_id(scene->beats[i].module),
                                 pywatt_registration_token(registration), &beats[i].module, NULL),
                             PYWATT_OK);
            pywatt_registration_release(registration);
        }
        host_stop(&scene->host);
        struct pywatt_error error;
        assert_int_equal(pywatt_heartbeat_batch(client, beats, 10, &error), PYWATT_CONNECTION);
        for (size_t i = 0; i < 10; i++) {
            assert_int_equal(beats[i].status, PYWATT_CONNECTION);
            pywatt_module_free(beats[i].module);
        }
        pywatt_client_free(client);
        end(scene);
    }
}

/* ---- Peers of other kinds ---- */

/* Answers as programs do that echo no request id, and have no batches. */
static bool answer_plainly(void *user, unsigned connection, unsigned index,
                           const struct pw_frame *request, struct pw_buffer *out)
{
    static const char reply[] =
        "{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Degraded\"}";
    (void)user;
    (void)connection;
    (void)index;
    (void)request;
    raw_put_frame(out, 1, reply, sizeof(reply) - 1);
    return true;
}

static void a_peer_that_serves_one_at_a_time_gets_one_at_a_time(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start("unix", answer_plainly, NULL);
    struct pywatt_client *client = client_open(raw_server_url(server), "json");
    struct pywatt_beat beats[50] = {{.module = NULL}};
    for (size_t i = 0; i < 50; i++) {
        struct pywatt_uuid id;
        pywatt_uuid_generate(&id);
        assert_int_equal(pywatt_attach_module(client, NULL, &id, "token", &beats[i].module, NULL),
                         PYWATT_OK);
    }
    assert_int_equal(pywatt_heartbeat_batch(client, beats, 50, NULL), PYWATT_OK);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(beats[i].status, PYWATT_OK);
        assert_int_equal(beats[i].verdict, PYWATT_DEGRADED);
        pywatt_module_free(beats[i].module);
    }
    assert_int_equal(client_stats(client).connects, 1);
    pywatt_client_free(client);
    raw_server_end(server);
}

/* A token of another orchestrator, longer than ours are. */
static void long_tokens_go_along(void **state)
{
    (void)state;
    char token[PYWATT_TOKEN_MAX + 1];
    memset(token, 'x', PYWATT_TOKEN_MAX);
    token[PYWATT_TOKEN_MAX] = '\0';
    struct scene *scene = begin(&ways[0], 3);
    struct pywatt_beat beats[200];
    for (size_t i = 0; i < 200; i++) {
        beats[i] = scene->beats[i % 3];
        if (i % 2 == 0) {
            struct pywatt_uuid id;
            pywatt_uuid_generate(&id);
            assert_int_equal(
                pywatt_attach_module(scene->client, NULL, &id, token, &beats[i].module, NULL),
                PYWATT_OK);
        }
    }
    assert_int_equal(pywatt_heartbeat_batch(scene->client, beats, 200, NULL),
                     PYWATT_MODULE_NOT_FOUND);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(beats[i].status, i % 2 == 0 ? PYWATT_MODULE_NOT_FOUND : PYWATT_OK);
        if (i % 2 == 0) {
            pywatt_module_free(beats[i].module);
        }
    }
    end(scene);
}

/* A million beats, of as many modules as there are, in one call. */
static void a_batch_may_be_large(void **state)
{
    (void)state;
    const size_t count = pw_test_slow_factor() > 1 ? 20000 : 1000000;
    struct scene *scene = begin(&ways[0], 50);
    struct pywatt_beat *beats = calloc(count, sizeof(*beats));
    assert_non_null(beats);
    for (size_t i = 0; i < count; i++) {
        beats[i] = scene->beats[i % 50];
        beats[i].status = PYWATT_IO;
    }
    assert_int_equal(pywatt_heartbeat_batch(scene->client, beats, count, NULL), PYWATT_OK);
    for (size_t i = 0; i < count; i++) {
        if (beats[i].status != PYWATT_OK) {
            fail_msg("beat %zu: %s", i, pywatt_status_name(beats[i].status));
        }
    }
    assert_int_equal(host_stats(&scene->host).heartbeats, count);
    free(beats);
    end(scene);
}

/* ---- Threads ---- */

struct provider_scene {
    struct scene *scene;
    struct pywatt_module *module;
    atomic_int status;
    atomic_bool asked;
};

static enum pywatt_health beat_from_inside(void *user, struct pywatt_string_map *details)
{
    struct provider_scene *inside = user;
    (void)details;
    if (!atomic_load(&inside->asked)) {
        atomic_store(&inside->status,
                     (int)pywatt_heartbeat_batch(inside->scene->client, inside->scene->beats,
                                                 inside->scene->count, NULL));
        atomic_store(&inside->asked, true);
    }
    return PYWATT_HEALTHY;
}

static void may_be_called_from_a_provider(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct provider_scene inside = {.scene = begin(&ways[w], 30)};
        struct pywatt_heartbeat_loop *loop = NULL;
        atomic_init(&inside.status, PYWATT_IO);
        atomic_init(&inside.asked, false);
        inside.module = client_register(inside.scene->client, "asked");
        assert_int_equal(
            pywatt_start_heartbeat_loop(inside.module, 1, beat_from_inside, &inside, &loop, NULL),
            PYWATT_OK);
        client_await_beats(inside.scene->client, inside.scene->count + 3);
        assert_true(atomic_load(&inside.asked));
        assert_int_equal(atomic_load(&inside.status), PYWATT_OK);
        pywatt_heartbeat_loop_stop(loop);
        expect_all_answered(inside.scene);
        pywatt_module_free(inside.module);
        end(inside.scene);
    }
}

#define THREADS 4

struct worker {
    pthread_t thread;
    struct scene *scene;
    struct pywatt_beat beats[100];
    unsigned failures;
};

static void *beat_on(void *user)
{
    struct worker *worker = user;
    for (int round = 0; round < 20; round++) {
        if (pywatt_heartbeat_batch(worker->scene->client, worker->beats, 100, NULL) != PYWATT_OK) {
            worker->failures++;
        }
    }
    return NULL;
}

static void many_threads_may_send_batches(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        struct scene *scene = begin(&ways[w], 100);
        static struct worker workers[THREADS];
        for (size_t t = 0; t < THREADS; t++) {
            workers[t].scene = scene;
            workers[t].failures = 0;
            memcpy(workers[t].beats, scene->beats, sizeof(workers[t].beats));
            assert_int_equal(pthread_create(&workers[t].thread, NULL, beat_on, &workers[t]), 0);
        }
        for (size_t t = 0; t < THREADS; t++) {
            pthread_join(workers[t].thread, NULL);
            assert_int_equal(workers[t].failures, 0);
        }
        assert_int_equal(host_stats(&scene->host).heartbeats, THREADS * 20 * 100);
        end(scene);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_beat_is_answered_and_counts),
        cmocka_unit_test(beats_share_messages_where_both_sides_can),
        cmocka_unit_test(any_number_of_beats_is_a_batch),
        cmocka_unit_test(the_orchestrators_view_comes_back),
        cmocka_unit_test(a_beat_that_fails_leaves_the_others_alone),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(forgotten_modules_are_registered_again),
        cmocka_unit_test(without_an_orchestrator_every_beat_says_so),
        cmocka_unit_test(a_peer_that_serves_one_at_a_time_gets_one_at_a_time),
        cmocka_unit_test(long_tokens_go_along),
        cmocka_unit_test(a_batch_may_be_large),
        cmocka_unit_test(may_be_called_from_a_provider),
        cmocka_unit_test(many_threads_may_send_batches),
    };
    return PW_TEST_RUN(cases);
}

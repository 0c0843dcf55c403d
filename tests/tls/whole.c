/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* All that a client does, over TLS, with both codecs and from several threads. */
#include "scene.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODULES = 600,
    CALLERS = 4,
    PATIENCE_MS = 20000
};

static struct host host;
static struct pywatt_tls *client_tls;

static int begin(void **state)
{
    struct pywatt_tls_options options;
    (void)state;
    scene_server_options(&options);
    scene_host(&host, &options);
    scene_client_options(&options);
    client_tls = scene_client(&options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pywatt_tls_free(client_tls);
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
    return 0;
}

static void a_module_lives_its_life(void **state)
{
    (void)state;
    for (size_t c = 0; c < client_codec_count; c++) {
        struct pywatt_client *const client = scene_open(&host, client_tls, client_codecs[c]);
        struct pywatt_module *const module = client_register_advertised(client, "camera");
        enum pywatt_health verdict = PYWATT_HEALTHY;
        assert_int_equal(pywatt_heartbeat(module, PYWATT_DEGRADED, NULL, &verdict, NULL),
                         PYWATT_OK);
        assert_int_equal(verdict, PYWATT_DEGRADED);
        struct pywatt_registration *const registration = pywatt_module_registration(module);
        /* It is told where it came in. */
        assert_non_null(strstr(host.url, pywatt_registration_orchestrator_host(registration)));
        pywatt_registration_release(registration);
        assert_int_equal(pywatt_start_heartbeat_loop(module, 1, NULL, NULL, NULL, NULL), PYWATT_OK);
        client_await_beats(client, 20);
        assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
        pywatt_module_free(module);
        pywatt_client_free(client);
    }
}

/* Messages over many records, in both directions. */
static void large_messages_go_through(void **state)
{
    (void)state;
    const size_t len = 16000;
    char *const text = malloc(len + 3);
    assert_non_null(text);
    memset(text, 'x', len + 2);
    text[0] = text[len + 1] = '"';
    text[len + 2] = '\0';
    for (size_t c = 0; c < client_codec_count; c++) {
        struct pywatt_client *const client = scene_open(&host, client_tls, client_codecs[c]);
        struct pywatt_module *const module = client_register(client, "camera");
        struct pywatt_capabilities *const much = pywatt_capabilities_new();
        struct pywatt_error error = {PYWATT_OK, ""};
        for (int i = 0; i < 24; i++) {
            char key[16];
            snprintf(key, sizeof(key), "much%d", i);
            assert_int_equal(pywatt_capabilities_set_capability(much, key, text), PYWATT_OK);
        }
        for (int i = 0; i < 3; i++) {
            if (pywatt_advertise_capabilities(module, much, &error) != PYWATT_OK) {
                fail_msg("%s", error.text);
            }
        }
        pywatt_capabilities_free(much);
        assert_int_equal(pywatt_unregister_module(module, &error), PYWATT_OK);
        pywatt_module_free(module);
        pywatt_client_free(client);
    }
    free(text);
}

static unsigned module_count(void)
{
    return pw_test_slow_factor() == 1 ? MODULES : 60;
}

static void beats_of_many_modules_go_in_batches(void **state)
{
    (void)state;
    for (size_t c = 0; c < client_codec_count; c++) {
        struct pywatt_client *const client = scene_open(&host, client_tls, client_codecs[c]);
        static struct pywatt_beat beats[MODULES];
        struct pywatt_error error = {PYWATT_OK, ""};
        for (unsigned i = 0; i < module_count(); i++) {
            char name[32];
            snprintf(name, sizeof(name), "module %u", i);
            beats[i].module = client_register(client, name);
        }
        for (int round = 0; round < 5; round++) {
            for (unsigned i = 0; i < module_count(); i++) {
                beats[i].health = (enum pywatt_health)((i + (unsigned)round) % 3);
            }
            if (pywatt_heartbeat_batch(client, beats, module_count(), &error) != PYWATT_OK) {
                fail_msg("%s", error.text);
            }
            for (unsigned i = 0; i < module_count(); i++) {
                assert_int_equal(beats[i].status, PYWATT_OK);
                assert_int_equal(beats[i].verdict, beats[i].health);
            }
        }
        for (unsigned i = 0; i < module_count(); i++) {
            assert_int_equal(pywatt_unregister_module(beats[i].module, &error), PYWATT_OK);
            pywatt_module_free(beats[i].module);
        }
        pywatt_client_free(client);
    }
}

struct caller {
    struct pywatt_module *module;
    unsigned good;
    unsigned beats;
};

static void *call_often(void *user)
{
    struct caller *const caller = user;
    for (unsigned i = 0; i < caller->beats; i++) {
        const enum pywatt_health health = (enum pywatt_health)(i % 3);
        enum pywatt_health verdict = PYWATT_HEALTHY;
        const enum pywatt_status status =
            pywatt_heartbeat(caller->module, health, NULL, &verdict, NULL);
        caller->good += status == PYWATT_OK && verdict == health;
    }
    return NULL;
}

/* One connection, on which some thread sends while another receives. */
static void several_threads_share_a_connection(void **state)
{
    (void)state;
    const unsigned beats = pw_test_slow_factor() == 1 ? 500 : 50;
    for (size_t c = 0; c < client_codec_count; c++) {
        struct pywatt_client *const client = scene_open(&host, client_tls, client_codecs[c]);
        struct caller callers[CALLERS];
        pthread_t threads[CALLERS];
        for (unsigned i = 0; i < CALLERS; i++) {
            char name[32];
            snprintf(name, sizeof(name), "caller %u", i);
            callers[i] = (struct caller){.module = client_register(client, name), .beats = beats};
            /* The heartbeat thread sends, too. */
            assert_int_equal(
                pywatt_start_heartbeat_loop(callers[i].module, 1, NULL, NULL, NULL, NULL),
                PYWATT_OK);
        }
        for (unsigned i = 0; i < CALLERS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
        }
        for (unsigned i = 0; i < CALLERS; i++) {
            pthread_join(threads[i], NULL);
        }
        for (unsigned i = 0; i < CALLERS; i++) {
            assert_int_equal(pywatt_unregister_module(callers[i].module, NULL), PYWATT_OK);
            pywatt_module_free(callers[i].module);
            assert_int_equal(callers[i].good, beats);
        }
        assert_int_equal(client_stats(client).connects, 1);
        pywatt_client_free(client);
    }
}

static void on_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                          struct pywatt_module *module)
{
    atomic_uint *const good = user;
    (void)error;
    atomic_fetch_add(good, status == PYWATT_OK ? 1 : 1000);
    pywatt_module_free(module);
}

static bool fifty_are_good(void *user)
{
    return atomic_load((atomic_uint *)user) >= 50;
}

static void asynchronous_calls_come_through(void **state)
{
    (void)state;
    struct pywatt_client *const client = scene_open(&host, client_tls, "protobuf");
    atomic_uint good = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct pywatt_module_info *info = NULL;
        char name[32];
        snprintf(name, sizeof(name), "async %u", i);
        assert_int_equal(pywatt_module_info_new(name, "1", "x", &info), PYWATT_OK);
        assert_int_equal(pywatt_register_module_async(client, info, on_registered, &good, NULL),
                         PYWATT_OK);
        pywatt_module_info_free(info);
    }
    assert_true(pw_test_wait_until(fifty_are_good, &good, PATIENCE_MS));
    assert_int_equal(good, 50);
    pywatt_client_free(client);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(a_module_lives_its_life, begin, end),
        cmocka_unit_test_setup_teardown(large_messages_go_through, begin, end),
        cmocka_unit_test_setup_teardown(beats_of_many_modules_go_in_batches, begin, end),
        cmocka_unit_test_setup_teardown(several_threads_share_a_connection, begin, end),
        cmocka_unit_test_setup_teardown(asynchronous_calls_come_through, begin, end),
    };
    return pw_test_run("whole", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Three times as many modules as an orchestrator takes in at once: the real client and the real
 * orchestrator bring all of them in, and none fails.
 */
#include "client.h"
#include "host.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    THREADS = 4,
    MODULES_MAX = 300,
    PATIENCE_MS = 20000
};

/* Under the tools they come slowly: fewer of them, that more are not there in time by themselves. */
static unsigned module_count(void)
{
    return pw_test_slow_factor() == 1 ? MODULES_MAX : 30;
}

struct crowd {
    struct host host;
    struct pywatt_client *client;
    const char *codec;
    int64_t began_ns;
    atomic_uint next;
    pthread_mutex_t mutex;
    /* Guarded by mutex until all are there. */
    unsigned in;
    unsigned failed;
    struct pywatt_module *modules[MODULES_MAX];
};

static void begin(struct crowd *crowd, const char *codec)
{
    crowd->codec = codec;
    atomic_init(&crowd->next, 0);
    pthread_mutex_init(&crowd->mutex, NULL);
    crowd->in = 0;
    crowd->failed = 0;
    host_init(&crowd->host, "tcp");
    crowd->host.options.registrations_per_s = module_count() / 3;
    host_start(&crowd->host);
    crowd->client = client_open(crowd->host.url, codec);
    crowd->began_ns = pw_test_now_ns();
}

static struct pywatt_module_info *info_of(unsigned number)
{
    struct pywatt_module_info *info = NULL;
    char name[32];
    snprintf(name, sizeof(name), "module %u", number);
    return pywatt_module_info_new(name, "1", "of a crowd", &info) == PYWATT_OK ? info : NULL;
}

static void put(struct crowd *crowd, enum pywatt_status status, struct pywatt_module *module)
{
    pthread_mutex_lock(&crowd->mutex);
    if (status == PYWATT_OK) {
        crowd->modules[crowd->in++] = module;
    } else {
        crowd->failed++;
    }
    pthread_mutex_unlock(&crowd->mutex);
}

static bool is_complete(void *user)
{
    struct crowd *crowd = user;
    pthread_mutex_lock(&crowd->mutex);
    const bool complete = crowd->in + crowd->failed == module_count();
    pthread_mutex_unlock(&crowd->mutex);
    return complete;
}

static void assert_all_are_in(struct crowd *crowd)
{
    const unsigned count = module_count();
    assert_true(pw_test_wait_until(is_complete, crowd, PATIENCE_MS));
    assert_int_equal(crowd->failed, 0);
    const int64_t took_ns = pw_test_now_ns() - crowd->began_ns;
    const struct pywatt_orchestrator_stats stats = host_stats(&crowd->host);
    const struct pywatt_client_stats own = client_stats(crowd->client);
    assert_int_equal(stats.modules, count);
    assert_int_equal(stats.registrations, count);
    assert_int_equal(stats.requests_refused, stats.registrations_deferred);
    assert_int_equal(stats.registrations_deferred, own.deferred);
    /* A third of them at once, and as many in each second after that. */
    assert_true(took_ns >= INT64_C(1950000000));
    if (pw_test_slow_factor() == 1) {
        assert_true(stats.registrations_deferred >= count / 3);
    } else {
        assert_true(stats.registrations_deferred > 0);
    }
}

static void end(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->in; i++) {
        pywatt_module_free(crowd->modules[i]);
    }
    pywatt_client_free(crowd->client);
    host_stop(&crowd->host);
    host_destroy(&crowd->host);
    pthread_mutex_destroy(&crowd->mutex);
}

/* ---- Blocking ---- */

static void *register_some(void *arg)
{
    struct crowd *crowd = arg;
    unsigned number;
    while ((number = atomic_fetch_add(&crowd->next, 1)) < module_count()) {
        struct pywatt_module_info *info = info_of(number);
        struct pywatt_module *module = NULL;
        const enum pywatt_status status =
            pywatt_register_module(crowd->client, info, &module, NULL);
        put(crowd, status, module);
        pywatt_module_info_free(info);
    }
    return NULL;
}

static void all_get_in_that_register_in_turn(void **state)
{
    static struct crowd crowd;
    (void)state;
    for (size_t i = 0; i < client_codec_count; i++) {
        pthread_t threads[THREADS];
        begin(&crowd, client_codecs[i]);
        for (int k = 0; k < THREADS; k++) {
            assert_int_equal(pthread_create(&threads[k], NULL, register_some, &crowd), 0);
        }
        for (int k = 0; k < THREADS; k++) {
            pthread_join(threads[k], NULL);
        }
        assert_all_are_in(&crowd);
        end(&crowd);
    }
}

/* ---- All at once ---- */

static void on_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                          struct pywatt_module *module)
{
    (void)error;
    put(user, status, module);
}

static void all_get_in_that_register_at_once(void **state)
{
    static struct crowd crowd;
    (void)state;
    for (size_t i = 0; i < client_codec_count; i++) {
        begin(&crowd, client_codecs[i]);
        for (unsigned k = 0; k < module_count(); k++) {
            struct pywatt_module_info *info = info_of(k);
            assert_int_equal(
                pywatt_register_module_async(crowd.client, info, on_registered, &crowd, NULL),
                PYWATT_OK);
            pywatt_module_info_free(info);
        }
        assert_all_are_in(&crowd);
        end(&crowd);
    }
}

/* ---- A restart ---- */

static bool are_back(void *user)
{
    struct crowd *crowd = user;
    const struct pywatt_orchestrator_stats stats = host_stats(&crowd->host);
    return stats.modules == module_count() && stats.registrations >= module_count();
}

/* Those that it has forgotten come back at the rate, by themselves. */
static void all_come_back_to_an_orchestrator_that_has_forgotten_them(void **state)
{
    static struct crowd crowd;
    (void)state;
    begin(&crowd, "protobuf");
    register_some(&crowd);
    for (unsigned k = 0; k < module_count(); k++) {
        assert_int_equal(pywatt_start_heartbeat_loop(crowd.modules[k], 200, NULL, NULL, NULL, NULL),
                         PYWATT_OK);
    }
    host_stop(&crowd.host);
    host_start(&crowd.host);
    const int64_t began_ns = pw_test_now_ns();
    assert_true(pw_test_wait_until(are_back, &crowd, PATIENCE_MS));
    assert_true(pw_test_now_ns() - began_ns >= INT64_C(1900000000));
    assert_int_equal(host_stats(&crowd.host).registrations, module_count());
    end(&crowd);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(all_get_in_that_register_in_turn),
        cmocka_unit_test(all_get_in_that_register_at_once),
        cmocka_unit_test(all_come_back_to_an_orchestrator_that_has_forgotten_them),
    };
    return PW_TEST_RUN(cases);
}

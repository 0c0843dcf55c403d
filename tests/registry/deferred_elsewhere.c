/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator asks for a long wait and is gone: what it said does not bind anybody at the next
 * one, where all goes on at once.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    HOUR_MS = 3600000
};

static char both_urls[256];

static void both(struct pywatt_client_options *options)
{
    options->endpoints = both_urls;
    options->timeout_ms = 2 * HOUR_MS;
    options->reconnect_spread_ms = 0;
}

/* A client at the first of two, where it has one module. */
struct pair {
    struct place place;
    struct pw_fake *second;
};

static void begin(struct pair *pair, const char *codec)
{
    *pair = (struct pair){.place.fake = pw_fake_start(), .second = pw_fake_start()};
    snprintf(both_urls, sizeof(both_urls), "%s,%s", pw_fake_url(pair->place.fake),
             pw_fake_url(pair->second));
    pair->place.client = open_client(pair->place.fake, codec, both);
    pair->place.module = register_named(pair->place.client, "alpha");
    box_init(&pair->place.box);
}

static void end(struct pair *pair)
{
    close_place(&pair->place);
    pw_fake_free(pair->second);
    box_destroy(&pair->place.box);
}

static void defer_and_go(struct pair *pair, enum pw_operation operation)
{
    assert_true(WAIT_STAT(pair->place.client, deferred, 1));
    assert_int_equal(pw_fake_count(pair->second, operation), 0);
    pw_fake_go_away(pair->place.fake);
}

struct caller {
    struct pair *pair;
    pthread_t thread;
    enum pywatt_status status;
};

static void *register_beta(void *arg)
{
    struct caller *caller = arg;
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    caller->status = pywatt_module_info_new("beta", "1.0", "a module", &info);
    if (caller->status == PYWATT_OK) {
        caller->status = pywatt_register_module(caller->pair->place.client, info, &module, NULL);
    }
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    return NULL;
}

static void a_call_goes_on_at_the_next_orchestrator(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct pair pair;
        begin(&pair, all_codecs[i]);
        struct caller caller = {.pair = &pair};
        pw_fake_defer(pair.place.fake, PW_OP_REGISTER, UINT64_MAX, UINT32_MAX);
        assert_int_equal(pthread_create(&caller.thread, NULL, register_beta, &caller), 0);
        defer_and_go(&pair, PW_OP_REGISTER);
        pthread_join(caller.thread, NULL);
        assert_int_equal(caller.status, PYWATT_OK);
        assert_int_equal(pw_fake_count(pair.second, PW_OP_REGISTER), 1);
        end(&pair);
    }
}

static void an_asynchronous_operation_goes_on_at_the_next_orchestrator(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct pair pair;
        begin(&pair, all_codecs[i]);
        pw_fake_defer(pair.place.fake, PW_OP_REGISTER, UINT64_MAX, UINT32_MAX);
        assert_int_equal(submit_async(&pair.place, NULL, PW_OP_REGISTER), PYWATT_OK);
        defer_and_go(&pair, PW_OP_REGISTER);
        assert_true(box_wait(&pair.place.box, 1));
        assert_int_equal(pair.place.box.told[0].status, PYWATT_OK);
        pywatt_module_free(pair.place.box.told[0].module);
        end(&pair);
    }
}

static void a_loop_beats_at_the_next_orchestrator(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct pair pair;
        begin(&pair, all_codecs[i]);
        pw_fake_defer(pair.place.fake, PW_OP_HEARTBEAT, UINT64_MAX, UINT32_MAX);
        start_loop(pair.place.module, 1);
        defer_and_go(&pair, PW_OP_HEARTBEAT);
        /* Which does not know the module yet. */
        assert_true(pw_fake_wait(pair.second, PW_OP_REGISTER, 1));
        assert_true(pw_fake_wait(pair.second, PW_OP_HEARTBEAT, 5));
        end(&pair);
    }
}

static void a_module_is_registered_again_at_the_next_orchestrator(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct pair pair;
        begin(&pair, all_codecs[i]);
        start_loop(pair.place.module, 1);
        wait_beats(&pair.place, 2);
        pw_fake_defer(pair.place.fake, PW_OP_REGISTER, UINT64_MAX, UINT32_MAX);
        pw_fake_forget(pair.place.fake);
        defer_and_go(&pair, PW_OP_REGISTER);
        assert_true(pw_fake_wait(pair.second, PW_OP_REGISTER, 1));
        assert_true(WAIT_STAT(pair.place.client, reregistrations, 1));
        end(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_call_goes_on_at_the_next_orchestrator),
        cmocka_unit_test(an_asynchronous_operation_goes_on_at_the_next_orchestrator),
        cmocka_unit_test(a_loop_beats_at_the_next_orchestrator),
        cmocka_unit_test(a_module_is_registered_again_at_the_next_orchestrator),
    };
    return PW_TEST_RUN(cases);
}

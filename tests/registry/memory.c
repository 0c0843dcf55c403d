/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Allocations: every one of a scenario fails once, and the result is an error, never a crash, a hang
 * or a leak (the sanitizers and Valgrind look for that); and a running loop makes none for a beat.
 */
#include "fixture.h"
#include "malloc_fail.h"

#include <string.h>

struct setting {
    struct pw_fake *fake;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct pywatt_module_info *info;
    struct pywatt_capabilities *capabilities;
    struct pywatt_string_map *details;
    const char *codec;
    struct box box;
};

static struct pywatt_client_options options_for(struct setting *setting)
{
    struct pywatt_client_options options;
    pywatt_client_options_init(&options);
    options.endpoints = pw_fake_url(setting->fake);
    options.codec = setting->codec;
    options.reconnect_delay_ms = 1;
    options.reconnect_max_delay_ms = 5;
    options.timeout_ms = 5000 * pw_test_slow_factor();
    return options;
}

static void open_setting(struct setting *setting, const char *codec)
{
    setting->fake = pw_fake_start();
    setting->codec = codec;
    box_init(&setting->box);
    /* A registration whose reply could not be read is made once more, with the old token. */
    pw_fake_allow_takeover(setting->fake);
    setting->client = open_client(setting->fake, codec, NULL);
    setting->module = register_named(setting->client, "alpha");
    setting->info = new_info("beta");
    setting->capabilities = new_capabilities();
    setting->details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(setting->details, "load", "0.5"), PYWATT_OK);
}

static void close_setting(struct setting *setting)
{
    pywatt_module_free(setting->module);
    pywatt_client_free(setting->client);
    pywatt_module_info_free(setting->info);
    pywatt_capabilities_free(setting->capabilities);
    pywatt_string_map_free(setting->details);
    pw_fake_free(setting->fake);
    box_destroy(&setting->box);
}

/* A whole short life, in the calling thread alone. */
static enum pywatt_status blocking_life(struct setting *setting)
{
    const struct pywatt_client_options options = options_for(setting);
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    enum pywatt_status status = pywatt_client_open(&options, &client, NULL);
    if (status == PYWATT_OK) {
        status = pywatt_register_module(client, setting->info, &module, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_advertise_capabilities(module, setting->capabilities, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_heartbeat(module, PYWATT_HEALTHY, setting->details, NULL, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_unregister_module(module, NULL);
    }
    pywatt_module_free(module);
    pywatt_client_free(client);
    return status;
}

static enum pywatt_status attaching(struct setting *setting)
{
    struct pywatt_module *module = NULL;
    const enum pywatt_status status = pywatt_attach_module(
        setting->client, setting->info, pywatt_module_id(setting->module), "token", &module, NULL);
    pywatt_module_free(module);
    return status;
}

static enum pywatt_status coming_back(struct setting *setting)
{
    pw_malloc_fail_pause();
    struct pywatt_capabilities *capabilities = new_capabilities();
    enum pywatt_status status = pywatt_advertise_capabilities(setting->module, capabilities, NULL);
    pywatt_capabilities_free(capabilities);
    pw_fake_forget(setting->fake);
    pw_malloc_fail_resume();
    if (status == PYWATT_OK) {
        status = pywatt_heartbeat(setting->module, PYWATT_HEALTHY, NULL, NULL, NULL);
    }
    return status;
}

static enum pywatt_status starting_a_loop(struct setting *setting)
{
    const struct pywatt_client_options options = options_for(setting);
    struct pywatt_heartbeat_loop *loop = NULL;
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    enum pywatt_status status = pywatt_client_open(&options, &client, NULL);
    if (status == PYWATT_OK) {
        status = pywatt_register_module(client, setting->info, &module, NULL);
    }
    if (status == PYWATT_OK) {
        status = pywatt_start_heartbeat_loop(module, 1, NULL, NULL, &loop, NULL);
    }
    pywatt_heartbeat_loop_stop(loop);
    pywatt_module_free(module);
    pywatt_client_free(client);
    return status;
}

/* Submits one of each; what was taken comes back. */
static enum pywatt_status submitting(struct setting *setting)
{
    struct box *box = &setting->box;
    struct pywatt_module *module = setting->module;
    const uint64_t before = box_count(box);
    uint64_t taken = 0;
    enum pywatt_status status =
        pywatt_heartbeat_async(module, PYWATT_HEALTHY, setting->details, on_heartbeat, box, NULL);
    taken += status == PYWATT_OK ? 1 : 0;
    if (status == PYWATT_OK) {
        status =
            pywatt_advertise_capabilities_async(module, setting->capabilities, on_done, box, NULL);
        taken += status == PYWATT_OK ? 1 : 0;
    }
    if (status == PYWATT_OK) {
        status =
            pywatt_register_module_async(setting->client, setting->info, on_registered, box, NULL);
        taken += status == PYWATT_OK ? 1 : 0;
    }
    pw_malloc_fail_pause();
    assert_true(box_wait(box, before + taken));
    for (uint64_t i = before; i < before + taken; i++) {
        assert_int_equal(box->told[i].status, PYWATT_OK);
        pywatt_module_free(box->told[i].module);
    }
    pw_malloc_fail_resume();
    return status;
}

typedef enum pywatt_status (*scenario_fn)(struct setting *setting);

static void fail_each(const char *codec, scenario_fn scenario)
{
    struct setting setting;
    open_setting(&setting, codec);
    unsigned long n = 1;
    for (;; n++) {
        pw_malloc_fail_at(n);
        const enum pywatt_status status = scenario(&setting);
        if (!pw_malloc_fail_disarm()) {
            assert_int_equal(status, PYWATT_OK);
            break;
        }
        assert_int_equal(status, PYWATT_NO_MEMORY);
    }
    assert_true(n > 1);
    close_setting(&setting);
}

static void every_allocation_of_a_blocking_life_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        fail_each(all_codecs[i], blocking_life);
    }
}

static void every_allocation_of_attach_may_fail(void **state)
{
    (void)state;
    fail_each("json", attaching);
}

static void every_allocation_of_coming_back_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        fail_each(all_codecs[i], coming_back);
    }
}

static void every_allocation_of_starting_a_loop_may_fail(void **state)
{
    (void)state;
    fail_each("json", starting_a_loop);
}

static void every_allocation_of_submitting_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        fail_each(all_codecs[i], submitting);
    }
}

/* ---- On the client's own threads ---------------------------------------------------------------- */

/* Which operations fail cannot be foretold; that each ends, once, with a status that fits, can. */
static void run_background(struct setting *setting, unsigned long n)
{
    const struct pywatt_client_options options = options_for(setting);
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    struct box box;
    box_init(&box);
    assert_int_equal(pywatt_client_open(&options, &client, NULL), PYWATT_OK);
    assert_int_equal(pywatt_attach_module(client, setting->info, pywatt_module_id(setting->module),
                                          "token-1", &module, NULL),
                     PYWATT_OK);
    pywatt_module_set_watcher(module, on_event, &box);
    pw_malloc_fail_pause();
    pw_malloc_fail_at_any_thread(n);
    uint64_t taken = 0;
    for (int i = 0; i < 3; i++) {
        taken += pywatt_heartbeat_async(module, PYWATT_HEALTHY, setting->details, on_heartbeat,
                                        &box, NULL) == PYWATT_OK;
    }
    assert_true(box_wait(&box, taken));
    assert_int_equal(pywatt_start_heartbeat_loop(module, 1, NULL, NULL, NULL, NULL), PYWATT_OK);
    assert_true(WAIT_STAT(client, beats_answered, 3));
    pw_fake_forget(setting->fake);
    assert_true(WAIT_STAT(client, reregistrations, 1));
    pw_malloc_fail_resume();
    pywatt_module_free(module);
    pywatt_client_free(client);
    for (uint64_t i = 0; i < taken; i++) {
        const enum pywatt_status status = box.told[i].status;
        assert_true(status == PYWATT_OK || status == PYWATT_NO_MEMORY);
    }
    box_destroy(&box);
}

static void allocations_that_fail_in_the_background_end_nothing(void **state)
{
    (void)state;
    unsigned long n = 1;
    for (bool fired = true; fired; n++) {
        struct setting setting;
        open_setting(&setting, "json");
        run_background(&setting, n);
        fired = pw_malloc_fail_disarm();
        close_setting(&setting);
    }
    assert_true(n > 3);
}

/* ---- None for a beat ----------------------------------------------------------------------------- */

static enum pywatt_health provide(void *user, struct pywatt_string_map *details)
{
    (void)pywatt_string_map_set(details, "load", "0.75");
    (void)pywatt_string_map_set(details, "queue", user);
    return PYWATT_DEGRADED;
}

enum {
    WARM_UP = 100,
    BEATS = 1000,
    LOOPS = 20
};

/* Allocations of all threads, the fake's not counted, during the next beats. */
static unsigned long count_allocations(struct setting *setting)
{
    const uint64_t now = pw_fake_count(setting->fake, PW_OP_HEARTBEAT);
    assert_true(pw_fake_wait(setting->fake, PW_OP_HEARTBEAT, now + WARM_UP));
    pw_malloc_fail_at_any_thread(1000000000);
    assert_true(pw_fake_wait(setting->fake, PW_OP_HEARTBEAT, now + WARM_UP + BEATS));
    const unsigned long count = pw_malloc_fail_count();
    pw_malloc_fail_disarm();
    return count;
}

static void a_beat_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct setting setting;
        open_setting(&setting, all_codecs[i]);
        char queue[] = "17";
        assert_int_equal(pywatt_start_heartbeat_loop(setting.module, 1, provide, queue, NULL, NULL),
                         PYWATT_OK);
        assert_int_equal(count_allocations(&setting), 0);
        close_setting(&setting);
    }
}

static void many_loops_only_make_the_buffers_grow(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct setting setting;
        open_setting(&setting, all_codecs[i]);
        struct pywatt_module *modules[LOOPS];
        char queue[] = "17";
        for (int n = 0; n < LOOPS; n++) {
            modules[n] = register_named(setting.client, "one of many");
            assert_int_equal(pywatt_start_heartbeat_loop(modules[n], 1, provide, queue, NULL, NULL),
                             PYWATT_OK);
        }
        /* Each of three buffers doubles a few times, as more beats meet in it. */
        assert_true(count_allocations(&setting) <= 12);
        for (int n = 0; n < LOOPS; n++) {
            pywatt_module_free(modules[n]);
        }
        close_setting(&setting);
    }
}

/* Each beat but one finds no room at first. */
static void nor_does_one_that_waits_for_its_turn(void **state)
{
    (void)state;
    struct setting setting;
    struct pywatt_module *modules[LOOPS];
    char queue[] = "17";
    open_setting(&setting, "json");
    pw_fake_omit_request_ids(setting.fake);
    pw_fake_disconnect(setting.fake);
    for (int n = 0; n < LOOPS; n++) {
        modules[n] = register_named(setting.client, "one of many");
        assert_int_equal(pywatt_start_heartbeat_loop(modules[n], 1, provide, queue, NULL, NULL),
                         PYWATT_OK);
    }
    assert_int_equal(count_allocations(&setting), 0);
    for (int n = 0; n < LOOPS; n++) {
        pywatt_module_free(modules[n]);
    }
    close_setting(&setting);
}

static void a_blocking_heartbeat_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct setting setting;
        open_setting(&setting, all_codecs[i]);
        for (int n = 0; n < 10; n++) {
            assert_int_equal(
                pywatt_heartbeat(setting.module, PYWATT_HEALTHY, setting.details, NULL, NULL),
                PYWATT_OK);
        }
        pw_malloc_fail_at_any_thread(1000000000);
        for (int n = 0; n < 100; n++) {
            assert_int_equal(
                pywatt_heartbeat(setting.module, PYWATT_HEALTHY, setting.details, NULL, NULL),
                PYWATT_OK);
        }
        const unsigned long count = pw_malloc_fail_count();
        pw_malloc_fail_disarm();
        assert_int_equal(count, 0);
        close_setting(&setting);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_allocation_of_a_blocking_life_may_fail),
        cmocka_unit_test(every_allocation_of_attach_may_fail),
        cmocka_unit_test(every_allocation_of_coming_back_may_fail),
        cmocka_unit_test(every_allocation_of_starting_a_loop_may_fail),
        cmocka_unit_test(every_allocation_of_submitting_may_fail),
        cmocka_unit_test(allocations_that_fail_in_the_background_end_nothing),
        cmocka_unit_test(a_beat_allocates_nothing),
        cmocka_unit_test(many_loops_only_make_the_buffers_grow),
        cmocka_unit_test(nor_does_one_that_waits_for_its_turn),
        cmocka_unit_test(a_blocking_heartbeat_allocates_nothing),
    };
    return PW_TEST_RUN(cases);
}

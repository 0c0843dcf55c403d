/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The four operations, blocking and asynchronous, over every codec: what reaches the orchestrator,
 * what comes back, and every refusal with its status and its text.
 */
#include "fixture.h"

#include <stdatomic.h>
#include <string.h>

/* ---- Register -------------------------------------------------------------------------------- */

static void registers_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    struct pywatt_module_info *info = new_info("alpha");
    struct pywatt_uuid id;
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_module_info_set_id(info, &id), PYWATT_OK);
    pw_fake_set_interval_ms(place.fake, 5000);

    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    assert_int_equal(pywatt_register_module(place.client, info, &module, &error), PYWATT_OK);
    assert_true(pywatt_uuid_equal(pywatt_module_id(module), &id));

    struct pw_fake_module seen;
    assert_true(pw_fake_find(place.fake, &id, &seen));
    assert_string_equal(seen.name, "alpha");

    struct pywatt_registration *registration = pywatt_module_registration(module);
    assert_string_equal(pywatt_registration_token(registration), seen.token);
    assert_string_equal(pywatt_registration_orchestrator_host(registration), "127.0.0.1");
    assert_int_equal(pywatt_registration_orchestrator_port(registration), 7900);
    assert_int_equal(pywatt_registration_generation(registration), 1);
    assert_int_equal(pywatt_registration_heartbeat_interval_ms(registration), 5000);
    assert_string_equal(pywatt_module_info_name(pywatt_registration_info(registration)), "alpha");
    pywatt_registration_release(registration);

    pywatt_module_free(module);
    pywatt_module_info_free(info);
    close_place(&place);
}

static void registers_and_tells_what_the_orchestrator_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        registers_over(all_codecs[i]);
    }
}

static void registering_a_known_id_again_shows_its_token(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *first = register_named(place.client, "alpha");
    struct pywatt_module_info *info = new_info("alpha");
    assert_int_equal(pywatt_module_info_set_id(info, pywatt_module_id(first)), PYWATT_OK);
    struct pywatt_module *second = NULL;
    assert_int_equal(pywatt_register_module(place.client, info, &second, NULL), PYWATT_OK);

    /* Both handles know the new generation: neither is fenced off. */
    assert_int_equal(pywatt_heartbeat(first, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_int_equal(pywatt_heartbeat(second, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    struct pywatt_registration *known = pywatt_module_registration(first);
    assert_int_equal(pywatt_registration_generation(known), 2);
    pywatt_registration_release(known);

    pywatt_module_info_free(info);
    pywatt_module_free(first);
    pywatt_module_free(second);
    close_place(&place);
}

/* ---- Attach ---------------------------------------------------------------------------------- */

static void attaches_a_saved_module_and_sends_nothing(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_registration *saved = pywatt_module_registration(module);

    struct pywatt_client *other = open_client(place.fake, "protobuf", NULL);
    struct pywatt_module_info *info = new_info("alpha");
    struct pywatt_module *attached = NULL;
    assert_int_equal(pywatt_attach_module(other, info, pywatt_registration_id(saved),
                                          pywatt_registration_token(saved), &attached, NULL),
                     PYWATT_OK);
    assert_int_equal(pw_fake_connections(place.fake), 1);
    struct pywatt_registration *own = pywatt_module_registration(attached);
    assert_string_equal(pywatt_registration_token(own), pywatt_registration_token(saved));
    assert_true(pywatt_uuid_equal(pywatt_registration_id(own), pywatt_module_id(module)));
    assert_int_equal(pywatt_registration_generation(own), 0);
    assert_string_equal(pywatt_registration_orchestrator_host(own), "");
    assert_string_equal(pywatt_module_info_name(pywatt_registration_info(own)), "alpha");
    pywatt_registration_release(own);
    assert_int_equal(pywatt_heartbeat(attached, PYWATT_DEGRADED, NULL, NULL, NULL), PYWATT_OK);

    pywatt_registration_release(saved);
    pywatt_module_info_free(info);
    pywatt_module_free(attached);
    pywatt_module_free(module);
    pywatt_client_free(other);
    close_place(&place);
}

static void attach_refuses_bad_arguments(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_uuid id;
    const struct pywatt_uuid nil = {{0}};
    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    char long_token[PYWATT_TOKEN_MAX + 2];
    memset(long_token, 't', sizeof(long_token) - 1);
    long_token[sizeof(long_token) - 1] = '\0';
    pywatt_uuid_generate(&id);
    assert_int_equal(pywatt_attach_module(NULL, NULL, &id, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_attach_module(place.client, NULL, NULL, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_attach_module(place.client, NULL, &id, NULL, &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "token"));
    assert_int_equal(pywatt_attach_module(place.client, NULL, &id, "t", NULL, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_attach_module(place.client, NULL, &nil, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "nil"));
    assert_int_equal(pywatt_attach_module(place.client, NULL, &id, long_token, &module, &error),
                     PYWATT_LIMIT);
    struct pywatt_module_info *info = new_info("alpha");
    struct pywatt_uuid other;
    pywatt_uuid_generate(&other);
    assert_int_equal(pywatt_module_info_set_id(info, &other), PYWATT_OK);
    assert_int_equal(pywatt_attach_module(place.client, info, &id, "t", &module, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_null(module);
    pywatt_module_info_free(info);
    close_place(&place);
}

/* ---- Heartbeat, capabilities, unregister ------------------------------------------------------ */

static void beats_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "load", "0.5"), PYWATT_OK);
    enum pywatt_health verdict = PYWATT_HEALTHY;
    struct pw_fake_module seen;

    assert_int_equal(pywatt_heartbeat(module, PYWATT_DEGRADED, details, &verdict, NULL), PYWATT_OK);
    assert_int_equal(verdict, PYWATT_DEGRADED);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
    assert_int_equal(seen.health, PYWATT_DEGRADED);
    assert_string_equal(seen.details, "load=0.5,");

    pw_fake_set_verdict(place.fake, PYWATT_UNHEALTHY);
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, &verdict, NULL), PYWATT_OK);
    assert_int_equal(verdict, PYWATT_UNHEALTHY);
    assert_int_equal(pywatt_heartbeat(module, (enum pywatt_health)7, NULL, NULL, NULL),
                     PYWATT_INVALID_ARGUMENT);

    pywatt_string_map_free(details);
    pywatt_module_free(module);
    close_place(&place);
}

static void a_heartbeat_reports_and_brings_the_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        beats_over(all_codecs[i]);
    }
}

static void advertises_over(const char *codec)
{
    struct place place = open_place(codec, NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_capabilities *capabilities = new_capabilities();
    struct pw_fake_module seen;
    assert_int_equal(pywatt_advertise_capabilities(module, capabilities, NULL), PYWATT_OK);
    assert_true(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
    assert_string_equal(seen.capabilities, TOLD_CAPABILITIES);
    pywatt_capabilities_free(capabilities);
    pywatt_module_free(module);
    close_place(&place);
}

static void advertises_capabilities(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        advertises_over(all_codecs[i]);
    }
}

static void an_unregistered_module_is_closed(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        struct place place = open_place(all_codecs[i], NULL);
        struct pywatt_module *module = register_named(place.client, "alpha");
        struct pywatt_error error;
        assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
        struct pw_fake_module seen;
        assert_false(pw_fake_find(place.fake, pywatt_module_id(module), &seen));
        assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, &error),
                         PYWATT_CLOSED);
        assert_non_null(strstr(error.text, "unregistered"));
        assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_CLOSED);
        assert_int_equal(pywatt_start_heartbeat_loop(module, 10, NULL, NULL, NULL, NULL),
                         PYWATT_CLOSED);
        pywatt_module_free(module);
        close_place(&place);
    }
}

static void a_failed_unregister_leaves_the_module_registered(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_error error;
    pw_fake_refuse(place.fake, PW_OP_UNREGISTER, PYWATT_REJECTED, "not today");
    assert_int_equal(pywatt_unregister_module(module, &error), PYWATT_REJECTED);
    assert_string_equal(error.text, "not today");
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    pw_fake_refuse(place.fake, PW_OP_UNREGISTER, PYWATT_OK, NULL);
    pw_fake_forget(place.fake);
    assert_int_equal(pywatt_unregister_module(module, &error), PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pw_fake_count(place.fake, PW_OP_REGISTER), 1);
    pywatt_module_free(module);
    close_place(&place);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static const enum pywatt_status refusals[] = {
    PYWATT_REJECTED,
    PYWATT_MODULE_NOT_FOUND,
    PYWATT_INVALID_TOKEN,
    PYWATT_NAME_TAKEN,
    PYWATT_AUTHENTICATION_FAILED,
    PYWATT_STALE_GENERATION,
    PYWATT_UNAVAILABLE,
    PYWATT_LIMIT,
};
enum {
    REFUSALS = sizeof(refusals) / sizeof(refusals[0])
};

static void no_reregister(struct pywatt_client_options *options)
{
    options->reregister = false;
}

static void refusals_over(const char *codec)
{
    struct place place = open_place(codec, no_reregister);
    struct pywatt_module *module = register_named(place.client, "alpha");
    for (int operation = 0; operation < PW_OPERATION_COUNT; operation++) {
        for (size_t i = 0; i < REFUSALS; i++) {
            struct pywatt_error error;
            pw_fake_refuse(place.fake, (enum pw_operation)operation, refusals[i], "said so");
            assert_int_equal(run_blocking(&place, module, (enum pw_operation)operation, &error),
                             refusals[i]);
            assert_int_equal(error.status, refusals[i]);
            assert_string_equal(error.text, "said so");
            assert_int_equal(run_blocking(&place, module, (enum pw_operation)operation, NULL),
                             refusals[i]);
        }
        pw_fake_refuse(place.fake, (enum pw_operation)operation, PYWATT_OK, NULL);
    }
    pywatt_module_free(module);
    close_place(&place);
}

static void every_refusal_has_its_status_and_the_orchestrators_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        refusals_over(all_codecs[i]);
    }
}

static void async_refusals_over(const char *codec)
{
    struct place place = open_place(codec, no_reregister);
    struct pywatt_module *module = register_named(place.client, "alpha");
    uint64_t submitted = 0;
    box_init(&place.box);
    for (int operation = 0; operation < PW_OPERATION_COUNT; operation++) {
        for (size_t i = 0; i < REFUSALS; i++) {
            pw_fake_refuse(place.fake, (enum pw_operation)operation, refusals[i], "said so");
            assert_int_equal(submit_async(&place, module, (enum pw_operation)operation), PYWATT_OK);
            assert_true(box_wait(&place.box, ++submitted));
            const struct told *told = &place.box.told[submitted - 1];
            assert_int_equal(told->status, refusals[i]);
            assert_string_equal(told->text, "said so");
            assert_null(told->module);
        }
        pw_fake_refuse(place.fake, (enum pw_operation)operation, PYWATT_OK, NULL);
    }
    pywatt_module_free(module);
    close_place(&place);
    box_destroy(&place.box);
}

static void every_asynchronous_refusal_as_well(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_count; i++) {
        async_refusals_over(all_codecs[i]);
    }
}

/* ---- Bad arguments ----------------------------------------------------------------------------- */

static void null_arguments_are_refused(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_module_info *info = new_info("beta");
    struct pywatt_module *none = NULL;
    const enum pywatt_status bad = PYWATT_INVALID_ARGUMENT;
    assert_int_equal(pywatt_register_module(NULL, info, &none, NULL), bad);
    assert_int_equal(pywatt_register_module(place.client, NULL, &none, NULL), bad);
    assert_int_equal(pywatt_register_module(place.client, info, NULL, NULL), bad);
    assert_int_equal(pywatt_register_module_async(place.client, info, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_unregister_module(NULL, NULL), bad);
    assert_int_equal(pywatt_unregister_module_async(module, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_heartbeat(NULL, PYWATT_HEALTHY, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_advertise_capabilities(module, NULL, NULL), bad);
    assert_int_equal(pywatt_advertise_capabilities_async(module, NULL, on_done, NULL, NULL), bad);
    assert_int_equal(pywatt_advertise_capabilities_async(NULL, NULL, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_start_heartbeat_loop(NULL, 1, NULL, NULL, NULL, NULL), bad);
    assert_int_equal(pywatt_client_get_stats(NULL, NULL), bad);
    assert_null(pywatt_module_id(NULL));
    assert_null(pywatt_module_registration(NULL));
    pywatt_module_set_health(NULL, PYWATT_HEALTHY);
    pywatt_module_set_watcher(NULL, NULL, NULL);
    pywatt_heartbeat_loop_stop(NULL);
    pywatt_module_free(NULL);
    pywatt_client_close(NULL);
    pywatt_client_stop(NULL);
    pywatt_client_free(NULL);
    pywatt_module_info_free(info);
    pywatt_module_free(module);
    close_place(&place);
}

static void stats_fill_what_the_caller_knows(void **state)
{
    (void)state;
    struct place place = open_place("json", NULL);
    struct pywatt_module *module = register_named(place.client, "alpha");
    struct pywatt_client_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    stats.size = offsetof(struct pywatt_client_stats, replies_received);
    assert_int_equal(pywatt_client_get_stats(place.client, &stats), PYWATT_OK);
    assert_int_equal(stats.requests_sent, 1);
    assert_int_equal(stats.replies_received, UINT64_MAX);
    stats.size = sizeof(size_t);
    assert_int_equal(pywatt_client_get_stats(place.client, &stats), PYWATT_INVALID_ARGUMENT);
    pywatt_module_free(module);
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(registers_and_tells_what_the_orchestrator_said),
        cmocka_unit_test(registering_a_known_id_again_shows_its_token),
        cmocka_unit_test(attaches_a_saved_module_and_sends_nothing),
        cmocka_unit_test(attach_refuses_bad_arguments),
        cmocka_unit_test(a_heartbeat_reports_and_brings_the_verdict),
        cmocka_unit_test(advertises_capabilities),
        cmocka_unit_test(an_unregistered_module_is_closed),
        cmocka_unit_test(a_failed_unregister_leaves_the_module_registered),
        cmocka_unit_test(every_refusal_has_its_status_and_the_orchestrators_text),
        cmocka_unit_test(every_asynchronous_refusal_as_well),
        cmocka_unit_test(null_arguments_are_refused),
        cmocka_unit_test(stats_fill_what_the_caller_knows),
    };
    return PW_TEST_RUN(cases);
}

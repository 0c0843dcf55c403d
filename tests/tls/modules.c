/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connection is good for those modules only which its certificate names, whatever is asked for. */
#include "scene.h"

#include <stdio.h>
#include <string.h>

static struct host host;
static struct pywatt_tls *module_tls; /* camera, *.floor2, Messung 7 */
static struct pywatt_tls *admin_tls;  /* everything that is called x or ends in .x, and lamp */

static const char refusal[] = "The certificate of this connection is not for ";

static void begin(void)
{
    static struct pw_test_certificate admin;
    struct pywatt_tls_options options;
    if (admin.cert_file[0] == '\0') {
        pw_test_certificate_make(&scene.ca, scene.folder, "admin",
                                 "DNS:lamp,DNS:*.x,DNS:camera,URI:pywatt:*.room 5", -1, 1, &admin);
    }
    scene_server_options(&options);
    scene_ask(&options);
    scene_host(&host, &options);
    scene_client_options(&options);
    scene_show(&options, &scene.module);
    module_tls = scene_client(&options);
    scene_show(&options, &admin);
    admin_tls = scene_client(&options);
}

static void end(void)
{
    pywatt_tls_free(module_tls);
    pywatt_tls_free(admin_tls);
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

/* NULL if it was refused. */
static struct pywatt_module *try_name(struct pywatt_client *client, const char *name)
{
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    assert_int_equal(pywatt_module_info_new(name, "1", "a module", &info), PYWATT_OK);
    const enum pywatt_status status = pywatt_register_module(client, info, &module, &error);
    pywatt_module_info_free(info);
    if (status != PYWATT_OK) {
        assert_int_equal(status, PYWATT_REJECTED);
        assert_non_null(strstr(error.text, refusal));
        assert_null(strstr(error.text, "auth"));
        assert_null(strstr(error.text, "rejected"));
    }
    return module;
}

static bool all_have_proven(void *user)
{
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
    (void)user;
    assert_int_equal(pywatt_orchestrator_get_stats(host.orchestrator, &stats), PYWATT_OK);
    return stats.connections == 1 && stats.connections_unproven == 0;
}

/* Else it would count with strangers until a registration comes through. */
static void a_certificate_proves_enough(void **state)
{
    (void)state;
    begin();
    struct pywatt_client *client = scene_open(&host, module_tls, "json");
    assert_null(try_name(client, "lamp"));
    assert_true(pw_test_wait_until(all_have_proven, NULL, 20000));
    pywatt_client_free(client);
    end();
}

static void registers_what_the_certificate_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool good;
    } tries[] = {
        {"camera", true},
        {"lamp.floor2", true},
        {"a.b.floor2", true},
        {"Messung 7", true},
        {"Camera", false},
        {"camera2", false},
        {"floor2", false},
        {".floor2", false},
        {"http://x", false},
        {"x", false},
        {"1.2.3.4", false},
        {"pywatt:Messung 7", false},
        {"*.floor2", true},                  /* which ends in .floor2, too */
        {"module", false},                   /* the common name */
        {"auth rejected name taken", false}, /* which would mean something in a reply */
    };
    begin();
    for (size_t c = 0; c < client_codec_count; c++) {
        struct pywatt_client *const client = scene_open(&host, module_tls, client_codecs[c]);
        for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
            struct pywatt_module *const module = try_name(client, tries[i].name);
            if ((module != NULL) != tries[i].good) {
                fail_msg("%s: %s", tries[i].name, module != NULL ? "registered" : "refused");
            }
            if (module != NULL) {
                assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
                pywatt_module_free(module);
            }
        }
        pywatt_client_free(client);
    }
    end();
}

/* The same module, over a connection of somebody else who knows its id and token. */
static struct pywatt_module *attach(struct pywatt_client *client, struct pywatt_module *module)
{
    struct pywatt_registration *const registration = pywatt_module_registration(module);
    const struct pywatt_uuid id = *pywatt_registration_id(registration);
    struct pywatt_module *attached = NULL;
    struct pywatt_error error;
    const enum pywatt_status status =
        pywatt_attach_module(client, pywatt_registration_info(registration), &id,
                             pywatt_registration_token(registration), &attached, &error);
    pywatt_registration_release(registration);
    if (status != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return attached;
}

static void expect_refused(enum pywatt_status status, const struct pywatt_error *error)
{
    if (status != PYWATT_REJECTED || strstr(error->text, refusal) == NULL) {
        fail_msg("%s: %s", pywatt_status_name(status), error->text);
    }
}

static void id_and_token_alone_are_not_enough(void **state)
{
    (void)state;
    begin();
    for (size_t c = 0; c < client_codec_count; c++) {
        struct pywatt_client *const owner = scene_open(&host, admin_tls, client_codecs[c]);
        struct pywatt_client *const thief = scene_open(&host, module_tls, client_codecs[c]);
        struct pywatt_module *const module = client_register_advertised(owner, "lamp");
        struct pywatt_module *const stolen = attach(thief, module);
        struct pywatt_capabilities *const none = pywatt_capabilities_new();
        struct pywatt_string_map *const details = pywatt_string_map_new();
        struct pywatt_error error = {PYWATT_OK, ""};
        assert_int_equal(pywatt_string_map_set(details, "a", "b"), PYWATT_OK);
        expect_refused(pywatt_heartbeat(stolen, PYWATT_UNHEALTHY, NULL, NULL, &error), &error);
        expect_refused(pywatt_heartbeat(stolen, PYWATT_UNHEALTHY, details, NULL, &error), &error);
        expect_refused(pywatt_advertise_capabilities(stolen, none, &error), &error);
        expect_refused(pywatt_unregister_module(stolen, &error), &error);
        /* Nothing of it has happened. */
        struct pywatt_module_view *view = NULL;
        assert_int_equal(pywatt_orchestrator_find_by_name(host.orchestrator, "lamp", &view),
                         PYWATT_OK);
        assert_int_equal(pywatt_module_view_health(view), PYWATT_HEALTHY);
        assert_int_equal(pywatt_capabilities_endpoint_count(pywatt_module_view_capabilities(view)),
                         1);
        pywatt_module_view_free(view);
        assert_int_equal(pywatt_unregister_module(module, &error), PYWATT_OK);
        pywatt_string_map_free(details);
        pywatt_capabilities_free(none);
        pywatt_module_free(stolen);
        pywatt_module_free(module);
        pywatt_client_free(thief);
        pywatt_client_free(owner);
    }
    end();
}

enum {
    BATCH = 8
};

/* Half of a batch is of modules that the certificate does not name. */
static void each_beat_of_a_batch_is_judged_by_itself(void **state)
{
    (void)state;
    begin();
    for (size_t c = 0; c < client_codec_count; c++) {
        struct pywatt_client *const owner = scene_open(&host, admin_tls, client_codecs[c]);
        struct pywatt_client *const other = scene_open(&host, module_tls, client_codecs[c]);
        struct pywatt_module *theirs[BATCH / 2];
        struct pywatt_module *modules[BATCH];
        struct pywatt_beat beats[BATCH];
        struct pywatt_error error;
        for (unsigned i = 0; i < BATCH; i++) {
            char name[32];
            snprintf(name, sizeof(name), "%u.%s", i, i % 2 == 0 ? "floor2" : "x");
            if (i % 2 == 0) {
                modules[i] = client_register(other, name);
            } else {
                theirs[i / 2] = client_register(owner, name);
                modules[i] = attach(other, theirs[i / 2]);
            }
        }
        /* By ids, then, where there are some, by aliases. */
        for (int round = 0; round < 3; round++) {
            for (unsigned i = 0; i < BATCH; i++) {
                beats[i] = (struct pywatt_beat){.module = modules[i], .health = PYWATT_DEGRADED};
            }
            (void)pywatt_heartbeat_batch(other, beats, BATCH, &error);
            for (unsigned i = 0; i < BATCH; i++) {
                assert_int_equal(beats[i].status, i % 2 == 0 ? PYWATT_OK : PYWATT_REJECTED);
            }
        }
        for (unsigned i = 0; i < BATCH; i++) {
            struct pywatt_module *const module = i % 2 == 0 ? modules[i] : theirs[i / 2];
            assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
            pywatt_module_free(module);
            if (i % 2 == 1) {
                pywatt_module_free(modules[i]);
            }
        }
        pywatt_client_free(other);
        pywatt_client_free(owner);
    }
    end();
}

/* Registers `name` under the id of another module. */
static enum pywatt_status register_under(struct pywatt_client *client, const char *name,
                                         const struct pywatt_uuid *id, struct pywatt_error *error)
{
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "a module", &info), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_id(info, id), PYWATT_OK);
    const enum pywatt_status status = pywatt_register_module(client, info, &module, error);
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    return status;
}

static void a_good_name_does_not_get_the_id_of_another_module(void **state)
{
    (void)state;
    begin();
    struct pywatt_client *owner = scene_open(&host, admin_tls, "json");
    struct pywatt_client *const thief = scene_open(&host, module_tls, "json");
    struct pywatt_module *const module = client_register(owner, "lamp");
    struct pywatt_registration *const registration = pywatt_module_registration(module);
    const struct pywatt_uuid id = *pywatt_registration_id(registration);
    pywatt_registration_release(registration);
    struct pywatt_error error = {PYWATT_OK, ""};
    pywatt_client_free(owner); /* it is suspect now, and could be taken over */
    scene_await_connections(&host, 0);
    expect_refused(register_under(thief, "camera", &id, &error), &error);
    assert_null(strstr(error.text, "lamp"));
    expect_refused(register_under(thief, "lamp", &id, &error), &error);
    /* Who may, can: as without any certificates. */
    owner = scene_open(&host, admin_tls, "json");
    assert_int_equal(register_under(owner, "lamp", &id, &error), PYWATT_OK);
    pywatt_module_free(module);
    pywatt_client_free(thief);
    pywatt_client_free(owner);
    end();
}

/* Some beats by ids, as which aliases are given, then by these. */
static enum pywatt_status beat_by_alias(struct pywatt_client *client, struct pywatt_module *module)
{
    struct pywatt_beat beat = {.module = module, .health = PYWATT_HEALTHY};
    for (int round = 0; round < 3; round++) {
        beat.status = PYWATT_OK;
        (void)pywatt_heartbeat_batch(client, &beat, 1, NULL);
    }
    return beat.status;
}

/* Its alias was given under a name that is for this connection; the one that it has now is not. */
static void an_alias_is_no_way_around_when_the_module_has_another_name(void **state)
{
    (void)state;
    begin();
    struct pywatt_client *const owner = scene_open(&host, admin_tls, "protobuf");
    struct pywatt_client *const other = scene_open(&host, module_tls, "protobuf");
    struct pywatt_module *const module = client_register(owner, "camera");
    struct pywatt_module *const attached = attach(other, module);
    struct pywatt_registration *const registration = pywatt_module_registration(module);
    const struct pywatt_uuid id = *pywatt_registration_id(registration);
    pywatt_registration_release(registration);
    struct pywatt_error error = {PYWATT_OK, ""};
    assert_int_equal(beat_by_alias(other, attached), PYWATT_OK);
    assert_int_equal(register_under(owner, "lamp", &id, &error), PYWATT_OK);
    assert_int_equal(beat_by_alias(other, attached), PYWATT_REJECTED);
    /* It is not forgotten, and once the name is as it was all is well. */
    assert_int_equal(beat_by_alias(owner, module), PYWATT_OK);
    assert_int_equal(register_under(owner, "camera", &id, &error), PYWATT_OK);
    assert_int_equal(beat_by_alias(other, attached), PYWATT_OK);
    pywatt_module_free(attached);
    pywatt_module_free(module);
    pywatt_client_free(other);
    pywatt_client_free(owner);
    end();
}

static void who_may_not_have_the_name_takes_no_place_in_the_line(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_ask(&options);
    scene_prepare(&host, &options);
    host.options.registrations_per_s = 1;
    host_start(&host);
    scene_client_options(&options);
    scene_show(&options, &scene.module);
    struct pywatt_tls *const tls = scene_client(&options);
    struct pywatt_client *const client = scene_open(&host, tls, "json");
    for (int i = 0; i < 8; i++) {
        assert_null(try_name(client, "lamp"));
    }
    assert_int_equal(host_stats(&host).registrations_deferred, 0);
    struct pywatt_module *const module = try_name(client, "camera");
    assert_non_null(module);
    pywatt_module_free(module);
    pywatt_client_free(client);
    pywatt_tls_free(tls);
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_certificate_proves_enough),
        cmocka_unit_test(registers_what_the_certificate_names),
        cmocka_unit_test(id_and_token_alone_are_not_enough),
        cmocka_unit_test(each_beat_of_a_batch_is_judged_by_itself),
        cmocka_unit_test(a_good_name_does_not_get_the_id_of_another_module),
        cmocka_unit_test(who_may_not_have_the_name_takes_no_place_in_the_line),
        cmocka_unit_test(an_alias_is_no_way_around_when_the_module_has_another_name),
    };
    return pw_test_run("modules", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Which names may be registered, where there is a list of them.
 */
#include "world.h"

#include <string.h>

static void only_names_that_are_allowed_may_register(void **state)
{
    (void)state;
    const struct {
        const char *name;
        bool allowed;
    } cases[] = {
        {"camera", true},     {"camera2", false}, {"Camera", false},  {"sensor-", true},
        {"sensor-7", true},   {"sensor", false},  {"a.floor2", true}, {".floor2", false},
        {"a.floor22", false}, {"sensor-*", true}, {"b", false},       {"auth rejected", false},
    };
    struct world world;
    struct peer peer;
    struct identity who;
    unsigned refused = 0;
    world_prepare(&world);
    world.options.allow_names = "camera,\tsensor-* , *.floor2";
    world_start(&world);
    world_peer(&world, &peer, "json");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const enum pywatt_status status = peer_register(&peer, cases[i].name, &who);
        assert_int_equal(status, cases[i].allowed ? PYWATT_OK : PYWATT_REJECTED);
        refused += cases[i].allowed ? 0 : 1;
        if (!cases[i].allowed) {
            assert_non_null(strstr(peer.error, "not among those that may register"));
            assert_null(strstr(peer.error, "rejected"));
        }
        assert_int_equal(world_stats(&world).names_refused, refused);
    }
    /* A module does not get another name by registering again. */
    assert_int_equal(peer_register_with(&peer, "b", &who.id, who.token, NULL, NULL),
                     PYWATT_REJECTED);
    peer_close(&peer);
    world_stop(&world);
}

static void says_what_is_wrong_with_a_list_of_names(void **state)
{
    (void)state;
    const struct {
        const char *list;
        const char *words;
    } cases[] = {
        {"", "entry 1 is empty"},        {"a,,b", "entry 2 is empty"},  {"a, ", "entry 2 is empty"},
        {"*", "\"*\" is neither"},       {"a*b", "\"a*b\" is neither"}, {"**", "\"**\" is neither"},
        {"*.a*", "\"*.a*\" is neither"}, {"a,*b", "\"*b\" is neither"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pywatt_orchestrator_options options;
        struct pywatt_orchestrator *orchestrator = NULL;
        struct pywatt_error error = {.text = ""};
        pywatt_orchestrator_options_init(&options);
        options.allow_names = cases[i].list;
        assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, &error),
                         PYWATT_INVALID_ARGUMENT);
        assert_non_null(strstr(error.text, "allow_names"));
        assert_non_null(strstr(error.text, cases[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(only_names_that_are_allowed_may_register),
        cmocka_unit_test(says_what_is_wrong_with_a_list_of_names),
    };
    return PW_TEST_RUN(cases);
}

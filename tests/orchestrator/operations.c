/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What each operation does and answers, over every codec, all of them mixed on one port.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pywatt_uuid stranger = {.bytes = {0xde, 0xad, 0xbe, 0xef, 1, 2, 0x40, 3, 0x80}};

/* Every codec that speaks to the orchestrator, through one world. */
static void for_each_codec(void (*body)(struct world *world, struct peer *peer, const char *codec))
{
    struct world world;
    world_begin(&world);
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        struct peer peer;
        world_peer(&world, &peer, (*codec)->name);
        body(&world, &peer, (*codec)->name);
        peer_close(&peer);
    }
    world_stop(&world);
}

static void name_for(const char *codec, char *out, size_t size)
{
    snprintf(out, size, "module of %s", codec);
}

static void check_registration(struct world *world, struct peer *peer, const char *codec)
{
    char name[64];
    struct identity who;
    name_for(codec, name, sizeof(name));
    assert_int_equal(peer_register(peer, name, &who), PYWATT_OK);
    assert_false(pywatt_uuid_is_nil(&who.id));
    assert_int_equal(strlen(who.token), 43);
    assert_int_equal(who.generation, 1);
    assert_int_equal(who.lease_ms, 15000);
    assert_int_equal(who.interval_ms, 5000);
    assert_string_equal(who.host, "127.0.0.1");
    assert_int_equal(who.port, strtol(strrchr(world->url, ':') + 1, NULL, 10));
    const struct pywatt_module_info *info = pywatt_registration_info(peer->response.registration);
    assert_string_equal(pywatt_module_info_name(info), name);
    assert_string_equal(pywatt_module_info_version(info), "1.0");
    assert_string_equal(pywatt_module_info_description(info), "a module of the tests");

    struct pywatt_module_view *view = world_view(world, &who.id);
    assert_string_equal(pywatt_module_info_name(pywatt_module_view_info(view)), name);
    assert_int_equal(pywatt_module_view_liveness(view), PYWATT_ALIVE);
    assert_int_equal(pywatt_module_view_health(view), PYWATT_HEALTHY);
    assert_int_equal(pywatt_module_view_generation(view), 1);
    assert_int_equal(pywatt_module_view_lease_ms(view), 15000);
    assert_int_equal(pywatt_module_view_beats(view), 0);
    assert_null(pywatt_module_view_capabilities(view));
    assert_null(pywatt_module_view_details(view));
    assert_true(pywatt_uuid_equal(pywatt_module_view_id(view), &who.id));
    pywatt_module_view_free(view);
    const size_t at = world_await(world, 0, PYWATT_EVENT_REGISTERED, &who.id);
    assert_string_equal(world_event(world, at).name, name);
}

static void registers_over_every_codec(void **state)
{
    (void)state;
    for_each_codec(check_registration);
}

static void check_beats(struct world *world, struct peer *peer, const char *codec)
{
    char name[64];
    struct identity who;
    name_for(codec, name, sizeof(name));
    assert_int_equal(peer_register(peer, name, &who), PYWATT_OK);
    const enum pywatt_health all[] = {PYWATT_HEALTHY, PYWATT_DEGRADED, PYWATT_UNHEALTHY};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(peer_beat(peer, &who, all[i]), PYWATT_OK);
        assert_int_equal(peer->response.health, all[i]);
    }
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "load", "0.75"), PYWATT_OK);
    assert_int_equal(peer_beat_with(peer, &who, PYWATT_DEGRADED, 0, details), PYWATT_OK);
    pywatt_string_map_free(details);
    /* Details stay until other ones come. */
    assert_int_equal(peer_beat(peer, &who, PYWATT_DEGRADED), PYWATT_OK);
    struct pywatt_module_view *view = world_view(world, &who.id);
    assert_int_equal(pywatt_module_view_beats(view), 5);
    assert_int_equal(pywatt_module_view_health(view), PYWATT_DEGRADED);
    assert_string_equal(pywatt_string_map_get(pywatt_module_view_details(view), "load"), "0.75");
    pywatt_module_view_free(view);
    size_t at = world_await(world, 0, PYWATT_EVENT_HEALTH, &who.id);
    assert_int_equal(world_event(world, at).health, PYWATT_DEGRADED);
    at = world_await(world, at + 1, PYWATT_EVENT_HEALTH, &who.id);
    assert_int_equal(world_event(world, at).health, PYWATT_UNHEALTHY);
}

static void beats_over_every_codec(void **state)
{
    (void)state;
    for_each_codec(check_beats);
}

static void check_advertising(struct world *world, struct peer *peer, const char *codec)
{
    char name[64];
    struct identity who;
    name_for(codec, name, sizeof(name));
    assert_int_equal(peer_register(peer, name, &who), PYWATT_OK);
    assert_int_equal(peer_advertise(peer, &who, "/first"), PYWATT_OK);
    assert_int_equal(peer_advertise(peer, &who, "/second"), PYWATT_OK);
    struct pywatt_module_view *view = world_view(world, &who.id);
    const struct pywatt_capabilities *capabilities = pywatt_module_view_capabilities(view);
    assert_int_equal(pywatt_capabilities_endpoint_count(capabilities), 1);
    assert_string_equal(pywatt_endpoint_path(pywatt_capabilities_endpoint(capabilities, 0)),
                        "/second");
    pywatt_module_view_free(view);
    world_await(world, 0, PYWATT_EVENT_ADVERTISED, &who.id);
}

static void advertises_over_every_codec(void **state)
{
    (void)state;
    for_each_codec(check_advertising);
}

static void check_unregistering(struct world *world, struct peer *peer, const char *codec)
{
    char name[64];
    struct identity who;
    struct identity other;
    name_for(codec, name, sizeof(name));
    assert_int_equal(peer_register(peer, name, &who), PYWATT_OK);
    assert_int_equal(peer_unregister(peer, &who), PYWATT_OK);
    world_await(world, 0, PYWATT_EVENT_UNREGISTERED, &who.id);
    struct pywatt_module_view *view = NULL;
    assert_int_equal(pywatt_orchestrator_find(world->orchestrator, &who.id, &view),
                     PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(pywatt_orchestrator_find_by_name(world->orchestrator, name, &view),
                     PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(peer_beat(peer, &who, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(peer_register(peer, name, &other), PYWATT_OK);
    assert_false(pywatt_uuid_equal(&who.id, &other.id));
    assert_string_not_equal(who.token, other.token);
}

static void unregistering_frees_the_name(void **state)
{
    (void)state;
    for_each_codec(check_unregistering);
}

/* ---- Refusals ---- */

static void check_unknown_module(struct world *world, struct peer *peer, const char *codec)
{
    (void)world;
    (void)codec;
    struct identity nobody = {.id = stranger, .token = "no token"};
    const char *text = "Module not found: deadbeef-0102-4003-8000-000000000000";
    assert_int_equal(peer_beat(peer, &nobody, PYWATT_DEGRADED), PYWATT_MODULE_NOT_FOUND);
    assert_string_equal(peer->error, text);
    /* A failure tells a status, too: the one that was reported. */
    assert_int_equal(peer->response.health, PYWATT_DEGRADED);
    assert_int_equal(peer_advertise(peer, &nobody, "/x"), PYWATT_MODULE_NOT_FOUND);
    assert_string_equal(peer->error, text);
    assert_int_equal(peer_unregister(peer, &nobody), PYWATT_MODULE_NOT_FOUND);
    assert_string_equal(peer->error, text);
}

static void refuses_modules_that_it_does_not_know(void **state)
{
    (void)state;
    for_each_codec(check_unknown_module);
}

static void check_token(struct world *world, struct peer *peer, const char *codec)
{
    char name[64];
    struct identity who;
    struct identity thief;
    name_for(codec, name, sizeof(name));
    assert_int_equal(peer_register(peer, name, &who), PYWATT_OK);
    const char *const wrong[] = {"x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < 4; i++) {
        thief = who;
        if (i < 3) {
            snprintf(thief.token, sizeof(thief.token), "%s", wrong[i]);
        } else {
            thief.token[42] = thief.token[42] == 'A' ? 'B' : 'A';
        }
        assert_int_equal(peer_beat(peer, &thief, PYWATT_UNHEALTHY), PYWATT_INVALID_TOKEN);
        assert_string_equal(peer->error, "Invalid token");
        assert_int_equal(peer->response.health, PYWATT_UNHEALTHY);
        assert_int_equal(peer_advertise(peer, &thief, "/x"), PYWATT_INVALID_TOKEN);
        assert_string_equal(peer->error, "Invalid token");
        assert_int_equal(peer_unregister(peer, &thief), PYWATT_INVALID_TOKEN);
        assert_string_equal(peer->error, "Invalid token");
    }
    struct pywatt_module_view *view = world_view(world, &who.id);
    assert_int_equal(pywatt_module_view_beats(view), 0);
    assert_int_equal(pywatt_module_view_health(view), PYWATT_HEALTHY);
    assert_null(pywatt_module_view_capabilities(view));
    pywatt_module_view_free(view);
    assert_int_equal(peer_beat(peer, &who, PYWATT_HEALTHY), PYWATT_OK);
}

static void refuses_wrong_tokens(void **state)
{
    (void)state;
    for_each_codec(check_token);
}

static void check_name(struct world *world, struct peer *peer, const char *codec)
{
    (void)world;
    /* The longest name there may be: its refusal is longer than an error text of the API. */
    char name[PYWATT_NAME_MAX + 1];
    char text[PYWATT_NAME_MAX + 64];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memcpy(name, codec, strlen(codec));
    assert_int_equal(peer_register(peer, name, NULL), PYWATT_OK);
    assert_int_equal(peer_register(peer, name, NULL), PYWATT_NAME_TAKEN);
    snprintf(text, sizeof(text), "Module name '%s' is already taken", name);
    assert_string_equal(peer->error, text);
}

static void refuses_a_name_that_is_taken(void **state)
{
    (void)state;
    for_each_codec(check_name);
}

static void check_generation(struct world *world, struct peer *peer, const char *codec)
{
    (void)world;
    char name[64];
    struct identity first;
    struct identity second;
    name_for(codec, name, sizeof(name));
    assert_int_equal(peer_register(peer, name, &first), PYWATT_OK);
    assert_int_equal(peer_register_with(peer, name, &first.id, first.token, NULL, &second),
                     PYWATT_OK);
    assert_int_equal(second.generation, 2);
    assert_int_equal(peer_beat_with(peer, &second, PYWATT_HEALTHY, 2, NULL), PYWATT_OK);
    assert_int_equal(peer_beat_with(peer, &first, PYWATT_UNHEALTHY, 1, NULL),
                     PYWATT_STALE_GENERATION);
    assert_int_equal(peer->response.health, PYWATT_UNHEALTHY);
    assert_non_null(strstr(peer->error, "Generation 1 of module "));
    /* A module that names no generation is not fenced. */
    assert_int_equal(peer_beat_with(peer, &first, PYWATT_HEALTHY, 0, NULL), PYWATT_OK);
}

static void refuses_beats_of_an_older_generation(void **state)
{
    (void)state;
    for_each_codec(check_generation);
}

static const char *const forbidden[] = {"rejected", "Rejected", "auth", "Auth"};

static void the_words_that_select_an_error_class_stand_in_fixed_phrases_only(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.options.max_modules = 1;
    world_start(&world);
    world_peer(&world, &peer, "json-python");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(peer_register_with(&peer, "a", &who.id, who.token, NULL, NULL), PYWATT_OK);
    char texts[3][512];
    assert_int_equal(peer_register(&peer, "b", NULL), PYWATT_LIMIT);
    snprintf(texts[0], sizeof(texts[0]), "%s", peer.error);
    assert_int_equal(peer_beat_with(&peer, &who, PYWATT_HEALTHY, 1, NULL), PYWATT_STALE_GENERATION);
    snprintf(texts[1], sizeof(texts[1]), "%s", peer.error);
    assert_int_equal(peer_register_with(&peer, "c", &who.id, NULL, NULL, NULL),
                     PYWATT_INVALID_TOKEN);
    assert_int_equal(strncmp(peer.error, "Invalid token", 13), 0);
    snprintf(texts[2], sizeof(texts[2]), "%s", peer.error);
    for (size_t i = 0; i < 3; i++) {
        for (size_t w = 0; w < sizeof(forbidden) / sizeof(forbidden[0]); w++) {
            assert_null(strstr(texts[i], forbidden[w]));
        }
        assert_true(strstr(texts[i], "taken") == NULL || strstr(texts[i], "name") == NULL);
    }
    peer_close(&peer);
    world_stop(&world);
}

/* ---- Mixed ---- */

static void one_module_may_be_served_over_all_codecs_and_transports(void **state)
{
    (void)state;
    struct world world;
    struct peer rust;
    struct peer python;
    struct peer ours;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &rust, "json");
    world_peer(&world, &python, "json-python");
    assert_true(peer_open(&ours, world.memory_url, "protobuf"));
    assert_int_equal(peer_register(&rust, "everywhere", &who), PYWATT_OK);
    assert_int_equal(peer_beat(&python, &who, PYWATT_DEGRADED), PYWATT_OK);
    assert_int_equal(peer_advertise(&ours, &who, "/x"), PYWATT_OK);
    assert_int_equal(peer_beat(&ours, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer_unregister(&python, &who), PYWATT_OK);
    peer_close(&rust);
    peer_close(&python);
    peer_close(&ours);
    world_stop(&world);
}

static void a_connection_may_change_its_codec_from_frame_to_frame(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "polyglot", &who), PYWATT_OK);
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        peer.codec = *codec;
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    peer_close(&peer);
    world_stop(&world);
}

static void replies_keep_the_order_of_pipelined_requests(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "fast", &who), PYWATT_OK);
    const uint64_t first = peer.next_id;
    for (int i = 0; i < 1000; i++) {
        struct pw_request beat = beat_of(&who, (enum pywatt_health)(i % 3));
        assert_true(peer_send(&peer, &beat));
    }
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t id;
        assert_true(peer_receive(&peer));
        memcpy(&id, peer.response.request_id.bytes, sizeof(id));
        assert_int_equal(id, first + i);
        assert_int_equal(peer.response.health, i % 3);
    }
    peer_close(&peer);
    world_stop(&world);
}

/* ---- What a module is told ---- */

static void a_lease_may_be_asked_for_within_bounds(void **state)
{
    (void)state;
    const struct {
        const char *asked;
        uint64_t lease_ms;
    } cases[] = {{NULL, 15000},   {"5000", 5000},      {"1", 100},
                 {"0", 100},      {"99999999", 60000}, {"999999999999999999", 60000},
                 {"soon", 15000}, {"", 15000},         {"-5", 15000},
                 {"5.5", 15000}};
    struct world world;
    struct peer peer;
    world_prepare(&world);
    world.options.min_lease_ms = 100;
    world.options.max_lease_ms = 60000;
    world_start(&world);
    world_peer(&world, &peer, "json");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct identity who;
        char name[32];
        snprintf(name, sizeof(name), "lease %zu", i);
        assert_int_equal(peer_register_with(&peer, name, NULL, NULL, cases[i].asked, &who),
                         PYWATT_OK);
        assert_int_equal(who.lease_ms, cases[i].lease_ms);
        assert_int_equal(who.interval_ms, cases[i].lease_ms / 3);
    }
    peer_close(&peer);
    world_stop(&world);
}

static void tells_the_address_that_is_advertised(void **state)
{
    (void)state;
    struct world world;
    struct peer tcp;
    struct peer memory;
    struct identity who;
    world_prepare(&world);
    world.options.advertise_host = "192.0.2.7";
    world.options.advertise_port = 7900;
    world_start(&world);
    world_peer(&world, &tcp, "json");
    assert_true(peer_open(&memory, world.memory_url, "json"));
    assert_int_equal(peer_register(&tcp, "a", &who), PYWATT_OK);
    assert_string_equal(who.host, "192.0.2.7");
    assert_int_equal(who.port, 7900);
    assert_int_equal(peer_register(&memory, "b", &who), PYWATT_OK);
    assert_string_equal(who.host, "192.0.2.7");
    assert_int_equal(who.port, 7900);
    peer_close(&tcp);
    peer_close(&memory);
    world_stop(&world);
}

static void tells_local_peers_the_first_tcp_port(void **state)
{
    (void)state;
    struct world world;
    struct peer memory;
    struct identity who;
    world_begin(&world);
    assert_true(peer_open(&memory, world.memory_url, "json"));
    assert_int_equal(peer_register(&memory, "b", &who), PYWATT_OK);
    assert_string_equal(who.host, "127.0.0.1");
    assert_int_equal(who.port, strtol(strrchr(world.url, ':') + 1, NULL, 10));
    peer_close(&memory);
    world_stop(&world);
}

/* What a peer without an address of the network is told by an orchestrator that listens there. */
static void check_local_address(const char *url, const char *host)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct peer memory;
    struct identity who;
    char bound[128];
    pywatt_orchestrator_options_init(&options);
    assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, NULL), PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "memory:local", NULL, 0, NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, url, bound, sizeof(bound), NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", NULL, 0, NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_start(orchestrator, NULL), PYWATT_OK);
    assert_true(peer_open(&memory, "memory:local", "protobuf"));
    assert_int_equal(peer_register(&memory, "b", &who), PYWATT_OK);
    assert_string_equal(who.host, host);
    assert_int_equal(who.port, strtol(strrchr(bound, ':') + 1, NULL, 10));
    peer_close(&memory);
    pywatt_orchestrator_free(orchestrator);
}

static void tells_local_peers_the_host_of_that_port(void **state)
{
    (void)state;
    check_local_address("tcp://127.0.0.2:0", "127.0.0.2");
    check_local_address("tcp://0.0.0.0:0", "127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(registers_over_every_codec),
        cmocka_unit_test(beats_over_every_codec),
        cmocka_unit_test(advertises_over_every_codec),
        cmocka_unit_test(unregistering_frees_the_name),
        cmocka_unit_test(refuses_modules_that_it_does_not_know),
        cmocka_unit_test(refuses_wrong_tokens),
        cmocka_unit_test(refuses_a_name_that_is_taken),
        cmocka_unit_test(refuses_beats_of_an_older_generation),
        cmocka_unit_test(the_words_that_select_an_error_class_stand_in_fixed_phrases_only),
        cmocka_unit_test(one_module_may_be_served_over_all_codecs_and_transports),
        cmocka_unit_test(a_connection_may_change_its_codec_from_frame_to_frame),
        cmocka_unit_test(replies_keep_the_order_of_pipelined_requests),
        cmocka_unit_test(a_lease_may_be_asked_for_within_bounds),
        cmocka_unit_test(tells_the_address_that_is_advertised),
        cmocka_unit_test(tells_local_peers_the_first_tcp_port),
        cmocka_unit_test(tells_local_peers_the_host_of_that_port),
    };
    return PW_TEST_RUN(cases);
}

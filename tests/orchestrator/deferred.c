/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that takes in one registration a second: who can wait is told for how long, and
 * everybody else is served. On a clock that the test can move forward.
 */
#include "world.h"

#include <pywatt/log.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    /* Registrations ahead of whoever can wait: so many seconds, which no test takes. */
    AHEAD = 200
};

static atomic_uint_fast64_t ahead_ns;

static uint64_t moved_now(const struct pw_clock *clock)
{
    (void)clock;
    return pw_clock_now_ns(&pw_clock_monotonic) + atomic_load(&ahead_ns);
}

static const struct pw_clock moved = {.now_ns = moved_now};

static const char *const codecs[] = {"json", "protobuf"};

static void begin(struct world *world, uint32_t per_s)
{
    world_prepare(world);
    atomic_store(&ahead_ns, 0);
    world->options.registrations_per_s = per_s;
    world->options.lease_ms = 3600000;
    world->options.frame_timeout_ms = 3600000;
    world->options.first_frame_timeout_ms = 3600000;
    world->hooks.clock = &moved;
    world->options.write_timeout_ms = 3600000;
    world->hooks.reply_timeout_ms = 3600000;
    world_start(world);
}

/* As libpywatt registers. */
static struct pw_request waiting(struct pywatt_module_info **info, const char *name)
{
    assert_int_equal(pywatt_module_info_new(name, "1.0", "a module", info), PYWATT_OK);
    struct pw_request request = register_of(*info);
    request.can_wait = true;
    return request;
}

static enum pywatt_status register_waiting(struct peer *peer, const char *name)
{
    struct pywatt_module_info *info = NULL;
    struct pw_request request = waiting(&info, name);
    const enum pywatt_status status = peer_call(peer, &request);
    pywatt_module_info_free(info);
    return status;
}

/* Modules of the SDKs come, many more than the rate lets in: all get in. */
static void crowd(struct world *world, const char *codec)
{
    struct peer peer;
    world_peer(world, &peer, codec);
    for (int i = 0; i < AHEAD; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s %d", codec, i);
        assert_int_equal(peer_register(&peer, name, NULL), PYWATT_OK);
    }
    peer_close(&peer);
}

static void modules_of_the_sdks_are_never_told_to_wait(void **state)
{
    (void)state;
    const char *const sdks[] = {"json", "json-python"};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        begin(&world, 1);
        crowd(&world, sdks[i]);
        assert_int_equal(world_stats(&world).registrations, AHEAD);
        assert_int_equal(world_stats(&world).registrations_deferred, 0);
        assert_int_equal(world_stats(&world).requests_refused, 0);
        world_stop(&world);
    }
}

static void who_can_wait_is_told_for_how_long_and_then_gets_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        struct peer peer;
        begin(&world, 1);
        crowd(&world, "json-python");
        world_peer(&world, &peer, codecs[i]);
        /* All that are ahead of it would take longer: told is what is left of the longest. */
        assert_int_equal(register_waiting(&peer, "late"), PYWATT_UNAVAILABLE);
        assert_in_range(peer.response.retry_after_ms, 51000, 60000);
        atomic_fetch_add(&ahead_ns, UINT64_C(30) * PW_NS_PER_S);
        assert_int_equal(register_waiting(&peer, "first"), PYWATT_UNAVAILABLE);
        const uint32_t first_ms = peer.response.retry_after_ms;
        assert_in_range(first_ms, 10000, 32000);
        char words[64];
        snprintf(words, sizeof(words), "come again in %u ms", first_ms);
        assert_non_null(strstr(peer.error, words));
        assert_int_equal(register_waiting(&peer, "second"), PYWATT_UNAVAILABLE);
        const uint32_t second_ms = peer.response.retry_after_ms;
        assert_in_range(second_ms, first_ms - 9000, first_ms + 1000);
        /* A crowd comes meanwhile, and first when the time has come. */
        atomic_fetch_add(&ahead_ns, first_ms * PW_NS_PER_MS);
        for (int k = 0; k < 10; k++) {
            char name[32];
            snprintf(name, sizeof(name), "other %d", k);
            assert_int_equal(register_waiting(&peer, name), PYWATT_UNAVAILABLE);
        }
        assert_int_equal(register_waiting(&peer, "first"), PYWATT_OK);
        atomic_fetch_add(&ahead_ns, 1000 * PW_NS_PER_MS);
        assert_int_equal(register_waiting(&peer, "second"), PYWATT_OK);
        assert_int_equal(world_stats(&world).registrations_deferred, 13);
        assert_int_equal(world_stats(&world).requests_refused, 13);
        assert_int_equal(world_stats(&world).registrations, AHEAD + 2);
        peer_close(&peer);
        world_stop(&world);
    }
}

static void only_registrations_are_told_to_wait(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin(&world, 1);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "alpha", &who), PYWATT_OK);
    crowd(&world, "json");
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer_advertise(&peer, &who, "/x"), PYWATT_OK);
    assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

/* With its token, as often as it likes; but not more often than others. */
static void a_repeated_registration_counts_as_one(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin(&world, 1);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "alpha", &who), PYWATT_OK);
    for (int i = 0; i < AHEAD; i++) {
        assert_int_equal(peer_register_with(&peer, "alpha", &who.id, who.token, NULL, NULL),
                         PYWATT_OK);
    }
    struct pywatt_module_info *info = NULL;
    struct pw_request request = waiting(&info, "alpha");
    assert_int_equal(pywatt_module_info_set_id(info, &who.id), PYWATT_OK);
    request.token = pw_str_from(who.token);
    assert_int_equal(peer_call(&peer, &request), PYWATT_UNAVAILABLE);
    pywatt_module_info_free(info);
    peer_close(&peer);
    world_stop(&world);
}

static void replies_keep_their_order(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    begin(&world, 1);
    crowd(&world, "json");
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "alpha", &who), PYWATT_OK);
    struct pywatt_module_info *info = NULL;
    struct pw_request deferred = waiting(&info, "beta");
    struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
    for (int i = 0; i < 20; i++) {
        assert_true(peer_send(&peer, i % 2 == 0 ? &deferred : &beat));
        const struct pywatt_uuid id = i % 2 == 0 ? deferred.request_id : beat.request_id;
        assert_true(peer_receive(&peer));
        assert_true(pywatt_uuid_equal(&peer.response.request_id, &id));
        assert_int_equal(peer.response.success, i % 2);
    }
    pywatt_module_info_free(info);
    peer_close(&peer);
    world_stop(&world);
}

static void a_rate_of_0_lets_everybody_in(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    begin(&world, 0);
    crowd(&world, "json");
    world_peer(&world, &peer, "protobuf");
    for (int i = 0; i < AHEAD; i++) {
        char name[32];
        snprintf(name, sizeof(name), "m %d", i);
        assert_int_equal(register_waiting(&peer, name), PYWATT_OK);
    }
    assert_int_equal(world_stats(&world).registrations_deferred, 0);
    peer_close(&peer);
    world_stop(&world);
}

/* ---- Strangers ---- */

/* As a module that has the token that it was given. */
static enum pywatt_status register_again(struct peer *peer, const char *name,
                                         const struct identity *who)
{
    struct pywatt_module_info *info = NULL;
    struct pw_request request = waiting(&info, name);
    assert_int_equal(pywatt_module_info_set_id(info, &who->id), PYWATT_OK);
    request.token = pw_str_from(who->token);
    const enum pywatt_status status = peer_call(peer, &request);
    pywatt_module_info_free(info);
    return status;
}

static void a_known_module_does_not_wait_behind_names_that_somebody_made_up(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct identity other;
    begin(&world, 1);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "alpha", &who), PYWATT_OK);
    for (int i = 0; i < AHEAD; i++) {
        char name[32];
        snprintf(name, sizeof(name), "made up %d", i);
        register_waiting(&peer, name);
    }
    other = who;
    other.token[0] = other.token[0] == 'x' ? 'y' : 'x';
    assert_int_equal(register_again(&peer, "alpha", &other), PYWATT_UNAVAILABLE);
    assert_true(peer.response.retry_after_ms > 2000);
    if (register_again(&peer, "alpha", &who) != PYWATT_OK) { /* a slow machine had a free drop */
        assert_in_range(peer.response.retry_after_ms, 1, 1001);
        atomic_fetch_add(&ahead_ns, 1001 * PW_NS_PER_MS);
        assert_int_equal(register_again(&peer, "alpha", &who), PYWATT_OK);
    }
    peer_close(&peer);
    world_stop(&world);
}

static void nobody_takes_a_place_by_the_name_of_somebody_else(void **state)
{
    (void)state;
    struct world world;
    struct peer ours;
    struct peer stranger;
    begin(&world, 1);
    crowd(&world, "json-python");
    assert_true(peer_open(&ours, world.memory_url, "json"));
    assert_true(peer_open(&stranger, world.url, "json"));
    atomic_fetch_add(&ahead_ns, UINT64_C(30) * PW_NS_PER_S);
    assert_int_equal(register_waiting(&ours, "first"), PYWATT_UNAVAILABLE);
    const uint32_t first_ms = ours.response.retry_after_ms;
    assert_int_equal(register_waiting(&stranger, "first"), PYWATT_UNAVAILABLE);
    atomic_fetch_add(&ahead_ns, first_ms * PW_NS_PER_MS);
    (void)register_waiting(&stranger, "first of another");
    (void)register_waiting(&stranger, "first");
    /* It may have got in, in its own place, if the machine is slow; this one is there still. */
    const enum pywatt_status status = register_waiting(&ours, "first");
    assert_true(status == PYWATT_OK || status == PYWATT_NAME_TAKEN);
    peer_close(&ours);
    peer_close(&stranger);
    world_stop(&world);
}

static bool no_place_is_left(void *user)
{
    struct world *world = user;
    return atomic_load(&world->orchestrator->server.pace.waiting) == 0;
}

static void places_are_given_up_though_nobody_registers(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    begin(&world, 1);
    crowd(&world, "json");
    world_peer(&world, &peer, "json");
    atomic_fetch_add(&ahead_ns, UINT64_C(30) * PW_NS_PER_S);
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof(name), "m %d", i);
        assert_int_equal(register_waiting(&peer, name), PYWATT_UNAVAILABLE);
    }
    assert_false(no_place_is_left(&world));
    atomic_fetch_add(&ahead_ns, (PW_PACE_WAIT_MAX_MS + PW_PACE_KEPT_MS) * PW_NS_PER_MS);
    assert_true(pw_test_wait_until(no_place_is_left, &world, 30000));
    peer_close(&peer);
    world_stop(&world);
}

/* ---- The log ---- */

static atomic_uint deferral_lines;

static void count_line(void *user, enum pywatt_log_level level, const char *line)
{
    (void)user;
    (void)level;
    if (strstr(line, "come again in") != NULL) {
        atomic_fetch_add(&deferral_lines, 1);
    }
}

static void the_log_has_a_line_a_second_and_not_one_for_each(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    begin(&world, 1);
    crowd(&world, "json");
    world_peer(&world, &peer, "json");
    atomic_store(&deferral_lines, 0);
    pywatt_set_log_sink(count_line, NULL, PYWATT_LOG_WARNING);
    const uint64_t began_ns = pw_clock_now_ns(&pw_clock_monotonic);
    enum {
        TOLD = 1000
    };
    for (int i = 0; i < TOLD; i++) {
        assert_int_equal(register_waiting(&peer, "m"), PYWATT_UNAVAILABLE);
    }
    const uint64_t passed_s = (pw_clock_now_ns(&pw_clock_monotonic) - began_ns) / PW_NS_PER_S;
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_WARNING);
    assert_in_range(atomic_load(&deferral_lines), 1, passed_s + 2);
    assert_int_equal(world_stats(&world).registrations_deferred, TOLD);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(modules_of_the_sdks_are_never_told_to_wait),
        cmocka_unit_test(who_can_wait_is_told_for_how_long_and_then_gets_in),
        cmocka_unit_test(only_registrations_are_told_to_wait),
        cmocka_unit_test(a_repeated_registration_counts_as_one),
        cmocka_unit_test(replies_keep_their_order),
        cmocka_unit_test(a_known_module_does_not_wait_behind_names_that_somebody_made_up),
        cmocka_unit_test(nobody_takes_a_place_by_the_name_of_somebody_else),
        cmocka_unit_test(places_are_given_up_though_nobody_registers),
        cmocka_unit_test(the_log_has_a_line_a_second_and_not_one_for_each),
        cmocka_unit_test(a_rate_of_0_lets_everybody_in),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Options that change while an orchestrator runs: they hold once the call has returned, all of them or
 * none, and what is there stays.
 */
#include "malloc_fail.h"
#include "world.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For each test: one that runs. */
static struct world world;

static int begin(void **state)
{
    (void)state;
    world_prepare(&world);
    world.options.lease_ms = 3600000;
    world_start(&world);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_stop(&world);
    return 0;
}

static void change(void)
{
    struct pywatt_error error = {.text = ""};
    if (pywatt_orchestrator_reconfigure(world.orchestrator, &world.options, &error) != PYWATT_OK) {
        fail_msg("the options do not change: %s", error.text);
    }
}

/* ---- What changes ---- */

static void the_next_registration_has_the_new_lease(void **state)
{
    (void)state;
    struct peer peer;
    struct identity old;
    struct identity new;
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "old", &old), PYWATT_OK);
    world.options.lease_ms = 1800000;
    world.options.max_lease_ms = 2000000;
    change();
    assert_int_equal(peer_register(&peer, "new", &new), PYWATT_OK);
    assert_int_equal(old.lease_ms, 3600000);
    assert_int_equal(new.lease_ms, 1800000);
    assert_int_equal(peer_register_with(&peer, "long", NULL, NULL, "3000000", &new), PYWATT_OK);
    assert_int_equal(new.lease_ms, 2000000);
    peer_close(&peer);
}

static void fewer_modules_end_none_and_keep_others_out(void **state)
{
    (void)state;
    struct peer peer;
    struct identity who;
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(peer_register(&peer, "b", NULL), PYWATT_OK);
    world.options.max_modules = 1;
    change();
    assert_int_equal(peer_register(&peer, "c", NULL), PYWATT_LIMIT);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(world_stats(&world).modules, 2);
    world.options.max_modules = 3;
    change();
    assert_int_equal(peer_register(&peer, "c", NULL), PYWATT_OK);
    peer_close(&peer);
}

static void names_are_kept_by_the_new_rule(void **state)
{
    (void)state;
    struct peer holder;
    struct peer peer;
    struct identity who;
    world_peer(&world, &holder, "json");
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&holder, "a", &who), PYWATT_OK);
    peer_close(&holder);
    world_await_liveness(&world, 0, &who.id, PYWATT_SUSPECT);
    world.options.takeover = PYWATT_TAKEOVER_TOKEN;
    change();
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_NAME_TAKEN);
    world.options.takeover = PYWATT_TAKEOVER_SUSPECT;
    change();
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    peer_close(&peer);
}

static void modules_are_told_the_new_address(void **state)
{
    (void)state;
    struct peer peer;
    struct identity who;
    char host[] = "192.0.2.7";
    world_peer(&world, &peer, "json");
    world.options.advertise_host = host;
    world.options.advertise_port = 1234;
    change();
    host[0] = '\0'; /* it was copied */
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_string_equal(who.host, "192.0.2.7");
    assert_int_equal(who.port, 1234);
    peer_close(&peer);
}

static void connections_that_stand_count_for_the_new_limits(void **state)
{
    (void)state;
    struct peer first;
    struct peer second;
    for (int per_peer = 0; per_peer < 2; per_peer++) {
        uint32_t *limit = per_peer != 0 ? &world.options.max_connections_per_peer
                                        : &world.options.max_connections;
        const uint32_t before = *limit;
        world_peer(&world, &first, "json");
        assert_int_equal(peer_register(&first, "a", NULL), PYWATT_OK);
        *limit = 1;
        change();
        world_peer(&world, &second, "json");
        assert_true(peer_is_closed_by_other(&second));
        peer_close(&second);
        *limit = before;
        change();
        world_peer(&world, &second, "json");
        assert_int_equal(peer_register(&second, "b", NULL), PYWATT_OK);
        peer_close(&second);
        peer_close(&first);
        world_await_connections(&world, 0);
    }
}

static void a_frame_over_the_new_limit_ends_its_connection(void **state)
{
    (void)state;
    struct peer peer;
    char payload[1024];
    world_peer(&world, &peer, "json");
    memset(payload, ' ', sizeof(payload) - 1);
    payload[sizeof(payload) - 1] = '\0';
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    world.options.max_frame_bytes = 512;
    change();
    assert_true(peer_send_frame(&peer, 1, payload));
    assert_true(peer_is_closed_by_other(&peer));
    assert_int_equal(world_stats(&world).bad_frames, 1);
    peer_close(&peer);
}

static void who_is_silent_already_is_closed_when_the_time_is_cut(void **state)
{
    (void)state;
    struct peer peer;
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", NULL), PYWATT_OK);
    world.options.idle_timeout_ms = 1;
    change();
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
}

static void who_sends_nothing_has_the_new_time_for_it(void **state)
{
    (void)state;
    struct peer peer;
    world.options.first_frame_timeout_ms = 1;
    change();
    world_peer(&world, &peer, "json");
    assert_true(peer_is_closed_by_other(&peer));
    peer_close(&peer);
}

static void who_is_lost_from_now_on_is_kept_for_the_new_time(void **state)
{
    (void)state;
    struct peer peer;
    struct identity who;
    world_peer(&world, &peer, "json");
    world.options.retain_ms = 1;
    change();
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, "1", &who), PYWATT_OK);
    world_await(&world, 0, PYWATT_EVENT_FORGOTTEN, &who.id);
    peer_close(&peer);
}

static void registrations_are_paced_by_the_new_rate(void **state)
{
    (void)state;
    struct peer peer;
    struct pywatt_module_info *info = NULL;
    world_peer(&world, &peer, "protobuf");
    world.options.registrations_per_s = 1;
    change();
    for (int i = 0; i < 50; i++) { /* who cannot wait draws ahead */
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        struct pw_request request;
        assert_int_equal(pywatt_module_info_new(name, "1", "", &info), PYWATT_OK);
        request = register_of(info);
        assert_int_equal(peer_call(&peer, &request), PYWATT_OK);
        pywatt_module_info_free(info);
    }
    assert_int_equal(pywatt_module_info_new("later", "1", "", &info), PYWATT_OK);
    struct pw_request request = register_of(info);
    request.can_wait = true;
    assert_int_equal(peer_call(&peer, &request), PYWATT_UNAVAILABLE);
    world.options.registrations_per_s = 0;
    change();
    assert_int_equal(peer_call(&peer, &request), PYWATT_OK);
    pywatt_module_info_free(info);
    peer_close(&peer);
}

/* ---- All or nothing ---- */

static void refuse(const char *named)
{
    struct pywatt_error error = {.text = ""};
    assert_int_equal(pywatt_orchestrator_reconfigure(world.orchestrator, &world.options, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(strncmp(error.text, named, strlen(named)), 0);
}

static void what_is_wrong_is_named_and_nothing_changes(void **state)
{
    (void)state;
    struct peer peer;
    struct identity who;
    const struct pywatt_orchestrator_options before = world.options;
    world_peer(&world, &peer, "json");
    world.options.lease_ms = 5000;
    world.options.max_output_bytes = 1;
    refuse("max_output_bytes is 1");
    world.options = before;
    world.options.lease_ms = 5000;
    world.options.size = 3;
    refuse("size is 3");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(who.lease_ms, 3600000);
    peer_close(&peer);
    assert_int_equal(pywatt_orchestrator_reconfigure(NULL, &before, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_reconfigure(world.orchestrator, NULL, NULL),
                     PYWATT_INVALID_ARGUMENT);
}

static void what_cannot_change_is_named(void **state)
{
    (void)state;
    const struct pywatt_orchestrator_options before = world.options;
    world.options.workers = 3;
    refuse("workers differs");
    world.options = before;
    world.options.store = "sqlite:/nowhere";
    refuse("store differs");
    world.options = before;
    world.options.on_event = NULL;
    refuse("on_event differs");
    world.options = before;
    world.options.event_user = NULL;
    refuse("event_user differs");
    world.options = before;
    change();
}

static void options_are_checked_without_an_orchestrator(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options options;
    struct pywatt_error error = {.text = ""};
    pywatt_orchestrator_options_init(&options);
    options.store = "sqlite:/nowhere/at/all";
    assert_int_equal(pywatt_orchestrator_check(&options, &error), PYWATT_OK);
    options.store = "papyrus:x";
    assert_int_equal(pywatt_orchestrator_check(&options, &error), PYWATT_UNSUPPORTED);
    assert_non_null(strstr(error.text, "papyrus"));
    options.store = "memory";
    options.workers = 257;
    assert_int_equal(pywatt_orchestrator_check(&options, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "workers is 257"));
    assert_int_equal(pywatt_orchestrator_check(NULL, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_check_url("tcp://0.0.0.0:0", &error), PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_check_url("tcp://0.0.0.0", &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_orchestrator_check_url("ftp://a:1", &error), PYWATT_UNSUPPORTED);
    assert_int_equal(pywatt_orchestrator_check_url(NULL, NULL), PYWATT_INVALID_ARGUMENT);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    struct peer peer;
    struct identity who;
    world_peer(&world, &peer, "json");
    char *folder = pw_test_temp_dir();
    char join[256];
    snprintf(join, sizeof(join), "%s/join", folder);
    FILE *file = fopen(join, "w");
    assert_non_null(file);
    assert_true(fputs("a-join-token-of-some-length\nand-another-one-beside-it\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    world.options.lease_ms = 5000;
    world.options.advertise_host = "192.0.2.7";
    world.options.join_token_file = join;
    world.options.allow_names = "b, c-*, *.d";
    world.options.unix_allow_uids = "1, 2";
    world.options.unix_allow_gids = "3, 4";
    for (unsigned long n = 1;; n++) {
        pw_malloc_fail_at(n);
        const enum pywatt_status status =
            pywatt_orchestrator_reconfigure(world.orchestrator, &world.options, NULL);
        const bool failed = pw_malloc_fail_disarm();
        assert_int_equal(status, failed ? PYWATT_NO_MEMORY : PYWATT_OK);
        if (!failed) {
            assert_true(n > 1);
            break;
        }
        assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
        assert_int_equal(who.lease_ms, 3600000);
        assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
    }
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_REJECTED);
    peer_close(&peer);
    free(folder);
}

/* ---- At any time, from any thread ---- */

static void before_the_start_and_after_the_stop(void **state)
{
    (void)state;
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct peer peer;
    struct identity who;
    char url[128];
    pywatt_orchestrator_options_init(&options);
    assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, NULL), PYWATT_OK);
    options.lease_ms = 7000;
    assert_int_equal(pywatt_orchestrator_reconfigure(orchestrator, &options, NULL), PYWATT_OK);
    assert_int_equal(
        pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", url, sizeof(url), NULL),
        PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_start(orchestrator, NULL), PYWATT_OK);
    assert_true(peer_open(&peer, url, "json"));
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(who.lease_ms, 7000);
    peer_close(&peer);
    pywatt_orchestrator_stop(orchestrator);
    options.lease_ms = 8000;
    assert_int_equal(pywatt_orchestrator_reconfigure(orchestrator, &options, NULL), PYWATT_OK);
    pywatt_orchestrator_free(orchestrator);
}

struct changer {
    struct pywatt_orchestrator_options options;
    pthread_t thread;
    enum pywatt_status worst;
};

static atomic_bool over;

static void *change_again_and_again(void *arg)
{
    struct changer *changer = arg;
    for (uint32_t i = 0; !atomic_load(&over); i++) {
        changer->options.max_modules = 1000 + i % 2;
        changer->options.idle_timeout_ms = i % 2 == 0 ? 0 : 600000;
        changer->options.advertise_host = i % 2 == 0 ? "192.0.2.1" : "192.0.2.2";
        const enum pywatt_status status =
            pywatt_orchestrator_reconfigure(world.orchestrator, &changer->options, NULL);
        changer->worst = status != PYWATT_OK ? status : changer->worst;
    }
    return NULL;
}

static void modules_live_while_two_threads_change_the_options(void **state)
{
    (void)state;
    struct changer changers[2];
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++) {
        changers[i] = (struct changer){.options = world.options};
        assert_int_equal(
            pthread_create(&changers[i].thread, NULL, change_again_and_again, &changers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        struct peer peer;
        struct identity who;
        world_peer(&world, &peer, i % 2 == 0 ? "json" : "protobuf");
        assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
        for (int beat = 0; beat < 10; beat++) {
            assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
        }
        assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
        peer_close(&peer);
    }
    /* It ends while they are at it. */
    pywatt_orchestrator_stop(world.orchestrator);
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(changers[i].thread, NULL);
        assert_int_equal(changers[i].worst, PYWATT_OK);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(the_next_registration_has_the_new_lease, begin, end),
        cmocka_unit_test_setup_teardown(fewer_modules_end_none_and_keep_others_out, begin, end),
        cmocka_unit_test_setup_teardown(names_are_kept_by_the_new_rule, begin, end),
        cmocka_unit_test_setup_teardown(modules_are_told_the_new_address, begin, end),
        cmocka_unit_test_setup_teardown(connections_that_stand_count_for_the_new_limits, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_frame_over_the_new_limit_ends_its_connection, begin, end),
        cmocka_unit_test_setup_teardown(who_is_silent_already_is_closed_when_the_time_is_cut, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_sends_nothing_has_the_new_time_for_it, begin, end),
        cmocka_unit_test_setup_teardown(who_is_lost_from_now_on_is_kept_for_the_new_time, begin,
                                        end),
        cmocka_unit_test_setup_teardown(registrations_are_paced_by_the_new_rate, begin, end),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_named_and_nothing_changes, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_change_is_named, begin, end),
        cmocka_unit_test(options_are_checked_without_an_orchestrator),
        cmocka_unit_test_setup_teardown(without_memory_nothing_changes, begin, end),
        cmocka_unit_test(before_the_start_and_after_the_stop),
        cmocka_unit_test_setup_teardown(modules_live_while_two_threads_change_the_options, begin,
                                        end),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Alive, suspect, lost, forgotten: with real connections, real leases and the events that tell of
 * them.
 */
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* By how much leases are longer under a tool: as long as a machine that is busy may pause. */
static unsigned slowness(void)
{
    return pw_test_slow_factor() > 1 ? 4 : 1;
}

/* A lease that nobody outlives while a test runs, and one that is soon over. */
#define LONG "3600000"
#define SHORT "30"

static void a_closed_connection_makes_its_modules_suspect_at_once(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct peer other;
    struct identity who[10];
    struct identity bystander;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    world_peer(&world, &other, "protobuf");
    assert_int_equal(peer_register_with(&other, "bystander", NULL, NULL, LONG, &bystander),
                     PYWATT_OK);
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(peer_register_with(&peer, name, NULL, NULL, LONG, &who[i]), PYWATT_OK);
    }
    peer_close(&peer);
    for (int i = 0; i < 10; i++) {
        world_await_liveness(&world, 0, &who[i].id, PYWATT_SUSPECT);
    }
    assert_int_equal(world_liveness(&world, &bystander.id), PYWATT_ALIVE);
    /* Any beat on any connection makes it alive again. */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(peer_beat(&other, &who[i], PYWATT_HEALTHY), PYWATT_OK);
        assert_int_equal(world_liveness(&world, &who[i].id), PYWATT_ALIVE);
        world_await_liveness(&world, 0, &who[i].id, PYWATT_ALIVE);
    }
    peer_close(&other);
    world_await_liveness(&world, 0, &bystander.id, PYWATT_SUSPECT);
    world_stop(&world);
}

static void a_module_hangs_on_the_connection_of_its_last_beat(void **state)
{
    (void)state;
    struct world world;
    struct peer peers[2];
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peers[0], "json");
    world_peer(&world, &peers[1], "json");
    assert_int_equal(peer_register_with(&peers[0], "wanderer", NULL, NULL, LONG, &who), PYWATT_OK);
    for (int i = 1; i < 8; i++) {
        assert_int_equal(peer_beat(&peers[i % 2], &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    /* The last beat was on the second one. */
    peer_close(&peers[0]);
    world_await_connections(&world, 1);
    assert_int_equal(world_liveness(&world, &who.id), PYWATT_ALIVE);
    peer_close(&peers[1]);
    world_await_liveness(&world, 0, &who.id, PYWATT_SUSPECT);
    assert_int_equal(world_count_events(&world, PYWATT_EVENT_LIVENESS, &who.id), 1);
    world_stop(&world);
}

static void a_silent_module_is_lost_and_a_beat_brings_it_back(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register_with(&peer, "sleeper", NULL, NULL, SHORT, &who), PYWATT_OK);
    assert_int_equal(who.lease_ms, 30);
    assert_int_equal(peer_advertise(&peer, &who, "/x"), PYWATT_OK);
    size_t at = world_await_liveness(&world, 0, &who.id, PYWATT_LOST);
    assert_true(world_stats(&world).modules_lost >= 1);
    /* It keeps everything; there is nothing to register anew. */
    assert_int_equal(peer_beat(&peer, &who, PYWATT_DEGRADED), PYWATT_OK);
    at = world_await_liveness(&world, at, &who.id, PYWATT_ALIVE);
    struct pywatt_module_view *view = world_view(&world, &who.id);
    assert_int_equal(pywatt_module_view_generation(view), 1);
    assert_non_null(pywatt_module_view_capabilities(view));
    pywatt_module_view_free(view);
    world_await_liveness(&world, at, &who.id, PYWATT_LOST);
    peer_close(&peer);
    world_stop(&world);
}

static void a_lost_module_is_forgotten_when_its_time_is_over(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_prepare(&world);
    world.options.retain_ms = 30;
    world_start(&world);
    world_peer(&world, &peer, "protobuf");
    assert_int_equal(peer_register_with(&peer, "gone", NULL, NULL, SHORT, &who), PYWATT_OK);
    const size_t lost = world_await_liveness(&world, 0, &who.id, PYWATT_LOST);
    const size_t forgotten = world_await(&world, lost, PYWATT_EVENT_FORGOTTEN, &who.id);
    assert_int_equal(world_event(&world, forgotten).liveness, PYWATT_LOST);
    assert_int_equal(world_stats(&world).modules, 0);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_MODULE_NOT_FOUND);
    assert_int_equal(peer_register_with(&peer, "gone", NULL, NULL, LONG, &who), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

static void a_module_that_beats_in_time_is_never_lost(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct identity witness;
    world_begin(&world);
    world_peer(&world, &peer, "protobuf");
    char lease_ms[16];
    /* Beats follow each other without a pause, so that even a slow machine keeps to this. */
    snprintf(lease_ms, sizeof(lease_ms), "%u", 500 * slowness());
    assert_int_equal(peer_register_with(&peer, "steady", NULL, NULL, lease_ms, &who), PYWATT_OK);
    snprintf(lease_ms, sizeof(lease_ms), "%u", 1500 * slowness());
    assert_int_equal(peer_register_with(&peer, "witness", NULL, NULL, lease_ms, &witness),
                     PYWATT_OK);
    /* Until a lease three times as long is over. */
    while (world_liveness(&world, &witness.id) != PYWATT_LOST) {
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    assert_int_equal(world_count_events(&world, PYWATT_EVENT_LIVENESS, &who.id), 0);
    assert_int_equal(world_stats(&world).modules_lost, 1);
    peer_close(&peer);
    world_stop(&world);
}

static void registering_again_is_a_sign_of_life(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    struct identity again;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, SHORT, &who), PYWATT_OK);
    const size_t at = world_await_liveness(&world, 0, &who.id, PYWATT_LOST);
    assert_int_equal(peer_register_with(&peer, "a", &who.id, who.token, LONG, &again), PYWATT_OK);
    const size_t back = world_await(&world, at, PYWATT_EVENT_REREGISTERED, &who.id);
    assert_int_equal(world_event(&world, back).liveness, PYWATT_ALIVE);
    assert_int_equal(world_event(&world, back).generation, 2);
    world_await_liveness(&world, back, &who.id, PYWATT_ALIVE);
    assert_int_equal(world_liveness(&world, &who.id), PYWATT_ALIVE);
    peer_close(&peer);
    world_stop(&world);
}

static void a_module_that_was_lost_tells_how_long_it_is_silent(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register_with(&peer, "a", NULL, NULL, SHORT, &who), PYWATT_OK);
    world_await_liveness(&world, 0, &who.id, PYWATT_LOST);
    struct pywatt_module_view *view = world_view(&world, &who.id);
    assert_true(pywatt_module_view_silent_ns(view) >= 30 * PW_NS_PER_MS);
    pywatt_module_view_free(view);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    view = world_view(&world, &who.id);
    assert_true(pywatt_module_view_silent_ns(view) < 20 * PW_NS_PER_S);
    pywatt_module_view_free(view);
    peer_close(&peer);
    world_stop(&world);
}

/* ---- The whole process stands still ---- */

/* A child that runs the orchestrator, and tells its parent each change of liveness. */
struct child {
    pid_t pid;
    int events; /* we read */
    int url;    /* we read */
    int end;    /* we close it: it ends */
};

static void tell_parent(void *user, const struct pywatt_event *event)
{
    const char sign = event->liveness == PYWATT_LOST ? 'L' : 'a';
    if (event->kind == PYWATT_EVENT_LIVENESS && write(*(const int *)user, &sign, 1) != 1) {
        _exit(9);
    }
}

static void run_child(int events, int url, int end)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    char bound[128] = "";
    char byte;
    pywatt_orchestrator_options_init(&options);
    options.workers = 1;
    options.on_event = tell_parent;
    options.event_user = &events;
    if (pywatt_orchestrator_new(&options, &orchestrator, NULL) != PYWATT_OK ||
        pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", bound, sizeof(bound), NULL) !=
            PYWATT_OK ||
        pywatt_orchestrator_start(orchestrator, NULL) != PYWATT_OK ||
        write(url, bound, sizeof(bound)) != (ssize_t)sizeof(bound)) {
        _exit(8);
    }
    while (read(end, &byte, 1) > 0) {
    }
    pywatt_orchestrator_free(orchestrator);
    _exit(0);
}

static void start_child(struct child *child, char url[128])
{
    int events[2];
    int urls[2];
    int end[2];
    assert_int_equal(pipe(events), 0);
    assert_int_equal(pipe(urls), 0);
    assert_int_equal(pipe(end), 0);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        close(end[1]);
        close(events[0]);
        run_child(events[1], urls[1], end[0]);
    }
    close(events[1]);
    close(urls[1]);
    close(end[0]);
    *child = (struct child){.pid = child->pid, .events = events[0], .url = urls[0], .end = end[1]};
    assert_int_equal(read(child->url, url, 128), 128);
}

/* Ends the child; what it told of its modules' liveness until then must be nothing. */
static void end_child_that_told_nothing(struct child *child)
{
    int status = 0;
    char sign;
    close(child->end);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(read(child->events, &sign, 1), 0);
    close(child->events);
    close(child->url);
}

struct elapsed {
    int64_t until_ns;
};

static bool is_over(void *user)
{
    return pw_test_now_ns() >= ((const struct elapsed *)user)->until_ns;
}

/* The one thing that only time brings about: a lease that would be over. */
static void let_pass(unsigned ms)
{
    struct elapsed elapsed = {.until_ns = pw_test_now_ns() + (int64_t)ms * 1000000};
    assert_true(pw_test_wait_until(is_over, &elapsed, ms + 60000));
}

static void stop_process(pid_t pid)
{
    int status = 0;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
}

/*
 * Nobody beats while it stands still, nor at once afterwards: what was left of the lease is left
 * still.
 */
static void a_process_that_was_stopped_costs_nobody_the_lease(void **state)
{
    (void)state;
    struct child child;
    struct peer peer;
    struct identity who;
    char url[128];
    char lease_ms[16];
    const unsigned lease = 1000 * slowness();
    snprintf(lease_ms, sizeof(lease_ms), "%u", lease);
    start_child(&child, url);
    assert_true(peer_open(&peer, url, "json"));
    assert_int_equal(peer_register_with(&peer, "patient", NULL, NULL, lease_ms, &who), PYWATT_OK);
    for (int i = 0; i < 2; i++) {
        stop_process(child.pid);
        let_pass(lease + lease / 4);
        assert_int_equal(kill(child.pid, SIGCONT), 0);
        let_pass(lease / 4);
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
    peer_close(&peer);
    end_child_that_told_nothing(&child);
}

static void a_stopped_process_loses_nobody_whose_beats_lie_in_the_socket(void **state)
{
    (void)state;
    struct child child;
    struct peer peer;
    struct identity who;
    char url[128];
    char lease_ms[16];
    const unsigned lease = 300 * slowness();
    snprintf(lease_ms, sizeof(lease_ms), "%u", lease);
    start_child(&child, url);
    assert_true(peer_open(&peer, url, "protobuf"));
    assert_int_equal(peer_register_with(&peer, "patient", NULL, NULL, lease_ms, &who), PYWATT_OK);
    stop_process(child.pid);
    for (int i = 0; i < 6; i++) {
        let_pass(lease / 2);
        struct pw_request beat = beat_of(&who, PYWATT_HEALTHY);
        assert_true(peer_send(&peer, &beat));
    }
    assert_int_equal(kill(child.pid, SIGCONT), 0);
    for (int i = 0; i < 6; i++) {
        assert_true(peer_receive(&peer));
        assert_true(peer.response.success);
    }
    assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
    peer_close(&peer);
    end_child_that_told_nothing(&child);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        /* Those that fork come first: no thread has run yet. */
        cmocka_unit_test(a_process_that_was_stopped_costs_nobody_the_lease),
        cmocka_unit_test(a_stopped_process_loses_nobody_whose_beats_lie_in_the_socket),
        cmocka_unit_test(a_closed_connection_makes_its_modules_suspect_at_once),
        cmocka_unit_test(a_module_hangs_on_the_connection_of_its_last_beat),
        cmocka_unit_test(a_silent_module_is_lost_and_a_beat_brings_it_back),
        cmocka_unit_test(a_lost_module_is_forgotten_when_its_time_is_over),
        cmocka_unit_test(a_module_that_beats_in_time_is_never_lost),
        cmocka_unit_test(registering_again_is_a_sign_of_life),
        cmocka_unit_test(a_module_that_was_lost_tells_how_long_it_is_silent),
    };
    return PW_TEST_RUN(cases);
}

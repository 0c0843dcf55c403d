/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A child that was forked holds the sockets of the orchestrator, for as long as it runs: what is
 * closed here is over here all the same.
 */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    pid_t pid;
    int end; /* closed: it ends */
};

/* It does nothing but hold what it was given. */
static struct child fork_child(void)
{
    int end[2];
    char byte;
    assert_int_equal(pipe(end), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(end[1]);
        while (read(end[0], &byte, 1) > 0) {
        }
        _exit(0);
    }
    close(end[0]);
    return (struct child){.pid = pid, .end = end[1]};
}

static void end_child(const struct child *child)
{
    close(child->end);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

/* How many descriptors an epoll set watches, those of closed files included. */
static size_t watched(const struct pw_worker *worker)
{
    char path[64];
    char line[256];
    size_t count = 0;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", worker->epoll_fd);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strncmp(line, "tfd:", 4) == 0;
    }
    fclose(file);
    return count;
}

static void connections_end_although_a_child_holds_their_sockets(void **state)
{
    (void)state;
    struct world world;
    struct peer peers[20];
    struct peer last;
    world_prepare(&world);
    world.options.workers = 1;
    world_start(&world);
    const struct pw_worker *worker = &world.orchestrator->server.workers[0];
    const size_t before = watched(worker);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        world_peer(&world, &peers[i], "json");
        assert_int_equal(peer_register(&peers[i], name, NULL), PYWATT_OK);
    }
    assert_int_equal(watched(worker), before + 20);
    const struct child child = fork_child();
    /* The peer's end is held as well, so it takes garbage to end the connection. */
    for (int i = 0; i < 20; i++) {
        assert_true(peer_send_raw(&peers[i], "\xff\xff\xff\xff\xff", 5));
    }
    world_await_connections(&world, 0);
    assert_int_equal(watched(worker), before);
    world_peer(&world, &last, "json");
    assert_int_equal(peer_register(&last, "last", NULL), PYWATT_OK);
    /* Nor does it listen on when it has stopped. */
    pywatt_orchestrator_stop(world.orchestrator);
    assert_int_equal(watched(worker), 1);
    for (int i = 0; i < 20; i++) {
        peer_close(&peers[i]);
    }
    peer_close(&last);
    world_stop(&world);
    end_child(&child);
}

static bool end_in_visit(void *user, const struct pywatt_module_view *view)
{
    (void)user;
    (void)view;
    _exit(2);
}

/* What each call says in a child; bit n is the n-th that is wrong. Nothing there may assert. */
static unsigned call_all(struct pywatt_orchestrator *orchestrator)
{
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
    struct pywatt_module_view *view = NULL;
    struct pywatt_error error = {.text = ""};
    struct pywatt_uuid id = {.bytes = {1}};
    struct pywatt_orchestrator_options options;
    pywatt_orchestrator_options_init(&options);
    unsigned wrong = 0;
    unsigned call = 0;
#define CHECK(status) wrong |= ((status) == PYWATT_FORKED ? 0u : 1u) << call++
    CHECK(pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", NULL, 0, &error));
    CHECK(strstr(error.text, "forked") != NULL ? PYWATT_FORKED : PYWATT_OK);
    CHECK(pywatt_orchestrator_start(orchestrator, NULL));
    CHECK(pywatt_orchestrator_reconfigure(orchestrator, &options, NULL));
    CHECK(pywatt_orchestrator_find(orchestrator, &id, &view));
    CHECK(pywatt_orchestrator_find_by_name(orchestrator, "a", &view));
    CHECK(pywatt_orchestrator_for_each(orchestrator, end_in_visit, NULL));
    CHECK(pywatt_orchestrator_set_verdict(orchestrator, &id, PYWATT_HEALTHY));
    CHECK(pywatt_orchestrator_clear_verdict(orchestrator, &id));
    CHECK(pywatt_orchestrator_get_stats(orchestrator, &stats));
#undef CHECK
    pywatt_orchestrator_stop(orchestrator);
    pywatt_orchestrator_free(orchestrator);
    return wrong;
}

static void in_a_child_nothing_of_it_is_touched(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct identity who;
    int result[2];
    unsigned wrong = ~0u;
    world_begin(&world);
    world_peer(&world, &peer, "json");
    assert_int_equal(peer_register(&peer, "a", &who), PYWATT_OK);
    assert_int_equal(pipe(result), 0);
    /* As if some thread were inside at that moment. */
    pw_mutex_lock(&world.orchestrator->life_mutex);
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(30 * pw_test_slow_factor()); /* who waits for a lock waits for ever */
        wrong = call_all(world.orchestrator);
        _exit(write(result[1], &wrong, sizeof(wrong)) == sizeof(wrong) ? 0 : 1);
    }
    pw_mutex_unlock(&world.orchestrator->life_mutex);
    assert_true(pid > 0);
    close(result[1]);
    assert_int_equal(read(result[0], &wrong, sizeof(wrong)), sizeof(wrong));
    close(result[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(wrong, 0);
    /* Here it goes on. */
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    peer_close(&peer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(connections_end_although_a_child_holds_their_sockets),
        cmocka_unit_test(in_a_child_nothing_of_it_is_touched),
    };
    return PW_TEST_RUN(cases);
}

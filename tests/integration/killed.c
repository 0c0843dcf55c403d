/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * 64 threads in blocking beats on one client, and the orchestrator's process is killed: all of them
 * are back at once, with one status and one text. When it runs again at the same place, they go on,
 * and each module has been registered again.
 *
 * So that every request is under way when it dies, the process is stopped first, and killed once all
 * threads wait. Killed while it works, it leaves some with a request under way and some before one.
 */
#include "client.h"
#include "daemon.h"
#include "place.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    THREADS = 64,
    MODULES = 8,
    BACK_WITHIN_MS = 50,
    AND_NO_HANG_MS = 1000, /* with an attempt to connect in between */
    PATIENCE_MS = 20000
};

struct crowd;

struct caller {
    struct crowd *crowd;
    struct pywatt_module *module;
    pthread_t thread;
    /* The first call that failed. */
    enum pywatt_status status;
    struct pywatt_error error;
    int64_t ended_ns;
    /* After that. */
    enum pywatt_status afterwards;
    struct pywatt_error afterwards_error;
};

struct crowd {
    struct daemon daemon;
    struct pywatt_client *client;
    struct pywatt_module *modules[MODULES];
    struct caller callers[THREADS];
    unsigned quiet_looks;         /* of all_wait */
    pthread_barrier_t all_failed; /* the main thread, too */
    pthread_barrier_t is_back;
};

static void *beat_until_killed_and_on(void *arg)
{
    struct caller *caller = arg;
    do {
        caller->status =
            pywatt_heartbeat(caller->module, PYWATT_HEALTHY, NULL, NULL, &caller->error);
    } while (caller->status == PYWATT_OK);
    caller->ended_ns = pw_test_now_ns();
    pthread_barrier_wait(&caller->crowd->all_failed);
    pthread_barrier_wait(&caller->crowd->is_back);
    const int64_t until_ns = pw_test_deadline_ns(PATIENCE_MS);
    do { /* the first ones may still meet what is left of the old connection */
        caller->afterwards =
            pywatt_heartbeat(caller->module, PYWATT_HEALTHY, NULL, NULL, &caller->afterwards_error);
    } while (caller->afterwards == PYWATT_CHANNEL && pw_test_now_ns() < until_ns);
    return NULL;
}

static bool sleeps(const char *task)
{
    char path[300];
    char line[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%s/stat", task);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return true; /* it has ended */
    }
    const char *state = fgets(line, sizeof(line), file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);
    return state != NULL && state[1] == ' ' && state[2] == 'S';
}

/* Whether all threads of this process but the one that asks are asleep. */
static bool all_others_sleep(void)
{
    char self[32];
    snprintf(self, sizeof(self), "%ld", (long)syscall(SYS_gettid));
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    bool all = true;
    const struct dirent *task;
    while (all && (task = readdir(tasks)) != NULL) {
        all = task->d_name[0] == '.' || strcmp(task->d_name, self) == 0 || sleeps(task->d_name);
    }
    closedir(tasks);
    return all;
}

/*
 * A request counts as sent when it stands in the output, and the thread that is to hand the output to
 * the system may be kept from it: all is handed over when nobody runs any more, and the count is what
 * it should be. Looked at several times in a row, since a thread may sleep for a moment.
 */
static bool all_wait(void *user)
{
    struct crowd *crowd = user;
    const struct pywatt_client_stats stats = client_stats(crowd->client);
    const bool quiet =
        stats.requests_sent - stats.replies_received == THREADS && all_others_sleep();
    crowd->quiet_looks = quiet ? crowd->quiet_looks + 1 : 0;
    return crowd->quiet_looks >= 5;
}

static struct crowd *gather(const char *scheme, const char *codec, enum pywatt_reconnect policy)
{
    struct pywatt_client_options options;
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    assert_non_null(crowd);
    daemon_init(&crowd->daemon, scheme);
    daemon_start(&crowd->daemon, NULL);
    client_options(&options, crowd->daemon.url, codec);
    options.reconnect = policy;
    crowd->client = client_open_with(&options);
    for (unsigned i = 0; i < MODULES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "module %u", i);
        crowd->modules[i] = client_register_advertised(crowd->client, name);
    }
    pthread_barrier_init(&crowd->all_failed, NULL, THREADS + 1);
    pthread_barrier_init(&crowd->is_back, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++) {
        crowd->callers[i].crowd = crowd;
        crowd->callers[i].module = crowd->modules[i % MODULES];
        pthread_create(&crowd->callers[i].thread, NULL, beat_until_killed_and_on,
                       &crowd->callers[i]);
    }
    return crowd;
}

/*
 * From the first to the last. What the system takes to end the process, and to schedule the first, is
 * not ours.
 */
static void expect_at_once(const struct crowd *crowd, int64_t killed_ns, int64_t within_ms)
{
    int64_t first_ns = INT64_MAX;
    for (unsigned i = 0; i < THREADS; i++) {
        const int64_t ended_ns = crowd->callers[i].ended_ns;
        first_ns = ended_ns < first_ns ? ended_ns : first_ns;
    }
    assert_true(first_ns - killed_ns < PATIENCE_MS * INT64_C(1000000) / 2);
    for (unsigned i = 0; i < THREADS; i++) {
        const int64_t took_ms = (crowd->callers[i].ended_ns - first_ns) / 1000000;
        if (took_ms >= within_ms * (int64_t)pw_test_slow_factor()) {
            fail_msg("caller %u is back after %lld ms, with %s", i, (long long)took_ms,
                     crowd->callers[i].error.text);
        }
    }
}

static void expect_the_same(const struct crowd *crowd)
{
    const struct caller *first = &crowd->callers[0];
    assert_int_equal(first->status, PYWATT_CHANNEL);
    assert_non_null(strstr(first->error.text, crowd->daemon.url));
    for (unsigned i = 0; i < THREADS; i++) {
        const struct caller *caller = &crowd->callers[i];
        assert_int_equal(caller->status, first->status);
        assert_int_equal(caller->error.status, first->status);
        /* In front of it stands which module of which operation it was. */
        assert_string_equal(strstr(caller->error.text, crowd->daemon.url),
                            strstr(first->error.text, crowd->daemon.url));
    }
}

static void expect_all_go_on(struct crowd *crowd)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(crowd->callers[i].thread, NULL);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        if (crowd->callers[i].afterwards != PYWATT_OK) {
            fail_msg("caller %u does not go on: %s", i, crowd->callers[i].afterwards_error.text);
        }
    }
    /* The eight callers of a module have it registered once. */
    assert_int_equal(client_stats(crowd->client).reregistrations, MODULES);
}

static void disperse(struct crowd *crowd)
{
    for (unsigned i = 0; i < MODULES; i++) {
        assert_int_equal(pywatt_unregister_module(crowd->modules[i], NULL), PYWATT_OK);
        pywatt_module_free(crowd->modules[i]);
    }
    pywatt_client_free(crowd->client);
    daemon_signal(&crowd->daemon, SIGTERM);
    assert_true(daemon_wait(&crowd->daemon));
    pthread_barrier_destroy(&crowd->all_failed);
    pthread_barrier_destroy(&crowd->is_back);
    free(crowd);
}

static void come_back(struct crowd *crowd)
{
    daemon_start(&crowd->daemon, NULL);
    pthread_barrier_wait(&crowd->is_back);
    expect_all_go_on(crowd);
}

static void all_callers_are_back_at_once_and_go_on(void **state)
{
    const char *const *how = *state;
    struct crowd *crowd = gather(how[0], how[1], PYWATT_RECONNECT_EXPONENTIAL);
    daemon_stop(&crowd->daemon);
    if (!pw_test_wait_until(all_wait, crowd, PATIENCE_MS)) {
        fail_msg("not all callers wait");
    }
    const int64_t killed_ns = pw_test_now_ns();
    daemon_signal(&crowd->daemon, SIGKILL);
    pthread_barrier_wait(&crowd->all_failed);
    assert_false(daemon_wait(&crowd->daemon));
    expect_at_once(crowd, killed_ns, BACK_WITHIN_MS);
    expect_the_same(crowd);
    come_back(crowd);
    assert_int_equal(client_stats(crowd->client).connects, 2);
    disperse(crowd);
}

static bool all_are_warm(void *user)
{
    struct crowd *crowd = user;
    return client_stats(crowd->client).replies_received > 20 * (uint64_t)THREADS;
}

/* Without attempts to connect again, so that nobody waits for them. */
static void no_caller_hangs_when_it_is_killed_at_work(void **state)
{
    const char *const *how = *state;
    struct crowd *crowd = gather(how[0], how[1], PYWATT_RECONNECT_NONE);
    assert_true(pw_test_wait_until(all_are_warm, crowd, PATIENCE_MS));
    const int64_t killed_ns = pw_test_now_ns();
    daemon_signal(&crowd->daemon, SIGKILL);
    pthread_barrier_wait(&crowd->all_failed);
    assert_false(daemon_wait(&crowd->daemon));
    expect_at_once(crowd, killed_ns, AND_NO_HANG_MS);
    for (unsigned i = 0; i < THREADS; i++) {
        const enum pywatt_status status = crowd->callers[i].status;
        if (status != PYWATT_CHANNEL && status != PYWATT_CONNECTION) {
            fail_msg("caller %u: %s", i, crowd->callers[i].error.text);
        }
    }
    come_back(crowd);
    disperse(crowd);
}

int main(void)
{
    enum {
        WAYS = 4
    };
    static const char *const ways[WAYS][2] = {
        {"tcp", "json"}, {"unix", "protobuf"}, {"tcp", "protobuf"}, {"unix", "json"}};
    static char names[2 * WAYS][96];
    struct CMUnitTest cases[2 * WAYS];
    /* Valgrind, under which 64 threads take their time, looks at every transport and codec once. */
    const unsigned count = pw_test_slow_factor() > 10 ? WAYS / 2 : WAYS;
    for (unsigned i = 0; i < 2 * count; i++) {
        const char *const *how = ways[i % count];
        snprintf(names[i], sizeof(names[i]), "%s, %s: %s", how[0], how[1],
                 i < count ? "all_callers_are_back_at_once_and_go_on"
                           : "no_caller_hangs_when_it_is_killed_at_work");
        cases[i] = (struct CMUnitTest){
            .name = names[i],
            .test_func = i < count ? all_callers_are_back_at_once_and_go_on
                                   : no_caller_hangs_when_it_is_killed_at_work,
            .initial_state = (void *)(uintptr_t)how,
        };
    }
    return pw_test_run("cases", cases, 2 * (size_t)count, NULL, NULL);
}

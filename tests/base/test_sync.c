/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Locks, conditions on the monotonic clock, and threads. Workers store; the main thread asserts.
 */
#include "pw_test.h"

#include "base/clock.h"
#include "base/sync.h"
#include "malloc_fail.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* By the linker's --wrap: the system's answer when it has no room for another thread. */
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*main)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*main)(void *),
                          void *arg);

static bool no_more_threads;

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*main)(void *),
                          void *arg)
{
    return no_more_threads ? EAGAIN : __real_pthread_create(out, attributes, main, arg);
}

struct shared {
    struct pw_mutex mutex;
    struct pw_cond cond;
    unsigned waiting;
    unsigned counter;
    bool go;
    bool timed_out;
};

static void shared_init(struct shared *shared)
{
    memset(shared, 0, sizeof(*shared));
    assert_int_equal(pw_mutex_init(&shared->mutex), PYWATT_OK);
    assert_int_equal(pw_cond_init(&shared->cond), PYWATT_OK);
}

static void shared_destroy(struct shared *shared)
{
    pw_cond_destroy(&shared->cond);
    pw_mutex_destroy(&shared->mutex);
}

static void *count(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 2000; i++) {
        pw_mutex_lock(&shared->mutex);
        shared->counter++;
        pw_mutex_unlock(&shared->mutex);
    }
    return NULL;
}

static void a_mutex_keeps_others_out(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pw_thread_start(&threads[i], "count", count, &shared), PYWATT_OK);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared.counter, 8000);
    shared_destroy(&shared);
}

static void *wait_for_go(void *arg)
{
    struct shared *shared = arg;
    pw_mutex_lock(&shared->mutex);
    shared->waiting++;
    pw_cond_broadcast(&shared->cond);
    while (!shared->go) {
        shared->timed_out |= !pw_cond_wait_until(&shared->cond, &shared->mutex, PW_DEADLINE_NEVER);
    }
    shared->counter++;
    pw_mutex_unlock(&shared->mutex);
    return NULL;
}

static void broadcast_wakes_all_who_wait(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pw_thread_start(&threads[i], "wait", wait_for_go, &shared), PYWATT_OK);
    }
    pw_mutex_lock(&shared.mutex);
    while (shared.waiting < 3) {
        pw_cond_wait(&shared.cond, &shared.mutex);
    }
    shared.go = true;
    pw_cond_broadcast(&shared.cond);
    pw_mutex_unlock(&shared.mutex);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared.counter, 3);
    assert_false(shared.timed_out);
    shared_destroy(&shared);
}

static void *answer(void *arg)
{
    struct shared *shared = arg;
    pw_mutex_lock(&shared->mutex);
    shared->go = true;
    pw_cond_signal(&shared->cond);
    pw_mutex_unlock(&shared->mutex);
    return NULL;
}

static void a_signal_ends_a_wait_before_its_deadline(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    pthread_t thread;
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(30000);
    pw_mutex_lock(&shared.mutex);
    assert_int_equal(pw_thread_start(&thread, "answer", answer, &shared), PYWATT_OK);
    bool in_time = true;
    while (!shared.go && in_time) {
        in_time = pw_cond_wait_until(&shared.cond, &shared.mutex, deadline_ns);
    }
    pw_mutex_unlock(&shared.mutex);
    pthread_join(thread, NULL);
    assert_true(in_time);
    shared_destroy(&shared);
}

static void a_wait_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    pw_mutex_lock(&shared.mutex);
    const uint64_t start_ns = pw_clock_now_ns(&pw_clock_monotonic);
    const uint64_t deadline_ns = pw_deadline_after_ms(start_ns, 20);
    while (pw_cond_wait_until(&shared.cond, &shared.mutex, deadline_ns)) {
    }
    assert_true(pw_clock_now_ns(&pw_clock_monotonic) >= deadline_ns);
    assert_false(pw_cond_wait_until(&shared.cond, &shared.mutex, start_ns));
    assert_false(pw_cond_wait_until(&shared.cond, &shared.mutex, 0));
    pw_mutex_unlock(&shared.mutex);
    shared_destroy(&shared);
}

struct seen {
    sigset_t blocked;
    size_t stack_size;
    char name[32];
};

static void *look_around(void *arg)
{
    struct seen *seen = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &seen->stack_size);
    pthread_attr_destroy(&attributes);
    return arg;
}

static void a_thread_blocks_signals_and_has_a_name_and_a_small_stack(void **state)
{
    (void)state;
    sigset_t before;
    sigset_t after;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    struct seen seen = {.name = ""};
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pw_thread_start(&thread, "pywatt-heartbeat-0", look_around, &seen), PYWATT_OK);
    pthread_join(thread, &result);
    assert_ptr_equal(result, &seen);
    assert_string_equal(seen.name, "pywatt-heartbea");
    assert_in_range(seen.stack_size, 400 * 1024, 2048 * 1024);
    const int signals[] = {SIGTERM, SIGINT, SIGPIPE, SIGALRM, SIGHUP, SIGUSR1, SIGCHLD};
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        assert_true(sigismember(&seen.blocked, signals[i]));
        assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
    }
}

static void says_when_there_is_no_room_for_a_thread(void **state)
{
    (void)state;
    pthread_t thread;
    struct seen seen;
    pw_malloc_fail_at(1);
    assert_int_equal(pw_thread_start(&thread, "t", look_around, &seen), PYWATT_NO_MEMORY);
    assert_true(pw_malloc_fail_disarm());
    no_more_threads = true;
    assert_int_equal(pw_thread_start(&thread, "t", look_around, &seen), PYWATT_NO_MEMORY);
    no_more_threads = false;
}

static int run_in_child(void (*fault)(void))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO);
        fault();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void lock_twice(void)
{
    struct pw_mutex mutex;
    pw_mutex_init(&mutex);
    pw_mutex_lock(&mutex);
    pw_mutex_lock(&mutex);
}

static void unlock_unlocked(void)
{
    struct pw_mutex mutex;
    pw_mutex_init(&mutex);
    pw_mutex_unlock(&mutex);
}

static void debug_builds_end_at_a_lock_taken_twice(void **state)
{
    (void)state;
#ifdef PW_SYNC_CHECKS
    const bool checked = true;
#else
    const bool checked = false;
#endif
    /* These look for the same faults, and report them as ours. */
    if (!checked || strcmp(pw_test_tool(), "tsan") == 0 ||
        strcmp(pw_test_tool(), "helgrind") == 0) {
        skip();
    }
    const int twice = run_in_child(lock_twice);
    assert_true(WIFSIGNALED(twice) && WTERMSIG(twice) == SIGABRT);
    const int unlocked = run_in_child(unlock_unlocked);
    assert_true(WIFSIGNALED(unlocked) && WTERMSIG(unlocked) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_mutex_keeps_others_out),
        cmocka_unit_test(broadcast_wakes_all_who_wait),
        cmocka_unit_test(a_signal_ends_a_wait_before_its_deadline),
        cmocka_unit_test(a_wait_ends_at_its_deadline_and_not_before),
        cmocka_unit_test(a_thread_blocks_signals_and_has_a_name_and_a_small_stack),
        cmocka_unit_test(says_when_there_is_no_room_for_a_thread),
        cmocka_unit_test(debug_builds_end_at_a_lock_taken_twice),
    };
    return PW_TEST_RUN(cases);
}

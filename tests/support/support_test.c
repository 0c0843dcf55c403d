/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests of the test support itself: a helper that lies would let every other test pass.
 */
#include "malloc_fail.h"
#include "pw_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Keeps the compiler from removing an allocation whose result is only freed. */
static void *volatile sink;

static bool allocates(void)
{
    sink = malloc(8);
    const bool worked = sink != NULL;
    free(sink);
    return worked;
}

static void fails_only_the_nth_allocation(void **state)
{
    (void)state;
    pw_malloc_fail_at(2);
    assert_true(allocates());
    assert_false(allocates());
    assert_true(allocates());
    assert_true(pw_malloc_fail_disarm());
    assert_int_equal(pw_malloc_fail_count(), 3);
}

static void says_when_no_allocation_was_reached(void **state)
{
    (void)state;
    pw_malloc_fail_at(5);
    assert_true(allocates());
    assert_false(pw_malloc_fail_disarm());
    assert_true(allocates());
}

static void fails_every_allocation_from_the_nth_on(void **state)
{
    (void)state;
    pw_malloc_fail_from(2);
    assert_true(allocates());
    assert_false(allocates());
    assert_false(allocates());
    pw_malloc_fail_disarm();
    assert_true(allocates());
}

static void fails_every_wrapped_function(void **state)
{
    (void)state;
    char *text = NULL;
    void *memory = NULL;
    pw_malloc_fail_from(1);
    sink = calloc(1, 1);
    assert_null(sink);
    sink = realloc(NULL, 100);
    assert_null(sink);
    sink = reallocarray(NULL, 10, 10);
    assert_null(sink);
    sink = strdup("text");
    assert_null(sink);
    sink = strndup("text", 2);
    assert_null(sink);
    sink = aligned_alloc(64, 64);
    assert_null(sink);
    assert_int_not_equal(posix_memalign(&memory, 64, 64), 0);
    assert_int_equal(asprintf(&text, "%d", 1), -1);
    pw_malloc_fail_disarm();
}

static void does_not_count_between_pause_and_resume(void **state)
{
    (void)state;
    pw_malloc_fail_at(1);
    pw_malloc_fail_pause();
    assert_true(allocates());
    pw_malloc_fail_resume();
    assert_false(allocates());
    pw_malloc_fail_disarm();
}

static void *allocate_in_thread(void *user)
{
    *(bool *)user = allocates();
    return NULL;
}

static bool allocates_in_another_thread(void)
{
    bool worked = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, allocate_in_thread, &worked), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return worked;
}

static void leaves_other_threads_alone_unless_told(void **state)
{
    (void)state;
    pw_malloc_fail_at(1);
    assert_true(allocates_in_another_thread());
    assert_false(pw_malloc_fail_disarm());
    pw_malloc_fail_at_any_thread(1);
    assert_false(allocates_in_another_thread());
    assert_true(pw_malloc_fail_disarm());
}

static void *raise_flag(void *user)
{
    atomic_store((atomic_bool *)user, true);
    return NULL;
}

static bool flag_is_raised(void *user)
{
    return atomic_load((atomic_bool *)user);
}

static void waits_until_a_condition_holds(void **state)
{
    (void)state;
    atomic_bool flag = false;
    assert_false(pw_test_wait_until(flag_is_raised, &flag, 1));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_flag, &flag), 0);
    assert_true(pw_test_wait_until(flag_is_raised, &flag, 5000));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void counts_open_descriptors(void **state)
{
    (void)state;
    const size_t before = pw_test_open_fds();
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pw_test_open_fds(), before + 1);
    close(fd);
    assert_int_equal(pw_test_open_fds(), before);
}

static void counts_no_thread_that_was_joined(void **state)
{
    (void)state;
    /* Some tools start a thread of their own beside the first one. */
    assert_true(allocates_in_another_thread());
    const size_t before = pw_test_threads();
    for (int i = 0; i < 1000; i++) {
        assert_true(allocates_in_another_thread());
        assert_int_equal(pw_test_threads(), before);
    }
}

static void gives_an_empty_folder(void **state)
{
    (void)state;
    char *path = pw_test_temp_dir();
    assert_non_null(path);
    assert_int_equal(rmdir(path), 0);
    free(path);
}

static void hang(void **state)
{
    (void)state;
    for (;;) {
        pause();
    }
}

/* What the child of the next test does: it runs one case that never ends, under a short alarm. */
static void run_a_hanging_program(int out)
{
    const struct CMUnitTest hanging[] = {cmocka_unit_test(hang)};
    signal(SIGABRT, SIG_DFL);
    dup2(out, STDERR_FILENO);
    alarm(1);
    _exit(PW_TEST_RUN(hanging));
}

static void the_watchdog_names_the_case_that_hangs(void **state)
{
    (void)state;
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run_a_hanging_program(pipe_fds[1]);
    }
    close(pipe_fds[1]);
    char text[4096];
    size_t used = 0;
    ssize_t n;
    while ((n = read(pipe_fds[0], text + used, sizeof(text) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    text[used] = '\0';
    close(pipe_fds[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_non_null(strstr(text, "hangs in hang\n"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(fails_only_the_nth_allocation),
        cmocka_unit_test(says_when_no_allocation_was_reached),
        cmocka_unit_test(fails_every_allocation_from_the_nth_on),
        cmocka_unit_test(fails_every_wrapped_function),
        cmocka_unit_test(does_not_count_between_pause_and_resume),
        cmocka_unit_test(leaves_other_threads_alone_unless_told),
        cmocka_unit_test(waits_until_a_condition_holds),
        cmocka_unit_test(counts_open_descriptors),
        cmocka_unit_test(counts_no_thread_that_was_joined),
        cmocka_unit_test(gives_an_empty_folder),
        cmocka_unit_test(the_watchdog_names_the_case_that_hangs),
    };
    return PW_TEST_RUN(cases);
}

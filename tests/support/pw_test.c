/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Runner, watchdog and helpers of the test programs. See pw_test.h.
 *
 * The watchdog is an alarm that a constructor sets before main: PYWATT_TEST_TIMEOUT_S (60 if unset)
 * times the slow factor. Its handler names the program and the case, and aborts, so that a core or
 * the tool shows where it hung. The name of the running case is written by the main thread only and
 * read by the handler, hence the atomic pointer.
 */
#include "pw_test.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DEFAULT_TIMEOUT_S = 60
};

static const struct CMUnitTest *_Atomic running_case;

static unsigned env_unsigned(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    if (text == NULL || *text == '\0') {
        return otherwise;
    }
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value == 0 || value > INT_MAX / 1000) {
        return otherwise;
    }
    return (unsigned)value;
}

const char *pw_test_tool(void)
{
    const char *tool = getenv("PYWATT_TEST_TOOL");
    return tool == NULL ? "" : tool;
}

unsigned pw_test_slow_factor(void)
{
    static const struct {
        const char *tool;
        unsigned factor;
    } known[] = {
        {"asan", 4},
        {"tsan", 10},
        {"memcheck", 25},
        {"helgrind", 40},
    };

    const char *slow = getenv("PYWATT_TEST_SLOW");
    if (slow == NULL || *slow == '\0' || strcmp(slow, "0") == 0) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i].tool, pw_test_tool()) == 0) {
            return known[i].factor;
        }
    }
    return 20;
}

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    const struct CMUnitTest *stuck = atomic_load(&running_case);
    say("\nwatchdog: ");
    say(program_invocation_short_name);
    say(" hangs in ");
    say(stuck == NULL ? "no case (before, between or after them)" : stuck->name);
    say("\n");
    abort();
}

__attribute__((constructor)) static void start_watchdog(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    alarm(env_unsigned("PYWATT_TEST_TIMEOUT_S", DEFAULT_TIMEOUT_S) * pw_test_slow_factor());
}

/* Stands in front of each case's own setup; cmocka hands it the case through the initial state. */
static int begin_case(void **state)
{
    const struct CMUnitTest *original = *state;
    atomic_store(&running_case, original);
    *state = original->initial_state;
    return original->setup_func == NULL ? 0 : original->setup_func(state);
}

int pw_test_run(const char *group, const struct CMUnitTest *cases, size_t n_cases,
                CMFixtureFunction setup, CMFixtureFunction teardown)
{
    struct CMUnitTest *watched = calloc(n_cases, sizeof(*watched));
    if (watched == NULL) {
        say("no memory for the table of cases\n");
        return 1;
    }
    for (size_t i = 0; i < n_cases; i++) {
        watched[i] = cases[i];
        watched[i].setup_func = begin_case;
        watched[i].initial_state = (void *)(uintptr_t)&cases[i];
    }
    int failed = _cmocka_run_group_tests(group, watched, n_cases, setup, teardown);
    atomic_store(&running_case, NULL);
    free(watched);
    return failed == 0 ? 0 : 1;
}

int64_t pw_test_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint32_t pw_test_timeout_ms(uint32_t timeout_ms)
{
    const uint32_t scaled_ms = timeout_ms * pw_test_slow_factor();
    return scaled_ms < 240000 ? scaled_ms : 240000;
}

int64_t pw_test_deadline_ns(unsigned timeout_ms)
{
    return pw_test_now_ns() + (int64_t)timeout_ms * 1000000 * pw_test_slow_factor();
}

bool pw_test_wait_until(bool (*predicate)(void *user), void *user, unsigned timeout_ms)
{
    const int64_t deadline_ns = pw_test_deadline_ns(timeout_ms);
    const struct timespec pause = {.tv_nsec = 1000000};
    for (;;) {
        if (predicate(user)) {
            return true;
        }
        if (pw_test_now_ns() >= deadline_ns) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
}

static bool counts_always(const char *entry)
{
    (void)entry;
    return true;
}

/*
 * A thread that was joined, or has run to its end, stays in /proc/self/task for a moment: the kernel
 * wakes whoever joins it before that. What it marks first is that the thread is exiting, with a flag
 * of proc(5)'s "flags".
 */
static bool is_running(const char *thread)
{
    enum {
        PF_EXITING = 4
    };
    char path[PATH_MAX];
    char stat[512];
    snprintf(path, sizeof(path), "/proc/self/task/%s/stat", thread);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false; /* gone meanwhile */
    }
    const size_t len = fread(stat, 1, sizeof(stat) - 1, file);
    fclose(file);
    stat[len] = '\0';
    const char *behind_name = strrchr(stat, ')');
    unsigned flags = PF_EXITING;
    if (behind_name != NULL) {
        sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
    }
    return (flags & PF_EXITING) == 0;
}

/* Entries of a folder of /proc/self that count, without the two dots. */
static size_t count_entries(const char *path, bool (*counts)(const char *entry))
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        fail_msg("cannot read %s: %s", path, strerror(errno));
        return 0;
    }
    size_t n = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        n += entry->d_name[0] != '.' && counts(entry->d_name);
    }
    closedir(dir);
    return n;
}

size_t pw_test_open_fds(void)
{
    /* The folder itself was open while it was read. */
    return count_entries("/proc/self/fd", counts_always) - 1;
}

size_t pw_test_threads(void)
{
    return count_entries("/proc/self/task", is_running);
}

static char temp_dirs[16][64];
static size_t n_temp_dirs;

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_temp_dirs(void)
{
    for (size_t i = 0; i < n_temp_dirs; i++) {
        nftw(temp_dirs[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

char *pw_test_temp_dir(void)
{
    const size_t limit = sizeof(temp_dirs) / sizeof(temp_dirs[0]);
    if (n_temp_dirs == limit) {
        fail_msg("more than %zu temporary folders in one program", limit);
    }
    char *path = temp_dirs[n_temp_dirs];
    strcpy(path, "/tmp/pywatt-test-XXXXXX");
    if (mkdtemp(path) == NULL) {
        fail_msg("cannot make %s: %s", path, strerror(errno));
    }
    if (n_temp_dirs++ == 0) {
        atexit(remove_temp_dirs);
    }
    return strdup(path);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * daemon.c - see the header. PW_TEST_DAEMON is the program's path.
 */
#include "daemon.h"

#include "place.h"
#include "pw_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000,
    OPTIONS_MAX = 16
};

void daemon_init(struct daemon *daemon, const char *scheme)
{
    *daemon = (struct daemon){.pid = 0};
    place_choose(scheme, daemon->url, sizeof(daemon->url));
}

/* In the child: only what is safe after a fork of a program with threads. */
static void become(char *const *arguments, int out, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(126);
    }
    dup2(out, STDOUT_FILENO);
    execv(PW_TEST_DAEMON, arguments);
    _exit(127);
}

/* The first line of it, without the newline. */
static void read_line(int fd, char *line, size_t size)
{
    size_t len = 0;
    struct pollfd item = {.fd = fd, .events = POLLIN};
    while (len + 1 < size && poll(&item, 1, PATIENCE_MS * (int)pw_test_slow_factor()) > 0 &&
           read(fd, line + len, 1) == 1 && line[len] != '\n') {
        len++;
    }
    line[len] = '\0';
}

void daemon_start(struct daemon *daemon, const char *const *options)
{
    char program[] = PW_TEST_DAEMON;
    char listen_option[] = "--listen";
    char level_option[] = "--log-level=error";
    char store_option[] = "--store=memory"; /* unless the options name another */
    char *arguments[OPTIONS_MAX + 8] = {program, level_option, store_option, listen_option,
                                        daemon->url};
    for (size_t i = 0; options != NULL && options[i] != NULL && i < OPTIONS_MAX; i++) {
        arguments[5 + i] = (char *)(uintptr_t)options[i];
    }
    int ends[2];
    const pid_t parent = getpid();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    daemon->pid = fork();
    if (daemon->pid == 0) {
        become(arguments, ends[1], parent);
    }
    close(ends[1]);
    char line[sizeof(daemon->url) + 16];
    read_line(ends[0], line, sizeof(line));
    close(ends[0]);
    if (daemon->pid < 0 || strncmp(line, "listening ", 10) != 0) {
        fail_msg("%s does not listen at %s; it says '%s'", PW_TEST_DAEMON, daemon->url, line);
    }
    snprintf(daemon->url, sizeof(daemon->url), "%.127s", line + 10);
}

void daemon_signal(struct daemon *daemon, int number)
{
    assert_int_equal(kill(daemon->pid, number), 0);
}

void daemon_stop(struct daemon *daemon)
{
    int how = 0;
    daemon_signal(daemon, SIGSTOP);
    assert_int_equal(waitpid(daemon->pid, &how, WUNTRACED), daemon->pid);
    assert_true(WIFSTOPPED(how));
}

struct end {
    pid_t pid;
    int how;
};

static bool has_ended(void *user)
{
    struct end *end = user;
    return waitpid(end->pid, &end->how, WNOHANG) == end->pid;
}

bool daemon_wait(struct daemon *daemon)
{
    struct end end = {.pid = daemon->pid};
    if (!pw_test_wait_until(has_ended, &end, PATIENCE_MS)) {
        kill(daemon->pid, SIGKILL);
        fail_msg("the daemon does not end");
    }
    daemon->pid = 0;
    return WIFEXITED(end.how) && WEXITSTATUS(end.how) == 0;
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static long read_status_kib(const struct daemon *daemon, const char *field)
{
    char path[64];
    char line[256];
    long value = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon->pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (value < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            value = strtol(line + strlen(field), NULL, 10);
        }
    }
    fclose(file);
    assert_true(value >= 0);
    return value;
}

long daemon_memory_kib(const struct daemon *daemon)
{
    return read_status_kib(daemon, "VmRSS:");
}

long daemon_peak_kib(const struct daemon *daemon)
{
    return read_status_kib(daemon, "VmHWM:");
}

void daemon_forget_peak(const struct daemon *daemon)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)daemon->pid);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "5", 1), 1);
    close(fd);
}

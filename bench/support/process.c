/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See process.h. */
#include "support/process.h"

#include "support/check.h"
#include "support/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_PATIENCE_NS (5 * BENCH_NS_PER_S)

bool bench_process_find(const char *program, char *path, size_t size)
{
    const char *list = getenv("PATH") != NULL ? getenv("PATH") : "";
    char all[4096];
    char *rest = NULL;

    snprintf(all, sizeof(all), "%s:/usr/sbin:/usr/local/sbin", list);
    for (char *at = strtok_r(all, ":", &rest); at != NULL; at = strtok_r(NULL, ":", &rest)) {
        snprintf(path, size, "%s/%s", at, program);
        if (access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* In the new process. */
static void become(char *const argv[], int in, int out, pid_t parent)
{
    /* It ends because we do, not because Ctrl-C reaches it, too. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(125); /* we were gone before the kernel was told */
    }
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0) {
        _exit(126);
    }
    execv(argv[0], argv);
    _exit(127);
}

void bench_process_start(struct bench_process *process, char *const argv[], const char *log)
{
    int to[2] = {-1, -1};
    int from[2] = {-1, -1};

    if (log != NULL) {
        to[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        from[1] = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        bench_check(to[0] >= 0 && from[1] >= 0, "%s: %s", log, strerror(errno));
    } else {
        bench_check(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "pipe: %s",
                    strerror(errno));
    }
    const pid_t parent = getpid();
    process->pid = fork();
    bench_check(process->pid >= 0, "fork: %s", strerror(errno));
    if (process->pid == 0) {
        become(argv, to[0], from[1], parent);
    }
    close(to[0]);
    close(from[1]);
    process->in = log != NULL ? NULL : fdopen(to[1], "w");
    process->out = log != NULL ? NULL : fdopen(from[0], "r");
    bench_check(log != NULL || (process->in != NULL && process->out != NULL), "out of memory");
}

static void close_pipes(struct bench_process *process)
{
    if (process->in != NULL) {
        fclose(process->in);
    }
    if (process->out != NULL) {
        fclose(process->out);
    }
    process->pid = 0;
    process->in = NULL;
    process->out = NULL;
}

int bench_process_wait(struct bench_process *process)
{
    int status = 0;

    while (waitpid(process->pid, &status, 0) < 0) {
        bench_check(errno == EINTR, "waitpid: %s", strerror(errno));
    }
    close_pipes(process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool bench_process_ended(struct bench_process *process)
{
    if (waitpid(process->pid, NULL, WNOHANG) != process->pid) {
        return false;
    }
    close_pipes(process);
    return true;
}

void bench_process_stop(struct bench_process *process)
{
    if (process->pid == 0) {
        return;
    }
    uint64_t deadline = bench_now_ns() + STOP_PATIENCE_NS;
    kill(process->pid, SIGTERM);
    while (!bench_process_ended(process)) {
        if (bench_now_ns() > deadline) {
            kill(process->pid, SIGKILL);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

uint64_t bench_process_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec time;

    bench_check(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0,
                "a process has no clock: %s", strerror(errno));
    return (uint64_t)time.tv_sec * BENCH_NS_PER_S + (uint64_t)time.tv_nsec;
}

uint64_t bench_process_resident_bytes(pid_t pid)
{
    char path[64];
    unsigned long long size = 0;
    unsigned long long resident = 0;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    bench_check(file != NULL && fscanf(file, "%llu %llu", &size, &resident) == 2, "%s: %s", path,
                strerror(errno));
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint16_t bench_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_check(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
                    getsockname(fd, (struct sockaddr *)&address, &size) == 0,
                "no port is free: %s", strerror(errno));
    close(fd);
    return ntohs(address.sin_port);
}

int bench_connect_loopback(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_check(fd >= 0, "socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See far.h. */
#include "support/far.h"

#include "support/check.h"
#include "support/process.h"

#include <string.h>
#include <unistd.h>

struct bench_far {
    struct bench_process process;
    char url[BENCH_URL_SIZE];
};

/* bench_orchestrator lies beside the program that runs. */
static void find_program(char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size - 1);

    bench_check(len > 0, "where am I?");
    path[len] = '\0';
    char *name = strrchr(path, '/') + 1;
    snprintf(name, size - (size_t)(name - path), "bench_orchestrator");
}

static void read_line(struct bench_far *far, char *line, int size)
{
    bench_check(fgets(line, size, far->process.out) != NULL, "the orchestrator's process is gone");
    line[strcspn(line, "\n")] = '\0';
}

struct bench_far *bench_far_start(const struct bench_far_options *options)
{
    struct bench_far *far = calloc(1, sizeof(*far));
    char path[1024];
    char numbers[3][16];
    char line[BENCH_URL_SIZE];

    bench_check(far != NULL, "out of memory");
    find_program(path, sizeof(path));
    snprintf(numbers[0], sizeof(numbers[0]), "%u", options->workers);
    snprintf(numbers[1], sizeof(numbers[1]), "%u", options->lease_ms);
    snprintf(numbers[2], sizeof(numbers[2]), "%u", options->modules);
    char scheme[16];
    snprintf(scheme, sizeof(scheme), "%s", options->scheme);
    char store[1024];
    snprintf(store, sizeof(store), "%s", options->store != NULL ? options->store : "");
    char *argv[] = {path, scheme, numbers[0], numbers[1], numbers[2], store, NULL};
    bench_process_start(&far->process, argv, NULL);
    read_line(far, line, sizeof(line));
    bench_check(strncmp(line, "url ", 4) == 0, "%s", line);
    snprintf(far->url, sizeof(far->url), "%s", line + 4);
    return far;
}

const char *bench_far_url(const struct bench_far *far)
{
    return far->url;
}

static void ask(struct bench_far *far, const char *line, void *out, size_t size)
{
    bench_check(fputs(line, far->process.in) >= 0 && fflush(far->process.in) == 0 &&
                    fread(out, size, 1, far->process.out) == 1,
                "the orchestrator's process is gone");
}

struct pywatt_orchestrator_stats bench_far_stats(struct bench_far *far)
{
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};

    ask(far, "stats\n", &stats, sizeof(stats));
    return stats;
}

uint64_t bench_far_digest(struct bench_far *far)
{
    uint64_t digest = 0;

    ask(far, "digest\n", &digest, sizeof(digest));
    return digest;
}

uint64_t bench_far_cpu_ns(const struct bench_far *far)
{
    return bench_process_cpu_ns(far->process.pid);
}

uint64_t bench_far_resident_bytes(const struct bench_far *far)
{
    return bench_process_resident_bytes(far->process.pid);
}

void bench_far_stop(struct bench_far *far)
{
    /* It ends when its input does. */
    fclose(far->process.in);
    far->process.in = NULL;
    char rest[256];
    while (fgets(rest, sizeof(rest), far->process.out) != NULL) {
        fputs(rest, stderr);
    }
    bench_check(bench_process_wait(&far->process) == 0, "the orchestrator's process failed");
    free(far);
}

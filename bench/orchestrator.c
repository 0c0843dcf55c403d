/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench_orchestrator: an orchestrator for the measurements that want it in a process of its own
 * (support/far.h starts it). Says its URL, answers each line on its input with its counts, and ends
 * when its input does.
 *
 * Usage: bench_orchestrator SCHEME WORKERS LEASE_MS MODULES STORE, where 0 and "" take the default
 */
#include "support/check.h"
#include "support/sides.h"

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    struct bench_orchestrator_options options = {.lease_ms = 0};
    char url[BENCH_URL_SIZE];
    char line[64];

    if (argc != 6) {
        fprintf(stderr, "Usage: bench_orchestrator SCHEME WORKERS LEASE_MS MODULES STORE\n");
        return 2;
    }
    options.workers = number(argv[2]);
    options.lease_ms = number(argv[3]);
    options.max_modules = number(argv[4]);
    options.store = argv[5][0] != '\0' ? argv[5] : NULL;
    struct pywatt_orchestrator *orchestrator =
        bench_start_orchestrator_with(argv[1], &options, url);
    printf("url %s\n", url);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct pywatt_orchestrator_stats stats = bench_orchestrator_stats(orchestrator);
        bench_check(fwrite(&stats, sizeof(stats), 1, stdout) == 1 && fflush(stdout) == 0,
                    "nobody listens");
    }
    bench_stop_orchestrator(orchestrator);
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * connections: what a beat costs an orchestrator in processor time when each of 4,000 modules has a
 * connection of its own, beside as many modules that share one; and what such a connection costs it
 * in memory of its own (the kernel's is not in it). The orchestrator has a process of its own, with
 * one worker. Beats go out on all connections of a group, then the replies are read. One thread.
 */
#include "support/check.h"
#include "support/driver.h"
#include "support/far.h"
#include "support/progress.h"
#include "support/results.h"

#include <sys/resource.h>

#define LEASE_MS 3600000 /* nothing is to expire meanwhile */
#define GROUP 100u       /* connections on which a beat is under way at once */
#define SPARE_FILES 64u

/* As many as are allowed, here and in the process that is started later. */
static size_t allowed_connections(void)
{
    struct rlimit limit;

    bench_check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "no limit of files is known");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    bench_check(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 2 * SPARE_FILES,
                "too few files may be open");
    return (size_t)limit.rlim_cur - SPARE_FILES;
}

static double cost_apart(struct bench_far *far, struct bench_driver *const *drivers, size_t count,
                         unsigned rounds)
{
    const uint64_t before = bench_far_cpu_ns(far);

    for (unsigned round = 0; round < rounds; round++) {
        for (size_t first = 0; first < count; first += GROUP) {
            const size_t end = first + GROUP < count ? first + GROUP : count;
            for (size_t i = first; i < end; i++) {
                bench_driver_ask_beat(drivers[i], 0);
            }
            for (size_t i = first; i < end; i++) {
                bench_driver_take_beat(drivers[i]);
            }
        }
    }
    return (double)(bench_far_cpu_ns(far) - before) / (double)(count * rounds);
}

static double cost_together(struct bench_far *far, struct bench_driver *driver,
                            const uint32_t *order, size_t count, unsigned rounds)
{
    const uint64_t before = bench_far_cpu_ns(far);

    for (unsigned round = 0; round < rounds; round++) {
        bench_driver_beat(driver, order, count, BENCH_DRIVER_BATCH, NULL);
    }
    return (double)(bench_far_cpu_ns(far) - before) / (double)(count * rounds);
}

int main(int argc, char **argv)
{
    struct bench_settings settings;

    bench_settings_parse(&settings, "connections", "What a connection costs an orchestrator.", argc,
                         argv);
    struct bench_results *results = bench_results_new(&settings);
    size_t count = bench_amount(&settings, 4000, 50);
    const size_t allowed = allowed_connections();
    count = count < allowed ? count : allowed;
    const unsigned rounds = (unsigned)bench_amount(&settings, 25, 2);
    struct bench_far *far = bench_far_start(
        &(struct bench_far_options){.scheme = "tcp", .workers = 1, .lease_ms = LEASE_MS});
    struct bench_driver **drivers = calloc(count, sizeof(struct bench_driver *));
    uint32_t *order = bench_shuffled(count, 1);
    bench_check(drivers != NULL, "out of memory");

    struct bench_driver *shared = bench_driver_open(bench_far_url(far), "protobuf", count, 0);
    bench_driver_register(shared, count);
    cost_together(far, shared, order, count, 2); /* warms up */
    uint64_t before = bench_far_resident_bytes(far);
    for (size_t i = 0; i < count; i++) {
        drivers[i] = bench_driver_open(bench_far_url(far), "protobuf", 1, count + i);
        bench_driver_register(drivers[i], 1);
    }
    cost_apart(far, drivers, count, 1);
    bench_results_add(results, "memory of a connection with a module", "bytes",
                      (double)(bench_far_resident_bytes(far) - before) / (double)count);
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "beats");
        const double apart = cost_apart(far, drivers, count, rounds);
        const double together = cost_together(far, shared, order, count, rounds);
        bench_results_against(results, "cost of a beat, a connection each", "ns", apart,
                              "one connection", together);
    }
    for (size_t i = 0; i < count; i++) {
        bench_driver_close(drivers[i]);
    }
    bench_driver_close(shared);
    free(drivers);
    free(order);
    bench_far_stop(far);
    return bench_results_finish(results);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scale: what one beat costs an orchestrator in processor time, and what a module costs it in
 * memory, with 1,000 to 1,000,000 modules registered; modules beat in random order. The
 * orchestrator has a process of its own, so the processor time is its own; another one that never
 * has more than 1,000 modules is measured in turns with it. The main thread drives both.
 */
#include "support/check.h"
#include "support/driver.h"
#include "support/far.h"
#include "support/progress.h"
#include "support/results.h"
#include "support/series.h"

#define LEASE_MS 3600000 /* nothing is to expire meanwhile */

struct side {
    struct bench_far *far;
    struct bench_driver *driver;
    uint32_t *order;
    size_t at;
};

static struct side open_side(size_t capacity)
{
    struct side side = {.at = 0};
    /* One worker, so that there is no idle one to look after. */
    side.far = bench_far_start(&(struct bench_far_options){
        .scheme = "tcp", .workers = 1, .lease_ms = LEASE_MS, .modules = (uint32_t)capacity});
    side.driver = bench_driver_open(bench_far_url(side.far), "protobuf", capacity, 0);
    return side;
}

static void close_side(struct side *side)
{
    bench_driver_close(side->driver);
    bench_far_stop(side->far);
    free(side->order);
}

static void grow(struct side *side, size_t count)
{
    bench_driver_register(side->driver, count - bench_driver_count(side->driver));
    free(side->order);
    side->order = calloc(count, sizeof(*side->order));
    bench_check(side->order != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        side->order[i] = (uint32_t)i;
    }
    bench_driver_shuffle(side->driver, 1);
    side->at = 0;
}

/* Nanoseconds of the orchestrator's processor for each of so many beats. */
static double cost(struct side *side, size_t beats)
{
    const size_t modules = bench_driver_count(side->driver);
    const uint64_t before = bench_far_cpu_ns(side->far);

    for (size_t left = beats; left > 0;) {
        size_t some = modules - side->at < left ? modules - side->at : left;
        bench_driver_beat(side->driver, side->order + side->at, some, BENCH_DRIVER_BATCH, NULL);
        side->at = (side->at + some) % modules;
        left -= some;
    }
    return (double)(bench_far_cpu_ns(side->far) - before) / (double)beats;
}

static void run_size(const struct bench_settings *settings, struct bench_results *results,
                     struct side *small, struct side *big, size_t modules, double medians[2])
{
    const size_t beats = bench_amount(settings, 200000, 300);
    double costs[2][1000];
    char metric[64];
    char peer[32];

    snprintf(peer, sizeof(peer), "%zu modules", bench_driver_count(small->driver));
    /* Each module once, so that all of the memory is in use. */
    cost(big, modules);
    for (unsigned i = 0; i < settings->runs; i++) {
        costs[0][i] = cost(small, beats);
        costs[1][i] = cost(big, beats);
        snprintf(metric, sizeof(metric), "cost of a beat, %zu modules", modules);
        bench_results_against(results, metric, "ns", costs[1][i], peer, costs[0][i]);
    }
    medians[0] = bench_median(costs[0], settings->runs);
    medians[1] = bench_median(costs[1], settings->runs);
}

int main(int argc, char **argv)
{
    static const size_t all_sizes[] = {1000, 3000, 10000, 30000, 100000, 300000, 1000000};
    static const size_t quick_sizes[] = {100, 300};
    struct bench_settings settings;

    bench_settings_parse(&settings, "scale", "The cost of a beat by the number of modules.", argc,
                         argv);
    const size_t *sizes = settings.quick ? quick_sizes : all_sizes;
    const size_t count = settings.quick ? 2 : sizeof(all_sizes) / sizeof(all_sizes[0]);
    struct bench_results *results = bench_results_new(&settings);
    struct bench_series *series = bench_series_new(
        &settings, "scale", "modules ns-per-beat ns-per-beat-with-1000 bytes-per-module");
    struct side small = open_side(sizes[0]);
    struct side big = open_side(sizes[count - 1]);
    const uint64_t empty = bench_far_resident_bytes(big.far);
    double bytes = 0;

    grow(&small, sizes[0]);
    for (size_t i = 0; i < count; i++) {
        double medians[2];
        bench_progress(&settings, (unsigned)i, (unsigned)count, "registering and beating");
        grow(&big, sizes[i]);
        run_size(&settings, results, &small, &big, sizes[i], medians);
        bytes = (double)(bench_far_resident_bytes(big.far) - empty) / (double)sizes[i];
        bench_series_line(series, "%zu %.1f %.1f %.1f", sizes[i], medians[1], medians[0], bytes);
    }
    bench_results_add(results, "memory of a module", "bytes", bytes);
    bench_series_end(series);
    close_side(&small);
    close_side(&big);
    return bench_results_finish(results);
}

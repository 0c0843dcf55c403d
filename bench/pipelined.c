/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pipelined: how many heartbeats a second one client gets answered when each is a request of its own
 * and many are under way, of 10,000 modules in random order, with an orchestrator in a process of its
 * own; in turns with redis-benchmark. Beside it, the same through the asynchronous calls, one each.
 * One caller, the main thread.
 */
#include "support/asynchronous.h"
#include "support/clock.h"
#include "support/progress.h"
#include "support/redis.h"
#include "support/results.h"
#include "support/rounds.h"
#include "support/series.h"

#define WINDOW 4096u
#define CODECS 2

static const char *const codecs[CODECS] = {"json", "protobuf"};
static const char *const plots[CODECS] = {"batch-pipelined-json", "batch-pipelined-protobuf"};

struct side {
    struct bench_rounds rounds;
    struct bench_asynchronous *asynchronous;
};

static void sweep_redis(const struct bench_settings *settings, struct bench_redis *redis)
{
    struct bench_series *series =
        bench_series_new(settings, "batch-redis-expire", "pipeline commands/s");
    const unsigned last = (unsigned)bench_amount(settings, 10, 2);

    for (unsigned shift = 0; series != NULL && shift <= last; shift++) {
        unsigned pipeline = 1u << shift;
        unsigned long requests = bench_amount(settings, 20000 + 10000ul * pipeline, 1000);
        requests = requests < 600000 ? requests : 600000;
        bench_progress(settings, shift, last + 1, "batch sizes of redis");
        bench_series_line(series, "%u %.0f", pipeline * 50,
                          bench_redis_rate(redis, BENCH_REDIS_EXPIRE, requests, pipeline));
    }
    bench_series_end(series);
}

static void run(const struct bench_settings *settings, struct bench_results *results,
                struct side sides[CODECS], struct bench_far *far, struct bench_redis *redis)
{
    static const char *const beats[CODECS] = {"beats json", "beats protobuf"};
    static const char *const asynchronous[CODECS] = {"asynchronous beats json",
                                                     "asynchronous beats protobuf"};
    static const char *const peers[CODECS] = {"redis SET EX 30", "redis EXPIRE"};
    static const enum bench_redis_command commands[CODECS] = {BENCH_REDIS_SET, BENCH_REDIS_EXPIRE};
    const uint64_t time_ns = bench_amount(settings, 1500, 20) * BENCH_NS_PER_MS;
    const unsigned long requests = bench_amount(settings, 1500000, 5000);

    for (unsigned c = 0; c < CODECS; c++) {
        struct side *side = &sides[c];
        const double rate =
            bench_rounds_rate(&side->rounds, far, side->rounds.crowd.count, time_ns);
        if (redis != NULL) {
            bench_results_against(results, beats[c], "/s", rate, peers[c],
                                  bench_redis_rate(redis, commands[c], requests, 100));
        } else {
            bench_results_add(results, beats[c], "/s", rate);
        }
        bench_results_add(results, asynchronous[c], "/s",
                          bench_asynchronous_rate(side->asynchronous, time_ns));
    }
}

static void open_side(struct side *side, struct bench_far *far, const char *codec, size_t modules)
{
    bench_rounds_open(&side->rounds, bench_far_url(far), codec, modules, false);
    side->asynchronous = bench_asynchronous_new(&side->rounds.crowd, WINDOW);
}

static void close_side(struct side *side)
{
    bench_rounds_close(&side->rounds);
    bench_asynchronous_free(side->asynchronous);
}

int main(int argc, char **argv)
{
    struct bench_settings settings;
    static struct side sides[CODECS];
    const char *why = NULL;

    bench_settings_parse(&settings, "pipelined", "Rate of heartbeats with many under way.", argc,
                         argv);
    const size_t modules = bench_amount(&settings, 10000, 50);
    struct bench_results *results = bench_results_new(&settings);
    struct bench_redis *redis = bench_redis_start(&why);
    struct bench_far *far =
        bench_far_start(&(struct bench_far_options){.scheme = "tcp", .lease_ms = 3600000});
    if (redis == NULL) {
        bench_results_skip(results, "beats protobuf", "redis EXPIRE", why);
        bench_results_skip(results, "beats json", "redis SET EX 30", why);
    }
    for (unsigned c = 0; c < CODECS; c++) {
        const uint64_t warm_up_ns = bench_amount(&settings, 300, 1) * BENCH_NS_PER_MS;
        bench_progress(&settings, 0, settings.runs, "registering");
        open_side(&sides[c], far, codecs[c], modules);
        bench_rounds_rate(&sides[c].rounds, far, modules, warm_up_ns);
        bench_asynchronous_rate(sides[c].asynchronous, warm_up_ns);
    }
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "beats, and redis");
        run(&settings, results, sides, far, redis);
    }
    for (unsigned c = 0; c < CODECS; c++) {
        bench_rounds_sweep(&settings, &sides[c].rounds, far, plots[c]);
        close_side(&sides[c]);
    }
    if (redis != NULL) {
        sweep_redis(&settings, redis);
    }
    bench_far_stop(far);
    bench_redis_stop(redis);
    return bench_results_finish(results);
}

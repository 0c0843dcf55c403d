/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * coalesced: how many heartbeats a second one client gets answered when it reports for 10,000
 * modules in one call, which sends many beats in a message where codec and orchestrator can; with
 * an orchestrator in a process of its own, in turns with redis-benchmark. The answer to every beat is
 * looked at. One caller, the main thread.
 */
#include "support/clock.h"
#include "support/progress.h"
#include "support/redis.h"
#include "support/results.h"
#include "support/rounds.h"

#define CODECS 2

static const char *const codecs[CODECS] = {"json", "protobuf"};
static const char *const plots[CODECS] = {"batch-coalesced-json", "batch-coalesced-protobuf"};

static void run(const struct bench_settings *settings, struct bench_results *results,
                struct bench_rounds rounds[CODECS], struct bench_far *far,
                struct bench_redis *redis)
{
    const uint64_t time_ns = bench_amount(settings, 1500, 20) * BENCH_NS_PER_MS;
    const unsigned long requests = bench_amount(settings, 1500000, 5000);
    static const char *const metrics[CODECS] = {"beats json", "beats protobuf"};
    double rates[CODECS];

    for (unsigned c = 0; c < CODECS; c++) {
        rates[c] = bench_rounds_rate(&rounds[c], far, rounds[c].crowd.count, time_ns);
    }
    const double peer =
        redis != NULL ? bench_redis_rate(redis, BENCH_REDIS_EXPIRE, requests, 100) : 0;
    for (unsigned c = 0; c < CODECS; c++) {
        if (redis != NULL) {
            bench_results_against(results, metrics[c], "/s", rates[c], "redis EXPIRE", peer);
        } else {
            bench_results_add(results, metrics[c], "/s", rates[c]);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench_settings settings;
    static struct bench_rounds rounds[CODECS];
    const char *why = NULL;

    bench_settings_parse(&settings, "coalesced", "Rate of heartbeats, many in one call.", argc,
                         argv);
    const size_t modules = bench_amount(&settings, 10000, 50);
    struct bench_results *results = bench_results_new(&settings);
    struct bench_redis *redis = bench_redis_start(&why);
    struct bench_far *far =
        bench_far_start(&(struct bench_far_options){.scheme = "tcp", .lease_ms = 3600000});
    if (redis == NULL) {
        bench_results_skip(results, "beats protobuf", "redis EXPIRE", why);
    }
    for (unsigned c = 0; c < CODECS; c++) {
        bench_progress(&settings, 0, settings.runs, "registering");
        bench_rounds_open(&rounds[c], bench_far_url(far), codecs[c], modules, true);
        bench_rounds_rate(&rounds[c], far, modules,
                          bench_amount(&settings, 300, 1) * BENCH_NS_PER_MS);
    }
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "beats, and redis");
        run(&settings, results, rounds, far, redis);
    }
    for (unsigned c = 0; c < CODECS; c++) {
        bench_rounds_sweep(&settings, &rounds[c], far, plots[c]);
        bench_rounds_close(&rounds[c]);
    }
    bench_far_stop(far);
    bench_redis_stop(redis);
    return bench_results_finish(results);
}

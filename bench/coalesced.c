/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * coalesced: how many heartbeats a second one client gets answered when it reports for 10,000
 * modules in one call, which sends many beats in a message where codec and orchestrator can; with
 * an orchestrator in a process of its own, in turns with redis-benchmark. The answer to every beat is
 * looked at. One caller, the main thread.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/crowd.h"
#include "support/far.h"
#include "support/progress.h"
#include "support/redis.h"
#include "support/results.h"
#include "support/series.h"

#define CODECS 2

static const char *const codecs[CODECS] = {"json", "protobuf"};

struct caller {
    struct bench_crowd crowd;
    struct pywatt_beat *beats;
    uint64_t rounds;
};

/* One beat of each of `size` modules, from `first` on. */
static void beat_once(struct caller *caller, size_t first, size_t size)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_beat *beats = caller->beats + first;

    for (size_t i = 0; i < size; i++) {
        beats[i].health = (enum pywatt_health)((i + caller->rounds) % 3);
        beats[i].status = PYWATT_CANCELLED; /* until it is answered */
    }
    bench_check_ok(pywatt_heartbeat_batch(caller->crowd.client, beats, size, &error), &error);
    for (size_t i = 0; i < size; i++) {
        bench_check(beats[i].status == PYWATT_OK && beats[i].verdict == beats[i].health,
                    "beat %zu: reported %s, answered %s, %s", i,
                    pywatt_health_name(beats[i].health), pywatt_health_name(beats[i].verdict),
                    pywatt_status_name(beats[i].status));
    }
    caller->rounds++;
}

/* Beats a second, `size` in a call. */
static double measure(struct caller *caller, struct bench_far *far, size_t size, uint64_t time_ns)
{
    const uint64_t seen = bench_far_stats(far).heartbeats;
    uint64_t beats = 0;
    uint64_t took = 0;
    size_t first = 0;
    const uint64_t began = bench_now_ns();

    do {
        beat_once(caller, first, size);
        first = first + 2 * size <= caller->crowd.count ? first + size : 0;
        beats += size;
        took = bench_now_ns() - began;
    } while (took < time_ns);
    bench_check(bench_far_stats(far).heartbeats - seen == beats, "the orchestrator missed beats");
    return (double)beats * (double)BENCH_NS_PER_S / (double)took;
}

static void sweep(const struct bench_settings *settings, struct caller *caller,
                  struct bench_far *far, const char *codec)
{
    char name[64];

    snprintf(name, sizeof(name), "batch-coalesced-%s", codec);
    struct bench_series *series = bench_series_new(settings, name, "in-a-call beats/s");
    const unsigned last = (unsigned)bench_amount(settings, 13, 2);
    for (unsigned shift = 0; series != NULL && shift <= last; shift++) {
        const size_t size = (size_t)1 << shift;
        bench_progress(settings, shift, last + 1, "batch sizes");
        bench_series_line(
            series, "%zu %.0f", size,
            measure(caller, far, size, bench_amount(settings, 300, 5) * BENCH_NS_PER_MS));
    }
    bench_series_end(series);
}

static void open_caller(struct caller *caller, const char *url, const char *codec, size_t count)
{
    bench_crowd_open(&caller->crowd, url, codec, count);
    caller->beats = calloc(count, sizeof(*caller->beats));
    bench_check(caller->beats != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        caller->beats[i].module = caller->crowd.modules[i];
    }
}

static void run(const struct bench_settings *settings, struct bench_results *results,
                struct caller callers[CODECS], struct bench_far *far, struct bench_redis *redis)
{
    const uint64_t time_ns = bench_amount(settings, 1500, 20) * BENCH_NS_PER_MS;
    const unsigned long requests = bench_amount(settings, 1500000, 5000);
    static const char *const metrics[CODECS] = {"beats json", "beats protobuf"};
    double rates[CODECS];

    for (unsigned c = 0; c < CODECS; c++) {
        rates[c] = measure(&callers[c], far, callers[c].crowd.count, time_ns);
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
    static struct caller callers[CODECS];
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
        open_caller(&callers[c], bench_far_url(far), codecs[c], modules);
        measure(&callers[c], far, modules, bench_amount(&settings, 300, 1) * BENCH_NS_PER_MS);
    }
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "beats, and redis");
        run(&settings, results, callers, far, redis);
    }
    for (unsigned c = 0; c < CODECS; c++) {
        sweep(&settings, &callers[c], far, codecs[c]);
        bench_crowd_close(&callers[c].crowd);
        free(callers[c].beats);
    }
    bench_far_stop(far);
    bench_redis_stop(redis);
    return bench_results_finish(results);
}

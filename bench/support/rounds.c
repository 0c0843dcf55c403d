/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See rounds.h. */
#include "support/rounds.h"

#include "support/check.h"
#include "support/clock.h"
#include "support/progress.h"
#include "support/series.h"

void bench_rounds_open(struct bench_rounds *rounds, const char *url, const char *codec,
                       size_t modules, bool coalesce)
{
    bench_crowd_open(&rounds->crowd, url, codec, modules, coalesce);
    rounds->beats = calloc(modules, sizeof(*rounds->beats));
    rounds->done = 0;
    bench_check(rounds->beats != NULL, "out of memory");
    for (size_t i = 0; i < modules; i++) {
        rounds->beats[i].module = rounds->crowd.modules[i];
    }
}

void bench_rounds_close(struct bench_rounds *rounds)
{
    bench_crowd_close(&rounds->crowd);
    free(rounds->beats);
}

/* One beat of each of `size` modules, from `first` on. */
static void beat_once(struct bench_rounds *rounds, size_t first, size_t size)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_beat *beats = rounds->beats + first;

    for (size_t i = 0; i < size; i++) {
        beats[i].health = (enum pywatt_health)((i + rounds->done) % 3);
        beats[i].status = PYWATT_CANCELLED; /* until it is answered */
    }
    bench_check_ok(pywatt_heartbeat_batch(rounds->crowd.client, beats, size, &error), &error);
    for (size_t i = 0; i < size; i++) {
        bench_check(beats[i].status == PYWATT_OK && beats[i].verdict == beats[i].health,
                    "beat %zu: reported %s, answered %s, %s", i,
                    pywatt_health_name(beats[i].health), pywatt_health_name(beats[i].verdict),
                    pywatt_status_name(beats[i].status));
    }
    rounds->done++;
}

double bench_rounds_rate(struct bench_rounds *rounds, struct bench_far *far, size_t size,
                         uint64_t time_ns)
{
    const uint64_t seen = bench_far_stats(far).heartbeats;
    uint64_t beats = 0;
    uint64_t took = 0;
    size_t first = 0;
    const uint64_t began = bench_now_ns();

    do {
        beat_once(rounds, first, size);
        first = first + 2 * size <= rounds->crowd.count ? first + size : 0;
        beats += size;
        took = bench_now_ns() - began;
    } while (took < time_ns);
    bench_check(bench_far_stats(far).heartbeats - seen == beats, "the orchestrator missed beats");
    return (double)beats * (double)BENCH_NS_PER_S / (double)took;
}

void bench_rounds_sweep(const struct bench_settings *settings, struct bench_rounds *rounds,
                        struct bench_far *far, const char *name)
{
    struct bench_series *series = bench_series_new(settings, name, "in-a-call beats/s");
    const unsigned last = (unsigned)bench_amount(settings, 13, 2);
    for (unsigned shift = 0; series != NULL && shift <= last; shift++) {
        const size_t size = (size_t)1 << shift;
        bench_progress(settings, shift, last + 1, "batch sizes");
        bench_series_line(
            series, "%zu %.0f", size,
            bench_rounds_rate(rounds, far, size, bench_amount(settings, 300, 5) * BENCH_NS_PER_MS));
    }
    bench_series_end(series);
}

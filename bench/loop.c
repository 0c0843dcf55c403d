/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop: one module with a heartbeat loop of 1 ms, against an orchestrator in a process of its own:
 * beats a second, how late they leave, and whether they drift. The loop's provider, on the client's
 * heartbeat thread, notes when it is asked for each beat; the main thread looks once that is over.
 * Beside it a bare thread wakes every millisecond, and does nothing else: what it misses is the
 * machine's.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/far.h"
#include "support/metronome.h"
#include "support/progress.h"
#include "support/results.h"
#include "support/series.h"
#include "support/ticks.h"

#include <stdlib.h>

#define INTERVAL_MS 1

static enum pywatt_health note(void *user, struct pywatt_string_map *details)
{
    (void)details;
    bench_ticks_add(user, bench_now_ns());
    return PYWATT_HEALTHY;
}

static void run(struct bench_results *results, const char *url, uint64_t time_ms,
                struct bench_histogram *lateness)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_heartbeat_loop *loop = NULL;
    struct pywatt_client *client = bench_open_client(url, "protobuf");
    struct pywatt_module *module = bench_register(client, "loop", 0);
    struct bench_histogram *late = bench_histogram_new();
    struct bench_ticks ticks;

    bench_ticks_init(&ticks, INTERVAL_MS * BENCH_NS_PER_MS, 2 * time_ms + 1000);
    struct bench_metronome *metronome = bench_metronome_start(INTERVAL_MS * BENCH_NS_PER_MS);
    uint64_t began = bench_now_ns();
    bench_check_ok(pywatt_start_heartbeat_loop(module, INTERVAL_MS, note, &ticks, &loop, &error),
                   &error);
    bench_let_beat(client, began + time_ms * BENCH_NS_PER_MS);
    struct pywatt_client_stats stats = bench_client_stats(client);
    double seconds = (double)(bench_now_ns() - began) / (double)BENCH_NS_PER_S;
    pywatt_heartbeat_loop_stop(loop);
    const struct bench_metronome_counts bare = bench_metronome_look(metronome);
    bench_metronome_stop(metronome);

    bench_check(stats.beats_failed == 0, "%llu beats failed",
                (unsigned long long)stats.beats_failed);
    bench_ticks_lateness(&ticks, late);
    bench_results_add(results, "beats", "/s", (double)stats.beats_answered / seconds);
    bench_results_add(results, "lateness p50", "us",
                      (double)bench_histogram_at(late, BENCH_P50) / 1000.0);
    bench_results_add(results, "lateness p99", "us",
                      (double)bench_histogram_at(late, BENCH_P99) / 1000.0);
    bench_results_add(results, "drift", "us", (double)llabs(bench_ticks_drift_ns(&ticks)) / 1000.0);
    bench_results_add(results, "beats skipped", "", (double)stats.beats_skipped);
    bench_results_add(results, "moments that a bare timer missed", "", (double)bare.missed);
    bench_histogram_merge(lateness, late);
    free(late);
    bench_ticks_destroy(&ticks);
    bench_unregister(module);
    pywatt_client_free(client);
}

int main(int argc, char **argv)
{
    struct bench_settings settings;

    bench_settings_parse(&settings, "loop", "One module's heartbeat loop of 1 ms.", argc, argv);
    struct bench_results *results = bench_results_new(&settings);
    struct bench_histogram *lateness = bench_histogram_new();
    struct bench_far *far = bench_far_start(&(struct bench_far_options){.scheme = "tcp"});
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "10 seconds each");
        run(results, bench_far_url(far), bench_amount(&settings, 10000, 100), lateness);
    }
    /* Ticks are meant to come at the interval, so that is what a late one keeps from coming. */
    bench_series_distribution(&settings, "lateness-loop", lateness, INTERVAL_MS * BENCH_NS_PER_MS,
                              1000.0);
    free(lateness);
    bench_far_stop(far);
    return bench_results_finish(results);
}

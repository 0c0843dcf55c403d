/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fleet: 1,000 modules of one client, each with a heartbeat loop of 1 ms, against an orchestrator in
 * a process of its own: beats answered, failed and skipped, how late they leave, and what it costs
 * in processor time on both sides. Ten of the modules have a provider that notes the time; it runs
 * on the client's heartbeat thread. The orchestrator's counts must agree with the client's. Beside it
 * a bare thread wakes every millisecond, and does nothing else: what it misses is the machine's.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/far.h"
#include "support/metronome.h"
#include "support/process.h"
#include "support/progress.h"
#include "support/results.h"
#include "support/series.h"
#include "support/ticks.h"

#include <unistd.h>

#define INTERVAL_MS 1
#define WATCHED 10

/* What a bare thread would reach that had nothing to do in its milliseconds but a beat of each module. */
#define BARE "a bare timer"

static enum pywatt_health note(void *user, struct pywatt_string_map *details)
{
    (void)details;
    bench_ticks_add(user, bench_now_ns());
    return PYWATT_HEALTHY;
}

/* Told when an answer differs from the last one: the first must be Healthy, and no other follow. */
static void on_change(void *user, struct pywatt_module *module,
                      const struct pywatt_heartbeat_event *event)
{
    (void)user;
    (void)module;
    bench_check(event->status == PYWATT_OK && event->verdict == PYWATT_HEALTHY, "a loop: %s %s",
                pywatt_health_name(event->verdict), event->text);
}

/* What both sides have done by now. */
struct moment {
    uint64_t now_ns;
    struct pywatt_client_stats client;
    struct pywatt_orchestrator_stats orchestrator;
    uint64_t client_cpu_ns;
    uint64_t orchestrator_cpu_ns;
    struct bench_metronome_counts bare;
};

static struct moment look(struct pywatt_client *client, struct bench_far *far,
                          const struct bench_metronome *metronome)
{
    return (struct moment){
        .now_ns = bench_now_ns(),
        .client = bench_client_stats(client),
        .orchestrator = bench_far_stats(far),
        .client_cpu_ns = bench_process_cpu_ns(getpid()),
        .orchestrator_cpu_ns = bench_far_cpu_ns(far),
        .bare = bench_metronome_look(metronome),
    };
}

static void report(struct bench_results *results, const char *codec, size_t modules,
                   const struct moment *before, const struct moment *after)
{
    char metric[64];
    const double took = (double)(after->now_ns - before->now_ns);
    const double beats = (double)(after->client.beats_answered - before->client.beats_answered);
    const double lost = (double)(after->client.beats_failed - before->client.beats_failed +
                                 after->client.beats_skipped - before->client.beats_skipped);
    const double kept = (double)(after->bare.kept - before->bare.kept);
    const double missed = (double)(after->bare.missed - before->bare.missed);
    const double client_cpu = (double)(after->client_cpu_ns - before->client_cpu_ns);
    const double far_cpu = (double)(after->orchestrator_cpu_ns - before->orchestrator_cpu_ns);

    snprintf(metric, sizeof(metric), "beats answered %s", codec);
    bench_results_against(results, metric, "/s", beats * (double)BENCH_NS_PER_S / took, BARE,
                          kept * (double)modules * (double)BENCH_NS_PER_S / took);
    snprintf(metric, sizeof(metric), "beats failed or skipped %s", codec);
    bench_results_add(results, metric, "", lost);
    snprintf(metric, sizeof(metric), "moments that a bare timer missed %s", codec);
    bench_results_add(results, metric, "", missed);
    snprintf(metric, sizeof(metric), "client's processors %s", codec);
    bench_results_add(results, metric, "cores", client_cpu / took);
    snprintf(metric, sizeof(metric), "orchestrator's processors %s", codec);
    bench_results_add(results, metric, "cores", far_cpu / took);
    snprintf(metric, sizeof(metric), "client's time for a beat %s", codec);
    bench_results_add(results, metric, "ns", client_cpu / beats);
    snprintf(metric, sizeof(metric), "orchestrator's time for a beat %s", codec);
    bench_results_add(results, metric, "ns", far_cpu / beats);
}

static void report_lateness(struct bench_results *results, const char *codec,
                            const struct bench_ticks *ticks, struct bench_histogram *all)
{
    char metric[64];
    struct bench_histogram *late = bench_histogram_new();

    for (unsigned i = 0; i < WATCHED; i++) {
        bench_ticks_lateness(&ticks[i], late);
    }
    snprintf(metric, sizeof(metric), "lateness p99 %s", codec);
    bench_results_add(results, metric, "us", (double)bench_histogram_at(late, BENCH_P99) / 1000.0);
    bench_histogram_merge(all, late);
    free(late);
}

static void run(const struct bench_settings *settings, struct bench_results *results,
                const char *codec, struct bench_histogram *lateness)
{
    const size_t count = bench_amount(settings, 1000, 20);
    const uint64_t time_ms = bench_amount(settings, 30000, 100);
    struct pywatt_error error = {PYWATT_OK, ""};
    struct bench_ticks ticks[WATCHED];
    struct bench_far *far = bench_far_start(&(struct bench_far_options){.scheme = "tcp"});
    struct pywatt_client *client = bench_open_client(bench_far_url(far), codec);
    struct pywatt_module **modules = calloc(count, sizeof(struct pywatt_module *));

    bench_check(modules != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        modules[i] = bench_register(client, codec, i);
        pywatt_module_set_watcher(modules[i], on_change, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        bool watched = i < WATCHED;
        if (watched) {
            bench_ticks_init(&ticks[i], INTERVAL_MS * BENCH_NS_PER_MS, 2 * time_ms + 1000);
        }
        bench_check_ok(pywatt_start_heartbeat_loop(modules[i], INTERVAL_MS, watched ? note : NULL,
                                                   watched ? &ticks[i] : NULL, NULL, &error),
                       &error);
    }
    struct bench_metronome *metronome = bench_metronome_start(INTERVAL_MS * BENCH_NS_PER_MS);
    bench_let_beat(client, bench_now_ns() + bench_amount(settings, 1000, 10) * BENCH_NS_PER_MS);
    struct moment before = look(client, far, metronome);
    bench_let_beat(client, before.now_ns + time_ms * BENCH_NS_PER_MS);
    struct moment after = look(client, far, metronome);
    report(results, codec, count, &before, &after);

    for (size_t i = 0; i < count; i++) {
        bench_unregister(modules[i]);
    }
    bench_metronome_stop(metronome);
    bench_check(bench_far_stats(far).heartbeats >= bench_client_stats(client).beats_answered,
                "more beats were answered than the orchestrator saw");
    report_lateness(results, codec, ticks, lateness);
    for (unsigned i = 0; i < WATCHED; i++) {
        bench_ticks_destroy(&ticks[i]);
    }
    free(modules);
    pywatt_client_free(client);
    bench_far_stop(far);
}

int main(int argc, char **argv)
{
    static const char *const codecs[] = {"protobuf", "json"};
    struct bench_settings settings;

    bench_settings_parse(&settings, "fleet", "1,000 modules' heartbeat loops of 1 ms.", argc, argv);
    struct bench_results *results = bench_results_new(&settings);
    for (unsigned c = 0; c < 2; c++) {
        struct bench_histogram *lateness = bench_histogram_new();
        char name[64];
        for (unsigned i = 0; i < settings.runs; i++) {
            bench_progress(&settings, c * settings.runs + i, 2 * settings.runs, codecs[c]);
            run(&settings, results, codecs[c], lateness);
        }
        snprintf(name, sizeof(name), "lateness-fleet-%s", codecs[c]);
        bench_series_distribution(&settings, name, lateness, INTERVAL_MS * BENCH_NS_PER_MS, 1000.0);
        free(lateness);
    }
    return bench_results_finish(results);
}

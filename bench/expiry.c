/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * expiry: 100,000 modules fall silent at once, after one last beat each. How long after the end of
 * its lease each is declared lost, whether one is too early, and what becomes of another module's
 * beats meanwhile.
 *
 * A lease ends, at the earliest, lease_ms after the moment just before the last beat was sent; from
 * there lateness is counted, so it holds the beat's own way, too. The orchestrator is in this process
 * and tells what happens on its events thread, which writes lost_ns; the main thread reads it when
 * `lost` says that all are there. The other module beats from a thread of its own.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/driver.h"
#include "support/histogram.h"
#include "support/progress.h"
#include "support/results.h"
#include "support/series.h"
#include "support/sides.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* The last beats leave in small batches: what is on its way longer counts as lateness. */
#define BATCH 16

struct world {
    size_t count;
    uint64_t lease_ns;
    uint64_t *sent_ns;
    uint64_t *lost_ns;
    atomic_size_t lost;
    atomic_bool settled; /* all are there, and have beat a moment ago */
    /* The other module. */
    struct pywatt_module *other;
    uint64_t watch_from_ns;
    atomic_bool watched;
    struct bench_histogram *beats;
};

static void on_event(void *user, const struct pywatt_event *event)
{
    struct world *world = user;

    if (event->kind != PYWATT_EVENT_LIVENESS || event->liveness != PYWATT_LOST ||
        strncmp(event->module_name, "m-", 2) != 0) {
        return;
    }
    if (!atomic_load(&world->settled)) {
        return; /* registering all took longer than a lease; it beats again soon */
    }
    size_t number = strtoul(event->module_name + 2, NULL, 10);
    bench_check(number < world->count && world->lost_ns[number] == 0, "%s is lost again",
                event->module_name);
    world->lost_ns[number] = bench_now_ns();
    atomic_fetch_add(&world->lost, 1);
}

/* Beats every millisecond while the others expire; late ones do not put the next ones off. */
static void *beat_on(void *user)
{
    struct world *world = user;
    struct pywatt_error error = {PYWATT_OK, ""};

    for (uint64_t due = world->watch_from_ns; !atomic_load(&world->watched);
         due += BENCH_NS_PER_MS) {
        enum pywatt_health verdict = PYWATT_UNHEALTHY;
        bench_sleep_until(due);
        bench_check_ok(pywatt_heartbeat(world->other, PYWATT_HEALTHY, NULL, &verdict, &error),
                       &error);
        bench_check(verdict == PYWATT_HEALTHY, "a wrong answer");
        bench_histogram_add(world->beats, bench_now_ns() - due);
    }
    return NULL;
}

static void report(const struct world *world, struct bench_results *results,
                   struct bench_histogram *all)
{
    struct bench_histogram *late = bench_histogram_new();
    size_t early = 0;

    for (size_t i = 0; i < world->count; i++) {
        uint64_t deadline = world->sent_ns[i] + world->lease_ns;
        if (world->lost_ns[i] < deadline) {
            early++;
        } else {
            bench_histogram_add(late, world->lost_ns[i] - deadline);
        }
    }
    bench_results_add(results, "verdicts too early", "", (double)early);
    bench_results_add(results, "lateness of a lost verdict p50", "ms",
                      (double)bench_histogram_at(late, BENCH_P50) / 1e6);
    bench_results_add(results, "lateness of a lost verdict p99", "ms",
                      (double)bench_histogram_at(late, BENCH_P99) / 1e6);
    bench_results_add(results, "other beats p50", "ms",
                      (double)bench_histogram_at(world->beats, BENCH_P50) / 1e6);
    bench_results_add(results, "other beats p99", "ms",
                      (double)bench_histogram_at(world->beats, BENCH_P99) / 1e6);
    bench_histogram_merge(all, late);
    free(late);
}

/* The silence, until the last one is declared lost. */
static void watch(struct world *world, uint64_t first_ns)
{
    pthread_t thread;
    const uint64_t patience_ns = 4 * world->lease_ns + 60 * BENCH_NS_PER_S;

    world->watch_from_ns = first_ns + world->lease_ns;
    bench_check(pthread_create(&thread, NULL, beat_on, world) == 0, "no thread is left");
    while (atomic_load(&world->lost) < world->count) {
        uint64_t now = bench_now_ns();
        bench_check(now < first_ns + patience_ns, "only %zu of %zu modules are lost",
                    atomic_load(&world->lost), world->count);
        bench_sleep_until(now + BENCH_NS_PER_MS);
    }
    atomic_store(&world->watched, true);
    pthread_join(thread, NULL);
}

static void run(const struct bench_settings *settings, struct bench_results *results,
                struct bench_histogram *late)
{
    const uint32_t lease_ms = (uint32_t)bench_amount(settings, 6000, 2000);
    struct world world = {.count = bench_amount(settings, 100000, 200),
                          .lease_ns = lease_ms * BENCH_NS_PER_MS};
    struct bench_orchestrator_options options = {
        .lease_ms = lease_ms, .on_event = on_event, .event_user = &world};
    char url[BENCH_URL_SIZE];

    world.sent_ns = calloc(world.count, sizeof(*world.sent_ns));
    world.lost_ns = calloc(world.count, sizeof(*world.lost_ns));
    world.beats = bench_histogram_new();
    bench_check(world.sent_ns != NULL && world.lost_ns != NULL, "out of memory");
    struct pywatt_orchestrator *orchestrator = bench_start_orchestrator_with("tcp", &options, url);
    struct bench_driver *driver = bench_driver_open(url, "protobuf", world.count, 0);
    struct pywatt_client *client = bench_open_client(url, "protobuf");
    uint32_t *order = bench_shuffled(world.count, 1);

    world.other = bench_register(client, "other", 0);
    bench_driver_register(driver, world.count);
    bench_driver_beat(driver, order, world.count, BENCH_DRIVER_BATCH, NULL);
    atomic_store(&world.settled, true);
    bench_driver_beat(driver, order, world.count, BATCH, world.sent_ns);
    watch(&world, world.sent_ns[order[0]]);
    report(&world, results, late);

    pywatt_module_free(world.other);
    pywatt_client_free(client);
    bench_driver_close(driver);
    bench_stop_orchestrator(orchestrator);
    free(order);
    free(world.sent_ns);
    free(world.lost_ns);
    free(world.beats);
}

int main(int argc, char **argv)
{
    struct bench_settings settings;

    bench_settings_parse(&settings, "expiry", "Many modules that fall silent at once.", argc, argv);
    struct bench_results *results = bench_results_new(&settings);
    struct bench_histogram *late = bench_histogram_new();
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "waiting for leases to end");
        run(&settings, results, late);
    }
    bench_series_distribution(&settings, "lateness-expiry", late, UINT64_MAX, 1000.0);
    free(late);
    return bench_results_finish(results);
}

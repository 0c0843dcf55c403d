/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * round-trip: how long one blocking heartbeat takes, for each codec over each transport, beside a
 * raw echo of the same bytes over the same kind of socket and over TCP, and beside one sign of life
 * of each peer. All take turns in short stretches, so that whatever else the machine does hits all
 * of them alike. One caller, the main thread.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/echo.h"
#include "support/histogram.h"
#include "support/peer.h"
#include "support/pin.h"
#include "support/progress.h"
#include "support/results.h"
#include "support/series.h"
#include "support/sides.h"

#include <string.h>

#define LANES_MAX 16

static const char *const codecs[] = {"json", "protobuf"};
static const char *const schemes[] = {"tcp", "unix", "memory"};

#define SCHEMES 3
#define CODECS 2

/* Something that is called again and again, and how long that took. */
struct lane {
    char name[48];
    void (*call)(void *self);
    void *self;
    unsigned divisor; /* of the calls in a stretch: less of what is slow */
    struct bench_histogram *run;
    struct bench_histogram *all;
};

struct world {
    const struct bench_settings *settings;
    struct bench_results *results;
    struct lane lanes[LANES_MAX];
    unsigned lane_count;
    unsigned beat_lanes[SCHEMES][CODECS];
    unsigned echo_lanes[SCHEMES][CODECS];
    struct pywatt_orchestrator *orchestrators[SCHEMES];
    struct pywatt_client *clients[SCHEMES][CODECS];
    struct pywatt_module *modules[SCHEMES][CODECS];
    struct bench_echo *echoes[SCHEMES][CODECS];
    struct bench_peer *peers[8];
    struct bench_caller *callers[8];
    unsigned peer_lanes[8];
};

static unsigned add_lane(struct world *world, void (*call)(void *), void *self, unsigned divisor,
                         const char *name)
{
    bench_check(world->lane_count < LANES_MAX, "too many lanes");
    struct lane *lane = &world->lanes[world->lane_count];
    snprintf(lane->name, sizeof(lane->name), "%s", name);
    lane->call = call;
    lane->self = self;
    lane->divisor = divisor;
    lane->run = bench_histogram_new();
    lane->all = bench_histogram_new();
    return world->lane_count++;
}

/* A beat whose answer must be what was reported. */
static void beat(struct pywatt_module *module, enum pywatt_health health)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_health verdict = health == PYWATT_HEALTHY ? PYWATT_UNHEALTHY : PYWATT_HEALTHY;

    bench_check_ok(pywatt_heartbeat(module, health, NULL, &verdict, &error), &error);
    bench_check(verdict == health, "reported %s, answered %s", pywatt_health_name(health),
                pywatt_health_name(verdict));
}

static void call_beat(void *self)
{
    beat(self, PYWATT_HEALTHY);
}

static void call_echo(void *self)
{
    bench_echo_call(self);
}

static void call_peer(void *self)
{
    bench_caller_call(self);
}

/* What one beat and its answer weigh, and that the orchestrator saw each one. */
static void weigh(struct pywatt_orchestrator *orchestrator, struct pywatt_module *module,
                  size_t *request_bytes, size_t *reply_bytes)
{
    const unsigned beats = 100;
    struct pywatt_orchestrator_stats before = bench_orchestrator_stats(orchestrator);

    for (unsigned i = 0; i < beats; i++) {
        beat(module, PYWATT_HEALTHY);
    }
    struct pywatt_orchestrator_stats after = bench_orchestrator_stats(orchestrator);
    bench_check(after.heartbeats - before.heartbeats == beats, "the orchestrator missed beats");
    *request_bytes = (size_t)(after.bytes_received - before.bytes_received) / beats;
    *reply_bytes = (size_t)(after.bytes_sent - before.bytes_sent) / beats;
}

static void open_side(struct world *world, unsigned s, unsigned c, const char *url)
{
    char name[48];
    size_t request_bytes = 0;
    size_t reply_bytes = 0;

    world->clients[s][c] = bench_open_client(url, codecs[c]);
    struct pywatt_module *module = bench_register(world->clients[s][c], codecs[c], s);
    world->modules[s][c] = module;
    for (int health = PYWATT_HEALTHY; health <= (int)PYWATT_UNHEALTHY; health++) {
        beat(module, (enum pywatt_health)health);
    }
    weigh(world->orchestrators[s], module, &request_bytes, &reply_bytes);
    snprintf(name, sizeof(name), "beat-%s-%s", schemes[s], codecs[c]);
    world->beat_lanes[s][c] = add_lane(world, call_beat, module, 1, name);
    if (strcmp(schemes[s], "memory") != 0) {
        bench_pin_answerers();
        world->echoes[s][c] = bench_echo_start(schemes[s], request_bytes, reply_bytes);
        bench_pin_caller();
        snprintf(name, sizeof(name), "echo-%s-%s", schemes[s], codecs[c]);
        world->echo_lanes[s][c] = add_lane(world, call_echo, world->echoes[s][c], 1, name);
    }
}

static void open_peers(struct world *world)
{
    for (unsigned i = 0; bench_peer_names[i] != NULL; i++) {
        const char *why = NULL;
        bench_pin_answerers();
        world->peers[i] = bench_peer_start(bench_peer_names[i], &why);
        bench_pin_caller();
        if (world->peers[i] == NULL) {
            bench_results_skip(world->results, "p50 tcp protobuf", bench_peer_names[i], why);
            continue;
        }
        world->callers[i] = bench_caller_open(world->peers[i]);
        unsigned divisor = strcmp(bench_peer_names[i], "redis") == 0 ? 1 : 10;
        world->peer_lanes[i] =
            add_lane(world, call_peer, world->callers[i], divisor, bench_peer_names[i]);
    }
}

static void open_world(struct world *world)
{
    char url[BENCH_URL_SIZE];

    for (unsigned s = 0; s < SCHEMES; s++) {
        bench_pin_answerers();
        world->orchestrators[s] = bench_start_orchestrator(schemes[s], 1, url);
        bench_pin_caller();
        for (unsigned c = 0; c < CODECS; c++) {
            open_side(world, s, c, url);
        }
    }
    open_peers(world);
}

static void close_world(struct world *world)
{
    for (unsigned s = 0; s < SCHEMES; s++) {
        for (unsigned c = 0; c < CODECS; c++) {
            bench_unregister(world->modules[s][c]);
            pywatt_client_free(world->clients[s][c]);
            if (world->echoes[s][c] != NULL) {
                bench_echo_stop(world->echoes[s][c]);
            }
        }
        bench_stop_orchestrator(world->orchestrators[s]);
    }
    for (unsigned i = 0; bench_peer_names[i] != NULL; i++) {
        bench_caller_close(world->callers[i]);
        bench_peer_stop(world->peers[i]);
    }
    for (unsigned i = 0; i < world->lane_count; i++) {
        free(world->lanes[i].run);
        free(world->lanes[i].all);
    }
}

static void stretch(struct lane *lane, unsigned calls)
{
    for (unsigned i = 0; i < (calls + lane->divisor - 1) / lane->divisor; i++) {
        uint64_t began = bench_now_ns();
        lane->call(lane->self);
        bench_histogram_add(lane->run, bench_now_ns() - began);
    }
}

static double p50_us(const struct world *world, unsigned lane)
{
    return (double)bench_histogram_at(world->lanes[lane].run, BENCH_P50) / 1000.0;
}

/* The numbers of one run. */
static void report(struct world *world)
{
    char metric[64];
    char peer[64];

    for (unsigned s = 0; s < SCHEMES; s++) {
        for (unsigned c = 0; c < CODECS; c++) {
            const double beat_us = p50_us(world, world->beat_lanes[s][c]);
            snprintf(metric, sizeof(metric), "p50 %s %s", schemes[s], codecs[c]);
            bench_results_against(world->results, metric, "us", beat_us, "raw tcp echo",
                                  p50_us(world, world->echo_lanes[0][c]));
            if (world->echoes[s][c] != NULL && s > 0) {
                snprintf(peer, sizeof(peer), "raw %s echo", schemes[s]);
                bench_results_against(world->results, metric, "us", beat_us, peer,
                                      p50_us(world, world->echo_lanes[s][c]));
            }
            snprintf(metric, sizeof(metric), "p99 %s %s", schemes[s], codecs[c]);
            bench_results_add(
                world->results, metric, "us",
                (double)bench_histogram_at(world->lanes[world->beat_lanes[s][c]].run, BENCH_P99) /
                    1000.0);
        }
    }
    for (unsigned i = 0; bench_peer_names[i] != NULL; i++) {
        if (world->peers[i] != NULL) {
            bench_results_against(
                world->results, "p50 tcp protobuf", "us", p50_us(world, world->beat_lanes[0][1]),
                bench_peer_call_name(world->peers[i]), p50_us(world, world->peer_lanes[i]));
        }
    }
}

static void forget_run(struct world *world, bool keep)
{
    for (unsigned i = 0; i < world->lane_count; i++) {
        if (keep) {
            bench_histogram_merge(world->lanes[i].all, world->lanes[i].run);
        }
        memset(world->lanes[i].run, 0, sizeof(*world->lanes[i].run));
    }
}

int main(int argc, char **argv)
{
    struct bench_settings settings;
    static struct world world;

    bench_settings_parse(&settings, "round-trip", "Times one blocking heartbeat beside peers.",
                         argc, argv);
    const unsigned calls = (unsigned)bench_amount(&settings, 500, 10);
    const unsigned stretches = (unsigned)bench_amount(&settings, 60, 2);
    world.settings = &settings;
    world.results = bench_results_new(&settings);
    open_world(&world);
    for (unsigned run = 0; run <= settings.runs; run++) { /* run 0 warms up */
        bench_progress(&settings, run, settings.runs + 1, "all lanes in turn");
        for (unsigned i = 0; i < (run == 0 ? 1 : stretches); i++) {
            for (unsigned lane = 0; lane < world.lane_count; lane++) {
                stretch(&world.lanes[lane], calls);
            }
        }
        if (run > 0) {
            report(&world);
        }
        forget_run(&world, run > 0);
    }
    for (unsigned i = 0; i < world.lane_count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "latency-%s", world.lanes[i].name);
        bench_series_distribution(&settings, name, world.lanes[i].all, 0, 1000.0);
    }
    close_world(&world);
    return bench_results_finish(world.results);
}

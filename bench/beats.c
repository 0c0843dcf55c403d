/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * beats: how many heartbeats a second one client gets answered, for each codec, in three ways:
 *
 *   blocking   one thread, one module, one beat after the other
 *   pipelined  one module, many asynchronous beats under way at once
 *   loops      many modules, each with a heartbeat loop of 1 ms
 *
 * against an orchestrator elsewhere (--endpoint), or one in this process. Every answer is looked
 * at. The callbacks of pipelined beats run on the client's dispatcher thread, those of loops too;
 * what they count is atomic.
 */
#include "common/options.h"
#include "common/parse.h"
#include "common/report.h"
#include "support/asynchronous.h"
#include "support/check.h"
#include "support/clock.h"
#include "support/sides.h"
#include "support/table.h"

#include <stdbool.h>
#include <string.h>

#define LOOP_INTERVAL_MS 1

struct settings {
    const char *endpoint;
    uint64_t duration_ms;
    uint32_t window;
    uint32_t modules;
    bool help;
};

enum key {
    KEY_ENDPOINT = 256,
    KEY_DURATION,
    KEY_WINDOW,
    KEY_MODULES,
    KEY_QUICK
};

static const struct tool_option options[] = {
    {"endpoint", KEY_ENDPOINT, "URL", "an orchestrator (default: one in this process)"},
    {"duration", KEY_DURATION, "MS", "time for each measurement (default 2s)"},
    {"window", KEY_WINDOW, "N", "pipelined beats under way at once (default 256)"},
    {"modules", KEY_MODULES, "N", "modules with a loop (default 1000)"},
    {"quick", KEY_QUICK, NULL, "50 ms and 20 modules: shows that it works, measures nothing"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "bench_beats [OPTION...]",
    .about = "Measures heartbeats a second for each codec.",
    .groups = {{"Options", options}},
};

static int set(void *user, int key, const char *value)
{
    struct settings *settings = user;

    switch (key) {
    case KEY_ENDPOINT: settings->endpoint = value; return 0;
    case KEY_DURATION:
        return tool_parse_time_ms("duration", value, 1, 3600000, &settings->duration_ms);
    case KEY_WINDOW: return tool_parse_u32("window", value, 1, 16384, &settings->window);
    case KEY_MODULES: return tool_parse_u32("modules", value, 1, 100000, &settings->modules);
    case KEY_QUICK:
        settings->duration_ms = 50;
        settings->modules = 20;
        return 0;
    default: settings->help = true; return 0;
    }
}

static double per_second(uint64_t count, uint64_t ns)
{
    return (double)count * (double)BENCH_NS_PER_S / (double)ns;
}

/* ---- One beat after the other --------------------------------------------------------------- */

static double measure_blocking(const struct settings *settings, const char *codec)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_client *client = bench_open_client(settings->endpoint, codec);
    struct pywatt_module *module = bench_register(client, "blocking", 0);
    uint64_t count = 0;
    uint64_t began = bench_now_ns();
    uint64_t end = began + settings->duration_ms * BENCH_NS_PER_MS;

    for (;;) {
        enum pywatt_health health = (enum pywatt_health)(count % 3);
        enum pywatt_health verdict = (enum pywatt_health)((count + 1) % 3);
        bench_check_ok(pywatt_heartbeat(module, health, NULL, &verdict, &error), &error);
        bench_check(verdict == health, "a wrong answer to beat %llu", (unsigned long long)count);
        count++;
        if (bench_now_ns() >= end) {
            break;
        }
    }
    uint64_t took = bench_now_ns() - began;
    bench_unregister(module);
    pywatt_client_free(client);
    return per_second(count, took);
}

/* ---- Many under way at once ----------------------------------------------------------------- */

static double measure_pipelined(const struct settings *settings, const char *codec)
{
    struct pywatt_client *client = bench_open_client(settings->endpoint, codec);
    struct pywatt_module *module = bench_register(client, "pipelined", 0);
    const struct bench_crowd one = {.client = client, .modules = &module, .count = 1};
    struct bench_asynchronous *asynchronous = bench_asynchronous_new(&one, settings->window);
    const double rate =
        bench_asynchronous_rate(asynchronous, settings->duration_ms * BENCH_NS_PER_MS);

    bench_unregister(module);
    pywatt_client_free(client);
    bench_asynchronous_free(asynchronous);
    return rate;
}

/* ---- Many modules, each with its loop ------------------------------------------------------- */

/* Told when an answer differs from the last one: the first must be Healthy, and no other follow. */
static void on_change(void *user, struct pywatt_module *module,
                      const struct pywatt_heartbeat_event *event)
{
    (void)user;
    (void)module;
    bench_check(event->status == PYWATT_OK && event->verdict == PYWATT_HEALTHY, "a loop: %s %s",
                pywatt_health_name(event->verdict), event->text);
}

static void sleep_until(uint64_t when_ns)
{
    struct timespec when = {.tv_sec = (time_t)(when_ns / BENCH_NS_PER_S),
                            .tv_nsec = (long)(when_ns % BENCH_NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) != 0) {
    }
}

static double measure_loops(const struct settings *settings, const char *codec)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_client *client = bench_open_client(settings->endpoint, codec);
    struct pywatt_module **modules = calloc(settings->modules, sizeof(struct pywatt_module *));

    bench_check(modules != NULL, "out of memory");
    for (uint32_t i = 0; i < settings->modules; i++) {
        modules[i] = bench_register(client, "loop", i);
        pywatt_module_set_watcher(modules[i], on_change, NULL);
    }
    for (uint32_t i = 0; i < settings->modules; i++) {
        bench_check_ok(
            pywatt_start_heartbeat_loop(modules[i], LOOP_INTERVAL_MS, NULL, NULL, NULL, &error),
            &error);
    }
    struct pywatt_client_stats before = bench_client_stats(client);
    uint64_t began = bench_now_ns();
    sleep_until(began + settings->duration_ms * BENCH_NS_PER_MS);
    struct pywatt_client_stats after = bench_client_stats(client);
    uint64_t took = bench_now_ns() - began;

    bench_check(after.beats_answered > before.beats_answered, "no beat was answered");
    bench_check(after.beats_failed == 0, "%llu beats failed",
                (unsigned long long)after.beats_failed);
    for (uint32_t i = 0; i < settings->modules; i++) {
        bench_unregister(modules[i]);
    }
    free(modules);
    pywatt_client_free(client);
    return per_second(after.beats_answered - before.beats_answered, took);
}

/* --------------------------------------------------------------------------------------------- */

static void run(const struct settings *settings, const char *codec, struct bench_table *table)
{
    static double (*const ways[])(const struct settings *, const char *) = {
        measure_blocking, measure_pipelined, measure_loops};

    bench_table_cell(table, "%s", codec);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        bench_table_cell(table, "%.0f", ways[i](settings, codec));
    }
}

int main(int argc, char **argv)
{
    static const char *const headings[] = {"codec", "blocking, 1 thread", "pipelined, 1 module",
                                           "loops of 1 ms"};
    struct settings settings = {.duration_ms = 2000, .window = 256, .modules = 1000};
    struct pywatt_orchestrator *orchestrator = NULL;
    char url[BENCH_URL_SIZE];

    tool_report_init("bench_beats", NULL);
    int bad = tool_options_parse(&syntax, argc, argv, set, &settings);
    if (bad != 0 || settings.help) {
        return bad != 0 ? bad : tool_options_help(&syntax);
    }
    if (settings.endpoint == NULL) {
        orchestrator = bench_start_orchestrator("tcp", 0, url);
        settings.endpoint = url;
    }
    struct bench_table *table = bench_table_new(headings, 4, 1);
    run(&settings, "json", table);
    run(&settings, "protobuf", table);
    printf("Heartbeats answered per second; loops: %u modules in one client.\n\n",
           settings.modules);
    bench_table_print(table);
    bench_stop_orchestrator(orchestrator);
    return 0;
}

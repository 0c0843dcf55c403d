/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * simulate: what happens to a million modules when one of several orchestrators dies, with and
 * without jitter, a spread first attempt, pacing and phases; simulation/simulation.h says what is
 * simulated. The same seed gives the same table. One thread.
 */
#include "common/options.h"
#include "common/parse.h"
#include "common/report.h"
#include "simulation/simulation.h"
#include "support/table.h"

#include <stdio.h>

enum key {
    KEY_SEED = 256,
    KEY_MODULES,
    KEY_ORCHESTRATORS,
    KEY_LEASE,
    KEY_INTERVAL,
    KEY_NOTICE,
    KEY_CAPACITY,
    KEY_QUEUE
};

static const struct tool_option options[] = {
    {"seed", KEY_SEED, "N", "what chance is made of (default 1)"},
    {"modules", KEY_MODULES, "N", "in all (default 1000000)"},
    {"orchestrators", KEY_ORCHESTRATORS, "N", "before one dies (default 4)"},
    {"lease", KEY_LEASE, "MS", "(default 15s)"},
    {"interval", KEY_INTERVAL, "MS", "between two beats of a module (default 5s)"},
    {"notice", KEY_NOTICE, "MS", "until the others know that one is dead (default 5s)"},
    {"capacity", KEY_CAPACITY, "N",
     "modules that a survivor can attach in a second (default 5000)"},
    {"queue", KEY_QUEUE, "N", "modules that may wait for that, without pacing (default 10000)"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "bench/simulate [OPTION...]",
    .about = "Simulates the death of an orchestrator and how its modules come back.",
    .groups = {{"Options", options}},
};

struct parsed {
    struct simulation_options options;
    bool help;
};

static int set(void *user, int key, const char *value)
{
    struct parsed *parsed = user;
    struct simulation_options *to = &parsed->options;

    switch (key) {
    case KEY_SEED: return tool_parse_u64("seed", value, 0, UINT64_MAX, &to->seed);
    case KEY_MODULES: return tool_parse_u32("modules", value, 10, 100000000, &to->modules);
    case KEY_ORCHESTRATORS:
        return tool_parse_u32("orchestrators", value, 2, SIMULATION_ORCHESTRATORS_MAX,
                              &to->orchestrators);
    case KEY_LEASE: return tool_parse_time_ms_u32("lease", value, 100, 3600000, &to->lease_ms);
    case KEY_INTERVAL:
        return tool_parse_time_ms_u32("interval", value, 100, 3600000, &to->interval_ms);
    case KEY_NOTICE: return tool_parse_time_ms_u32("notice", value, 0, 3600000, &to->notice_ms);
    case KEY_CAPACITY: return tool_parse_u32("capacity", value, 1, 10000000, &to->capacity);
    case KEY_QUEUE: return tool_parse_u32("queue", value, 1, 100000000, &to->queue);
    default: parsed->help = true; return 0;
    }
}

static const struct scenario {
    const char *name;
    bool jitter;
    bool spread;
    bool pacing;
    bool phase;
    bool same_order;
} scenarios[] = {
    {"neither jitter nor pacing", false, false, false, false, false},
    {"jitter in the pauses", true, false, false, false, false},
    {"jitter, first attempt spread", true, true, false, false, false},
    {"pacing alone", false, false, true, false, false},
    {"pacing, jitter, spread", true, true, true, false, false},
    {"pacing, jitter, spread, phase", true, true, true, true, false},
    {"all that, same survivor first", true, true, true, true, true},
    {"jitter, same survivor first", true, false, false, false, true},
};

static void print_scenario(struct bench_table *table, const struct scenario *scenario,
                           struct simulation_options with)
{
    with.jitter = scenario->jitter;
    with.spread = scenario->spread;
    with.pacing = scenario->pacing;
    with.phase = scenario->phase;
    with.same_order = scenario->same_order;
    const struct simulation_outcome outcome = simulation_run(&with);

    bench_table_cell(table, "%s", scenario->name);
    bench_table_cell(table, "%.1f", outcome.median_s);
    bench_table_cell(table, "%.1f", outcome.back_s);
    bench_table_cell(table, "%llu", (unsigned long long)outcome.attempts);
    bench_table_cell(table, "%.0f", outcome.peak_offered);
    bench_table_cell(table, "%.0f", outcome.peak_attached);
    bench_table_cell(table, "%.2f", outcome.longest_wait_s);
    bench_table_cell(table, "%.0f", outcome.peak_beats);
    bench_table_cell(table, "%.0f", outcome.mean_beats);
    bench_table_cell(table, "%llu", (unsigned long long)outcome.lost_orphans);
    bench_table_cell(table, "%llu", (unsigned long long)outcome.lost_others);
}

int main(int argc, char **argv)
{
    static const char *const headings[] = {"",        "half back s",  "all back s", "attempts",
                                           "tries/s", "attaches/s",   "wait s",     "beats/s",
                                           "mean",    "orphans lost", "others lost"};
    struct parsed parsed = {.help = false};

    tool_report_init("simulate", NULL);
    simulation_options_init(&parsed.options);
    int bad = tool_options_parse(&syntax, argc, argv, set, &parsed);
    if (bad != 0 || parsed.help) {
        return bad != 0 ? bad : tool_options_help(&syntax);
    }
    const struct simulation_options *with = &parsed.options;
    printf(
        "One of %u orchestrators of %u modules dies; its %u modules go to the others, which attach\n"
        "%u a second each. Lease %u ms, beats every %u ms, the death is noticed after %u ms. Peaks\n"
        "are those of one survivor. Seed %llu.\n\n",
        with->orchestrators, with->modules, with->modules / with->orchestrators, with->capacity,
        with->lease_ms, with->interval_ms, with->notice_ms, (unsigned long long)with->seed);
    struct bench_table *table = bench_table_new(headings, 11, 1);
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        print_scenario(table, &scenarios[i], *with);
    }
    bench_table_print(table);
    return tool_flush_stdout();
}

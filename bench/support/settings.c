/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See settings.h. */
#include "support/settings.h"

#include "common/options.h"
#include "common/parse.h"
#include "common/report.h"

#include <stdio.h>
#include <stdlib.h>

enum key {
    KEY_QUICK = 256,
    KEY_RUNS,
    KEY_OUT,
    KEY_STEP
};

static const struct tool_option options[] = {
    {"quick", KEY_QUICK, NULL, "shows that it works, measures nothing"},
    {"runs", KEY_RUNS, "N", "repeats of which the median counts (default 5)"},
    {"out", KEY_OUT, "FOLDER", "where results and the data of plots go (default: nowhere)"},
    {"step", KEY_STEP, "TEXT", "what the progress bar begins with"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

struct parsed {
    struct bench_settings *settings;
    uint32_t runs;
    bool help;
};

static int set(void *user, int key, const char *value)
{
    struct parsed *parsed = user;

    switch (key) {
    case KEY_QUICK: parsed->settings->quick = true; return 0;
    case KEY_RUNS: return tool_parse_u32("runs", value, 1, 1000, &parsed->runs);
    case KEY_OUT: parsed->settings->out = value; return 0;
    case KEY_STEP: parsed->settings->step = value; return 0;
    default: parsed->help = true; return 0;
    }
}

void bench_settings_parse(struct bench_settings *settings, const char *subject, const char *about,
                          int argc, char **argv)
{
    const struct tool_syntax syntax = {
        .usage = "bench_SUBJECT [OPTION...]",
        .about = about,
        .groups = {{"Options", options}},
    };
    struct parsed parsed = {.settings = settings};

    *settings = (struct bench_settings){.subject = subject, .step = ""};
    tool_report_init(subject, NULL);
    int bad = tool_options_parse(&syntax, argc, argv, set, &parsed);
    if (bad != 0 || parsed.help) {
        exit(bad != 0 ? bad : tool_options_help(&syntax));
    }
    settings->runs = parsed.runs != 0 ? parsed.runs : settings->quick ? 1 : BENCH_RUNS;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * settings.h - what every subject is told on its command line: how much to do, and where results and
 * the data of plots go. Read once, by the main thread, before anything else runs.
 */
#ifndef BENCH_SETTINGS_H
#define BENCH_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct bench_settings {
    const char *subject;
    /* Shows that it works, measures nothing: as little as may be of everything. */
    bool quick;
    /* Repeats of which the median counts. */
    unsigned runs;
    /* The folder for results, data and scratch; NULL: only stdout. */
    const char *out;
    /* What the progress bar begins with, such as "3/9"; "" if nothing. */
    const char *step;
};

#define BENCH_RUNS 5

/* Fills *settings; ends the program if the command line is bad or asks for help. */
void bench_settings_parse(struct bench_settings *settings, const char *subject, const char *about,
                          int argc, char **argv);

/* `full`, or `quick` where only little is to be done. */
static inline uint64_t bench_amount(const struct bench_settings *settings, uint64_t full,
                                    uint64_t quick)
{
    return settings->quick ? quick : full;
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * results.h - what a subject measured: for each metric the value of every run, and, where there is
 * a peer, what the peer reached in the same run. The median of the runs counts; a ratio is the median
 * of the ratios of each run. The main thread's. Texts are copied.
 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "support/settings.h"

struct bench_results;

/* Ends the program when memory is out, as adding does. `settings` is borrowed. */
struct bench_results *bench_results_new(const struct bench_settings *settings);

/* One run's value. */
void bench_results_add(struct bench_results *results, const char *metric, const char *unit,
                       double value);

/* One run's value, and the peer's. A metric may have several peers. */
void bench_results_against(struct bench_results *results, const char *metric, const char *unit,
                           double value, const char *peer, double peer_value);

/* A comparison that could not be made, and why. */
void bench_results_skip(struct bench_results *results, const char *metric, const char *peer,
                        const char *why);

/*
 * Prints a table, and writes SUBJECT.json (one object a line) and SUBJECT.md (rows of a table) into
 * the folder "parts" of the settings' output, if there is one. `results` is consumed. Returns the
 * program's exit code.
 */
int bench_results_finish(struct bench_results *results);

/* The median; `values` is put in order. 0 if there are none. */
double bench_median(double *values, unsigned count);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * series.h - data for plots: columns of numbers in FOLDER/data/NAME.dat, which the scripts in
 * bench/plots read. Nothing is written where the settings name no folder. The main thread's.
 */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include "support/histogram.h"
#include "support/settings.h"

#include <pywatt/export.h>

struct bench_series;

/* `heading` names the columns. Returns NULL where nothing is to be written; the others take that. */
struct bench_series *bench_series_new(const struct bench_settings *settings, const char *name,
                                      const char *heading);
void bench_series_line(struct bench_series *series, const char *format, ...) PYWATT_PRINTF(2, 3);
void bench_series_end(struct bench_series *series);

/*
 * A whole distribution, to the 99.99th percentile: 1 / (1 - quantile), the value as it was measured,
 * and corrected for coordinated omission (histogram.h) with `expected`; 0 takes the median. Values
 * are divided by `unit`.
 */
void bench_series_distribution(const struct bench_settings *settings, const char *name,
                               const struct bench_histogram *histogram, uint64_t expected,
                               double unit);

#endif

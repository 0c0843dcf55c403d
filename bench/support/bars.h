/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bars.h - the figures that the library is held to, in one table, which bars.c has. Constant.
 */
#ifndef BENCH_BARS_H
#define BENCH_BARS_H

#include <stdbool.h>
#include <stddef.h>

enum bench_bar_kind {
    BENCH_RATIO_AT_MOST,
    BENCH_RATIO_AT_LEAST,
    BENCH_VALUE_AT_MOST,
    BENCH_VALUE_AT_LEAST
};

struct bench_bar {
    const char *subject;
    const char *metric;
    const char *peer; /* NULL: of the value alone */
    enum bench_bar_kind kind;
    double limit;
};

/* The bar of a result, or NULL if it has none. `peer` may be NULL. */
const struct bench_bar *bench_bar_find(const char *subject, const char *metric, const char *peer);

bool bench_bar_met(const struct bench_bar *bar, double value, double ratio);

/* In words: "ratio <= 1.25". */
void bench_bar_text(const struct bench_bar *bar, char *out, size_t size);

#endif

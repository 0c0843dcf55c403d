/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rounds.h - beats of many modules through pywatt_heartbeat_batch, round after round, the answer to
 * each looked at. One thread at a time.
 */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include "support/crowd.h"
#include "support/far.h"
#include "support/settings.h"

struct bench_rounds {
    struct bench_crowd crowd;
    struct pywatt_beat *beats;
    uint64_t done;
};

/* `coalesce`: beats share messages where codec and orchestrator can; else each has its own. */
void bench_rounds_open(struct bench_rounds *rounds, const char *url, const char *codec,
                       size_t modules, bool coalesce);
void bench_rounds_close(struct bench_rounds *rounds);

/* Beats a second, `size` in a call; the orchestrator must have seen each. */
double bench_rounds_rate(struct bench_rounds *rounds, struct bench_far *far, size_t size,
                         uint64_t time_ns);

/* The rate for calls of 1, 2, 4, ... beats, as the data of a plot. */
void bench_rounds_sweep(const struct bench_settings *settings, struct bench_rounds *rounds,
                        struct bench_far *far, const char *name);

#endif

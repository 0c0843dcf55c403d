/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * metronome.h - a thread that does nothing but wake every so often at absolute times, beside what is
 * measured: how many of its moments it missed is what the machine itself takes away in that run.
 */
#ifndef BENCH_METRONOME_H
#define BENCH_METRONOME_H

#include <stdint.h>

struct bench_metronome;

struct bench_metronome *bench_metronome_start(uint64_t interval_ns);

/* How many moments came so far before which the thread had slept, and how many it had slept through. */
struct bench_metronome_counts {
    uint64_t kept;
    uint64_t missed;
};

struct bench_metronome_counts bench_metronome_look(const struct bench_metronome *metronome);

/* Waits for the thread to end. */
void bench_metronome_stop(struct bench_metronome *metronome);

#endif

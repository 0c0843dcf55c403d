/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * far.h - an orchestrator in a process of its own (orchestrator.c of this folder), so that its
 * processor time and memory can be told apart from the client's. The main thread's.
 */
#ifndef BENCH_FAR_H
#define BENCH_FAR_H

#include "support/sides.h"

struct bench_far;

struct bench_far_options {
    const char *scheme; /* "tcp" or "unix" */
    uint32_t workers;   /* 0: one for each processor */
    uint32_t lease_ms;  /* 0: the default */
    uint32_t modules;   /* at most; 0: the default */
    const char *store;  /* NULL: the default */
};

struct bench_far *bench_far_start(const struct bench_far_options *options);
const char *bench_far_url(const struct bench_far *far);
struct pywatt_orchestrator_stats bench_far_stats(struct bench_far *far);

/* Of the id, name, generation, lease and capabilities of all modules, in any order. */
uint64_t bench_far_digest(struct bench_far *far);
uint64_t bench_far_cpu_ns(const struct bench_far *far);
uint64_t bench_far_resident_bytes(const struct bench_far *far);

/* Ends it, which must go well. */
void bench_far_stop(struct bench_far *far);

#endif

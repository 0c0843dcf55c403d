/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * simulation.h - what happens when one of several orchestrators dies: its modules go to the others,
 * which can take in only so many a second. A simulation of events in time, repeatable from a seed; no
 * clock, no network, no thread.
 *
 * The model. Modules are spread evenly over the orchestrators, which share a store, so that each
 * knows all modules. One orchestrator dies at 0, and its modules, the orphans, notice at once. Each
 * has a connection of its own, goes to a survivor, and has to be attached there, which takes the
 * survivor 1 / capacity of a second; to refuse one takes it a twentieth of that. A survivor works
 * off what came in, one after the other, and beats of its own modules wait behind it. Orphans that
 * are not attached `lease` after the others have noticed the death are declared lost although they
 * live: that is a false loss. So is a survivor's module whose beat waits for too long.
 *
 * Not paced: a survivor takes what its queue has room for and refuses the rest, which then pauses as
 * src/transport/backoff.h says. Paced: a survivor attaches no more than its capacity; whoever comes
 * when it is used up is told in how many milliseconds it may come again, each the time after the one
 * before; and as long as there is such a line, its end puts off the orphans' deadline.
 */
#ifndef BENCH_SIMULATION_H
#define BENCH_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

#define SIMULATION_ORCHESTRATORS_MAX 64u

struct simulation_options {
    uint64_t seed;
    uint32_t modules;
    uint32_t orchestrators; /* before the death; 2 at least */
    uint32_t lease_ms;
    uint32_t interval_ms;  /* of beats */
    uint32_t notice_ms;    /* until the others notice that one is dead */
    uint32_t capacity;     /* attaches a second of each survivor */
    uint32_t queue;        /* attaches that may wait at a survivor that does not pace */
    uint32_t delay_ms;     /* of the reconnect policy */
    uint32_t max_delay_ms; /* the same */
    bool jitter;           /* pauses are random up to their length */
    bool spread;           /* the first attempt comes at a random moment of the first interval */
    bool pacing;
    bool phase;      /* beats begin where the reply says; else when it comes */
    bool same_order; /* all have the same survivor first in their list; else any */
};

/* A million modules, four orchestrators, the library's defaults, nothing switched on. */
void simulation_options_init(struct simulation_options *options);

struct simulation_outcome {
    double back_s;         /* until all are attached */
    double median_s;       /* until half of them are */
    uint64_t attempts;     /* of all orphans together */
    double peak_offered;   /* attempts a second at one survivor, over 100 ms */
    double peak_attached;  /* attaches a second at one survivor, over a second */
    double longest_wait_s; /* of a beat behind the attaches of a survivor */
    uint64_t lost_orphans; /* false losses */
    uint64_t lost_others;  /* false losses */
    double peak_beats;     /* a second at one survivor afterwards, over 100 ms */
    double mean_beats;     /* the same, on average */
};

/* Ends the program when memory is out or an option makes no sense. */
struct simulation_outcome simulation_run(const struct simulation_options *options);

#endif

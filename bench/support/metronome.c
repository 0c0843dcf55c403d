/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See metronome.h. Its thread counts; any other may look. */
#include "support/metronome.h"

#include "support/check.h"
#include "support/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct bench_metronome {
    pthread_t thread;
    uint64_t interval_ns;
    atomic_bool stop;
    _Atomic uint64_t kept;
    _Atomic uint64_t missed;
};

static void *tick(void *user)
{
    struct bench_metronome *metronome = user;
    uint64_t next_ns = bench_now_ns() + metronome->interval_ns;

    while (!atomic_load_explicit(&metronome->stop, memory_order_relaxed)) {
        bench_sleep_until(next_ns);
        const uint64_t missed = (bench_now_ns() - next_ns) / metronome->interval_ns;
        atomic_fetch_add_explicit(&metronome->kept, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&metronome->missed, missed, memory_order_relaxed);
        next_ns += (missed + 1) * metronome->interval_ns;
    }
    return NULL;
}

struct bench_metronome *bench_metronome_start(uint64_t interval_ns)
{
    struct bench_metronome *metronome = calloc(1, sizeof(*metronome));

    bench_check(metronome != NULL, "out of memory");
    metronome->interval_ns = interval_ns;
    bench_check(pthread_create(&metronome->thread, NULL, tick, metronome) == 0, "no thread");
    return metronome;
}

struct bench_metronome_counts bench_metronome_look(const struct bench_metronome *metronome)
{
    return (struct bench_metronome_counts){
        .kept = atomic_load_explicit(&metronome->kept, memory_order_relaxed),
        .missed = atomic_load_explicit(&metronome->missed, memory_order_relaxed),
    };
}

void bench_metronome_stop(struct bench_metronome *metronome)
{
    atomic_store_explicit(&metronome->stop, true, memory_order_relaxed);
    pthread_join(metronome->thread, NULL);
    free(metronome);
}

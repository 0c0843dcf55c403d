/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See ticks.h. */
#include "support/ticks.h"

#include "support/check.h"

void bench_ticks_init(struct bench_ticks *ticks, uint64_t interval_ns, size_t capacity)
{
    *ticks = (struct bench_ticks){.interval_ns = interval_ns, .capacity = capacity};
    ticks->times_ns = calloc(capacity, sizeof(*ticks->times_ns));
    bench_check(ticks->times_ns != NULL, "out of memory");
}

void bench_ticks_destroy(struct bench_ticks *ticks)
{
    free(ticks->times_ns);
}

void bench_ticks_add(struct bench_ticks *ticks, uint64_t now_ns)
{
    if (ticks->count < ticks->capacity) {
        ticks->times_ns[ticks->count++] = now_ns;
    }
}

#define PHASES 100u

/*
 * Where in the interval, counted from the first tick, most ticks are, in hundredths: the punctual
 * ones, since lateness spreads.
 */
static int64_t usual_phase(const struct bench_ticks *ticks)
{
    size_t counts[PHASES] = {0};
    size_t most = 0;

    for (size_t i = 0; i < ticks->count; i++) {
        uint64_t since = (ticks->times_ns[i] - ticks->times_ns[0]) % ticks->interval_ns;
        counts[since * PHASES / ticks->interval_ns]++;
    }
    for (size_t i = 1; i < PHASES; i++) {
        most = counts[i] > counts[most] ? i : most;
    }
    return (int64_t)(most * ticks->interval_ns / PHASES);
}

/*
 * The number of each tick, and, by it, how far each is from where it would be if the usual phase
 * were punctual. Up to a quarter of an interval before that is still the same tick. One so late that
 * it seems to be the next is found out when the next one comes.
 */
static int64_t *offsets_of(const struct bench_ticks *ticks, int64_t *last)
{
    const int64_t interval = (int64_t)ticks->interval_ns;
    const int64_t usual = usual_phase(ticks);
    int64_t *offsets = calloc(ticks->count + 1, sizeof(*offsets));
    int64_t next = INT64_MAX;

    bench_check(offsets != NULL, "out of memory");
    for (size_t i = ticks->count; i-- > 0;) {
        int64_t since = (int64_t)(ticks->times_ns[i] - ticks->times_ns[0]) - usual;
        int64_t number = (since + interval / 4 + interval) / interval - 1;
        number = number < next ? number : next - 1;
        if (i + 1 == ticks->count) {
            *last = number;
        }
        next = number;
        offsets[i] = since - number * interval;
    }
    *last -= next;
    return offsets;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

void bench_ticks_lateness(const struct bench_ticks *ticks, struct bench_histogram *lateness)
{
    int64_t last = 0;
    int64_t *offsets = offsets_of(ticks, &last);

    qsort(offsets, ticks->count, sizeof(*offsets), compare);
    const int64_t punctual = offsets[ticks->count / 100];
    for (size_t i = 0; i < ticks->count; i++) {
        bench_histogram_add(lateness,
                            offsets[i] > punctual ? (uint64_t)(offsets[i] - punctual) : 0);
    }
    free(offsets);
}

uint64_t bench_ticks_last(const struct bench_ticks *ticks)
{
    int64_t last = 0;

    free(offsets_of(ticks, &last));
    return (uint64_t)last;
}

int64_t bench_ticks_drift_ns(const struct bench_ticks *ticks)
{
    const int64_t interval = (int64_t)ticks->interval_ns;
    const size_t quarter = ticks->count / 4;
    int64_t *moved = calloc(ticks->count + 1, sizeof(*moved));

    bench_check(moved != NULL, "out of memory");
    /* From tick to tick, whole intervals aside; what is late once has moved there and back. */
    for (size_t i = 1; i < ticks->count; i++) {
        int64_t step = (int64_t)(ticks->times_ns[i] - ticks->times_ns[i - 1]);
        int64_t whole = (step + interval / 2) / interval;
        moved[i] = moved[i - 1] + step - whole * interval;
    }
    int64_t drift = 0;
    if (quarter > 0) {
        int64_t *end = moved + ticks->count - quarter;
        qsort(moved, quarter, sizeof(*moved), compare);
        qsort(end, quarter, sizeof(*moved), compare);
        drift = end[quarter / 2] - moved[quarter / 2];
    }
    free(moved);
    return drift;
}

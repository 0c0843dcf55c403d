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

/* Which tick the one at `index` is, and how far from where the first one puts it. */
static int64_t offset_of(const struct bench_ticks *ticks, size_t index, uint64_t *number)
{
    const uint64_t since = ticks->times_ns[index] - ticks->times_ns[0];

    *number = (since + ticks->interval_ns / 2) / ticks->interval_ns;
    return (int64_t)(since - *number * ticks->interval_ns);
}

static int64_t least_offset(const struct bench_ticks *ticks, size_t from, size_t until)
{
    int64_t least = INT64_MAX;

    for (size_t i = from; i < until; i++) {
        uint64_t number;
        int64_t offset = offset_of(ticks, i, &number);
        least = offset < least ? offset : least;
    }
    return least;
}

void bench_ticks_lateness(const struct bench_ticks *ticks, struct bench_histogram *lateness)
{
    const int64_t punctual = least_offset(ticks, 0, ticks->count);

    for (size_t i = 0; i < ticks->count; i++) {
        uint64_t number;
        bench_histogram_add(lateness, (uint64_t)(offset_of(ticks, i, &number) - punctual));
    }
}

int64_t bench_ticks_drift_ns(const struct bench_ticks *ticks)
{
    const size_t quarter = ticks->count / 4;

    if (quarter == 0) {
        return 0;
    }
    return least_offset(ticks, ticks->count - quarter, ticks->count) -
           least_offset(ticks, 0, quarter);
}

uint64_t bench_ticks_last(const struct bench_ticks *ticks)
{
    uint64_t number = 0;

    if (ticks->count > 0) {
        offset_of(ticks, ticks->count - 1, &number);
    }
    return number;
}

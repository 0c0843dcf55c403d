/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See simulation.h. Times are nanoseconds since the death. */
#include "simulation/simulation.h"

#include "simulation/events.h"
#include "support/check.h"
#include "transport/backoff.h"

#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* For how beats wait, and for the rates. */
#define BIN_NS (10 * NS_PER_MS)
#define RATE_BINS 10u /* in 100 ms */

/* What one can still attach at once after a pause, and how far apart paced ones come back. */
#define BURST_S 0.05
#define PACED_JITTER_NS (50 * NS_PER_MS)
#define NOTICE_JITTER_NS (10 * NS_PER_MS)
#define REFUSAL_PART 20u

/* Nobody waits for longer; bins beyond are not counted. */
#define HORIZON_S 3600u
#define BINS (HORIZON_S * 100u)

struct survivor {
    uint64_t free_at_ns; /* when it has worked off what came in */
    double tokens;       /* attaches that it may still take in at once */
    uint64_t filled_at_ns;
    uint64_t line_end_ns; /* the last time that somebody was told to come again */
    uint64_t attached;
    uint32_t *offered;        /* by bin */
    uint32_t *attached_in;    /* by bin */
    uint64_t *free_at_by_bin; /* the latest free_at_ns that was set in it */
};

struct orphan {
    struct pw_backoff backoff;
    uint64_t attached_ns;
    uint64_t phase_ns;
    uint32_t survivor;
};

struct simulation {
    const struct simulation_options *options;
    uint64_t random;
    uint64_t service_ns;
    uint32_t survivor_count;
    uint32_t orphan_count;
    struct survivor survivors[SIMULATION_ORCHESTRATORS_MAX];
    struct orphan *orphans;
    struct events events;
    uint64_t attempts;
};

void simulation_options_init(struct simulation_options *options)
{
    *options = (struct simulation_options){
        .seed = 1,
        .modules = 1000000,
        .orchestrators = 4,
        .lease_ms = 15000,
        .interval_ms = 5000,
        .notice_ms = 5000,
        .capacity = 5000,
        .queue = 10000,
        .delay_ms = 200,
        .max_delay_ms = 30000,
    };
}

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static uint64_t below(struct simulation *simulation, uint64_t limit)
{
    return next_random(&simulation->random) % limit;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static size_t bin_of(uint64_t time_ns)
{
    return time_ns / BIN_NS < BINS ? (size_t)(time_ns / BIN_NS) : BINS - 1;
}

/* ---- One attempt ---------------------------------------------------------------------------- */

static void work_ns(struct survivor *survivor, uint64_t now_ns, uint64_t work_ns)
{
    uint64_t *by_bin = &survivor->free_at_by_bin[bin_of(now_ns)];

    survivor->free_at_ns = later(survivor->free_at_ns, now_ns) + work_ns;
    *by_bin = later(*by_bin, survivor->free_at_ns);
}

static void attach(struct simulation *simulation, struct orphan *orphan, struct survivor *survivor,
                   uint64_t now_ns)
{
    const uint64_t interval_ns = simulation->options->interval_ms * NS_PER_MS;

    work_ns(survivor, now_ns, simulation->service_ns);
    orphan->attached_ns = survivor->free_at_ns;
    survivor->attached_in[bin_of(survivor->free_at_ns)]++;
    survivor->attached++;
    if (simulation->options->phase) {
        /* Steps of the golden section: however many there are, they lie evenly. */
        const uint32_t step = (uint32_t)survivor->attached * UINT32_C(2654435769);
        orphan->phase_ns = (uint64_t)((double)step / 4294967296.0 * (double)interval_ns);
    } else {
        orphan->phase_ns = orphan->attached_ns % interval_ns;
    }
}

/* In how long one that was refused by a survivor that does not pace comes again. */
static uint64_t pause_ns(const struct simulation_options *options, struct orphan *orphan)
{
    uint32_t pause_ms = 0;

    if (options->jitter) {
        pw_backoff_failed(&orphan->backoff, &pause_ms);
        return pause_ms * NS_PER_MS;
    }
    /* The same pauses without their randomness. */
    uint64_t longest_ms = options->delay_ms;
    for (uint32_t i = 0; i < orphan->backoff.attempts && longest_ms < options->max_delay_ms; i++) {
        longest_ms *= 2;
    }
    orphan->backoff.attempts++;
    return (longest_ms < options->max_delay_ms ? longest_ms : options->max_delay_ms) * NS_PER_MS;
}

/* True if it is attached; else *again_ns is when it comes again. */
static bool attempt_unpaced(struct simulation *simulation, struct orphan *orphan,
                            struct survivor *survivor, uint64_t now_ns, uint64_t *again_ns)
{
    const uint64_t waiting_ns = survivor->free_at_ns > now_ns ? survivor->free_at_ns - now_ns : 0;

    if (waiting_ns / simulation->service_ns < simulation->options->queue) {
        attach(simulation, orphan, survivor, now_ns);
        return true;
    }
    work_ns(survivor, now_ns, simulation->service_ns / REFUSAL_PART);
    *again_ns = now_ns + pause_ns(simulation->options, orphan);
    return false;
}

static bool attempt_paced(struct simulation *simulation, struct orphan *orphan,
                          struct survivor *survivor, uint64_t now_ns, uint64_t *again_ns)
{
    const double rate = simulation->options->capacity;
    const double burst = rate * BURST_S > 1 ? rate * BURST_S : 1;

    survivor->tokens += (double)(now_ns - survivor->filled_at_ns) / (double)NS_PER_S * rate;
    survivor->tokens = survivor->tokens < burst ? survivor->tokens : burst;
    survivor->filled_at_ns = now_ns;
    if (survivor->tokens >= 1) {
        survivor->tokens -= 1;
        attach(simulation, orphan, survivor, now_ns);
        return true;
    }
    work_ns(survivor, now_ns, simulation->service_ns / REFUSAL_PART);
    survivor->line_end_ns = later(survivor->line_end_ns, now_ns) + simulation->service_ns;
    const uint64_t retry_after_ms = (survivor->line_end_ns - now_ns) / NS_PER_MS + 1;
    *again_ns = now_ns + retry_after_ms * NS_PER_MS;
    if (simulation->options->jitter) {
        *again_ns += below(simulation, PACED_JITTER_NS);
    }
    return false;
}

static void attempt(struct simulation *simulation, const struct event *event)
{
    struct orphan *orphan = &simulation->orphans[event->who];
    struct survivor *survivor = &simulation->survivors[orphan->survivor];
    uint64_t again_ns = 0;

    simulation->attempts++;
    survivor->offered[bin_of(event->time_ns)]++;
    bool attached = (simulation->options->pacing ? attempt_paced : attempt_unpaced)(
        simulation, orphan, survivor, event->time_ns, &again_ns);
    if (!attached) {
        events_add(&simulation->events, (struct event){again_ns, event->who});
    }
}

/* ---- What came of it ------------------------------------------------------------------------ */

/* The most in so many bins in a row, as a rate a second. */
static double peak(const uint32_t *counts, size_t bins)
{
    uint64_t now = 0;
    uint64_t most = 0;

    for (size_t i = 0; i < BINS; i++) {
        now += counts[i];
        now -= i >= bins ? counts[i - bins] : 0;
        most = later(most, now);
    }
    return (double)most * 100.0 / (double)bins;
}

/*
 * Beats of a survivor's own modules come evenly; each waits behind the work that is there. Counts
 * those between two of whose beats the lease runs out.
 */
static void judge_others(const struct simulation *simulation, const struct survivor *survivor,
                         struct simulation_outcome *outcome)
{
    const struct simulation_options *options = simulation->options;
    const size_t period = options->interval_ms * NS_PER_MS / BIN_NS;
    const double modules = (double)(options->modules / options->orchestrators) / (double)period;
    uint64_t *waits_ns = calloc(BINS, sizeof(*waits_ns));
    uint64_t free_at_ns = 0;
    double lost = 0;

    bench_check(waits_ns != NULL, "out of memory");
    for (size_t i = 0; i < BINS; i++) {
        const uint64_t now_ns = i * BIN_NS;
        free_at_ns = later(free_at_ns, survivor->free_at_by_bin[i]);
        waits_ns[i] = free_at_ns > now_ns ? free_at_ns - now_ns : 0;
        const double wait_s = (double)waits_ns[i] / (double)NS_PER_S;
        outcome->longest_wait_s =
            wait_s > outcome->longest_wait_s ? wait_s : outcome->longest_wait_s;
    }
    for (size_t phase = 0; phase < period; phase++) {
        uint64_t before_ns = 0;
        for (size_t i = phase; i < BINS; i += period) {
            if (options->interval_ms * NS_PER_MS + waits_ns[i] >
                options->lease_ms * NS_PER_MS + before_ns) {
                lost += modules;
                break;
            }
            before_ns = waits_ns[i];
        }
    }
    outcome->lost_others += (uint64_t)lost;
    free(waits_ns);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void judge_orphans(const struct simulation *simulation, struct simulation_outcome *outcome)
{
    const struct simulation_options *options = simulation->options;
    const uint64_t lease_ns = options->lease_ms * NS_PER_MS;
    uint64_t *times_ns = calloc(simulation->orphan_count, sizeof(*times_ns));

    bench_check(times_ns != NULL, "out of memory");
    for (uint32_t i = 0; i < simulation->orphan_count; i++) {
        const struct orphan *orphan = &simulation->orphans[i];
        uint64_t from_ns = options->notice_ms * NS_PER_MS;
        if (options->pacing) {
            from_ns = later(from_ns, simulation->survivors[orphan->survivor].line_end_ns);
        }
        outcome->lost_orphans += orphan->attached_ns > from_ns + lease_ns ? 1 : 0;
        times_ns[i] = orphan->attached_ns;
    }
    qsort(times_ns, simulation->orphan_count, sizeof(*times_ns), compare);
    outcome->back_s = (double)times_ns[simulation->orphan_count - 1] / (double)NS_PER_S;
    outcome->median_s = (double)times_ns[simulation->orphan_count / 2] / (double)NS_PER_S;
    free(times_ns);
}

/* Beats a second at the busiest survivor once all are back; its own modules' come evenly. */
static void judge_beats(const struct simulation *simulation, struct simulation_outcome *outcome)
{
    const struct simulation_options *options = simulation->options;
    const size_t period = options->interval_ms * NS_PER_MS / (BIN_NS * RATE_BINS);
    const double interval_s = options->interval_ms / 1000.0;
    const double own = (double)(options->modules / options->orchestrators) / interval_s;

    for (uint32_t s = 0; s < simulation->survivor_count; s++) {
        uint32_t *counts = calloc(period, sizeof(*counts));
        bench_check(counts != NULL, "out of memory");
        for (uint32_t i = 0; i < simulation->orphan_count; i++) {
            const struct orphan *orphan = &simulation->orphans[i];
            if (orphan->survivor == s) {
                counts[orphan->phase_ns / (BIN_NS * RATE_BINS) % period]++;
            }
        }
        for (size_t i = 0; i < period; i++) {
            const double rate = own + counts[i] * 10.0;
            outcome->peak_beats = rate > outcome->peak_beats ? rate : outcome->peak_beats;
        }
        const double mean = own + (double)simulation->survivors[s].attached / interval_s;
        outcome->mean_beats = mean > outcome->mean_beats ? mean : outcome->mean_beats;
        free(counts);
    }
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void begin(struct simulation *simulation)
{
    const struct simulation_options *options = simulation->options;

    for (uint32_t s = 0; s < simulation->survivor_count; s++) {
        struct survivor *survivor = &simulation->survivors[s];
        survivor->offered = calloc(BINS, sizeof(*survivor->offered));
        survivor->attached_in = calloc(BINS, sizeof(*survivor->attached_in));
        survivor->free_at_by_bin = calloc(BINS, sizeof(*survivor->free_at_by_bin));
        bench_check(survivor->offered != NULL && survivor->attached_in != NULL &&
                        survivor->free_at_by_bin != NULL,
                    "out of memory");
    }
    simulation->orphans = calloc(simulation->orphan_count, sizeof(*simulation->orphans));
    bench_check(simulation->orphans != NULL, "out of memory");
    events_init(&simulation->events, simulation->orphan_count);
    for (uint32_t i = 0; i < simulation->orphan_count; i++) {
        struct orphan *orphan = &simulation->orphans[i];
        uint64_t first_ns = below(simulation, NOTICE_JITTER_NS);
        if (options->spread) {
            first_ns += below(simulation, options->interval_ms * NS_PER_MS);
        }
        orphan->survivor =
            options->same_order ? 0 : (uint32_t)below(simulation, simulation->survivor_count);
        pw_backoff_init(&orphan->backoff, PW_BACKOFF_EXPONENTIAL, options->delay_ms,
                        options->max_delay_ms, 0, next_random(&simulation->random) | 1);
        events_add(&simulation->events, (struct event){first_ns, i});
    }
}

static void end(struct simulation *simulation)
{
    for (uint32_t s = 0; s < simulation->survivor_count; s++) {
        free(simulation->survivors[s].offered);
        free(simulation->survivors[s].attached_in);
        free(simulation->survivors[s].free_at_by_bin);
    }
    free(simulation->orphans);
    events_destroy(&simulation->events);
}

struct simulation_outcome simulation_run(const struct simulation_options *options)
{
    struct simulation simulation = {.options = options, .random = options->seed};
    struct simulation_outcome outcome = {.back_s = 0};
    struct event event;

    bench_check(options->orchestrators >= 2 &&
                    options->orchestrators <= SIMULATION_ORCHESTRATORS_MAX,
                "2 to %u orchestrators", SIMULATION_ORCHESTRATORS_MAX);
    bench_check(options->modules >= options->orchestrators && options->capacity > 0 &&
                    options->queue > 0 && options->interval_ms >= 100 &&
                    options->lease_ms > options->interval_ms,
                "modules, capacity and queue of at least one each; a lease longer than an interval "
                "of at least 100 ms");
    simulation.service_ns = NS_PER_S / options->capacity;
    simulation.survivor_count = options->orchestrators - 1;
    simulation.orphan_count = options->modules / options->orchestrators;
    begin(&simulation);
    while (events_take(&simulation.events, &event)) {
        attempt(&simulation, &event);
    }
    outcome.attempts = simulation.attempts;
    judge_orphans(&simulation, &outcome);
    judge_beats(&simulation, &outcome);
    for (uint32_t s = 0; s < simulation.survivor_count; s++) {
        const struct survivor *survivor = &simulation.survivors[s];
        const double offered = peak(survivor->offered, RATE_BINS);
        const double attached = peak(survivor->attached_in, 100);
        outcome.peak_offered = offered > outcome.peak_offered ? offered : outcome.peak_offered;
        outcome.peak_attached = attached > outcome.peak_attached ? attached : outcome.peak_attached;
        judge_others(&simulation, survivor, &outcome);
    }
    end(&simulation);
    return outcome;
}

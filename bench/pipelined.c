/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pipelined: how many heartbeats a second one client gets answered when it keeps many under way for
 * 10,000 modules, in random order, with an orchestrator in a process of its own; in turns with
 * redis-benchmark. Every answer is looked at, on the client's dispatcher thread; what it counts is
 * atomic.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/crowd.h"
#include "support/far.h"
#include "support/progress.h"
#include "support/redis.h"
#include "support/results.h"
#include "support/series.h"

#include <semaphore.h>
#include <stdatomic.h>

#define WINDOW 4096u
#define CODECS 2

static const char *const codecs[CODECS] = {"json", "protobuf"};

/*
 * The sender sleeps when the window is full, until half of it is empty: one wake-up for many
 * answers.
 */
struct pipeline {
    unsigned long long sent; /* the sender's */
    atomic_ullong answered;
    atomic_ullong wake_at; /* answers; sequentially consistent with `answered` */
    sem_t wake;
};

/* One beat under way. */
struct slot {
    struct pipeline *pipeline;
    enum pywatt_health health;
    atomic_bool free;
};

/* A client and its modules. */
struct crowd {
    struct pipeline pipeline;
    struct bench_crowd all;
    size_t at;
};

static void on_answer(void *user, enum pywatt_status status, const struct pywatt_error *error,
                      enum pywatt_health verdict)
{
    struct slot *slot = user;

    bench_check_ok(status, error);
    bench_check(verdict == slot->health, "reported %s, answered %s",
                pywatt_health_name(slot->health), pywatt_health_name(verdict));
    struct pipeline *pipeline = slot->pipeline;
    atomic_store_explicit(&slot->free, true, memory_order_release);
    if (atomic_fetch_add(&pipeline->answered, 1) + 1 == atomic_load(&pipeline->wake_at)) {
        sem_post(&pipeline->wake);
    }
}

static void wait_for_answers(struct pipeline *pipeline, unsigned long long wanted)
{
    atomic_store(&pipeline->wake_at, wanted);
    while (atomic_load(&pipeline->answered) < wanted) {
        sem_wait(&pipeline->wake); /* or a signal, or an answer that was seen above already */
    }
}

/* Beats a second, with `window` under way at most. */
static double measure(struct crowd *crowd, unsigned window, uint64_t time_ns)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct slot *slots = calloc(window, sizeof(*slots));
    struct pipeline *pipeline = &crowd->pipeline;
    const unsigned long long first = pipeline->sent;
    size_t at = 0;

    bench_check(slots != NULL, "out of memory");
    for (unsigned i = 0; i < window; i++) {
        slots[i] = (struct slot){.pipeline = pipeline, .free = true};
    }
    uint64_t began = bench_now_ns();
    do {
        if (pipeline->sent - atomic_load(&pipeline->answered) >= window) {
            wait_for_answers(pipeline, pipeline->sent - window / 2);
        }
        /* Answers come in nearly the order of the beats, so the next slot is nearly always it. */
        while (!atomic_load_explicit(&slots[at].free, memory_order_acquire)) {
            at = (at + 1) % window;
        }
        slots[at].health = (enum pywatt_health)(pipeline->sent % 3);
        atomic_store_explicit(&slots[at].free, false, memory_order_relaxed);
        struct pywatt_module *module = crowd->all.modules[crowd->at];
        crowd->at = (crowd->at + 1) % crowd->all.count;
        bench_check_ok(
            pywatt_heartbeat_async(module, slots[at].health, NULL, on_answer, &slots[at], &error),
            &error);
        pipeline->sent++;
    } while (pipeline->sent % 64 != 0 || bench_now_ns() - began < time_ns);
    wait_for_answers(pipeline, pipeline->sent);
    uint64_t took = bench_now_ns() - began;
    bench_check(atomic_load(&pipeline->answered) == pipeline->sent, "an answer too many");
    free(slots);
    return (double)(pipeline->sent - first) * (double)BENCH_NS_PER_S / (double)took;
}

/* The windows of one codec, for the plot. */
static void sweep(const struct bench_settings *settings, struct crowd *crowd, const char *codec)
{
    char name[64];

    snprintf(name, sizeof(name), "batch-pipelined-%s", codec);
    struct bench_series *series = bench_series_new(settings, name, "under-way beats/s");
    const unsigned last = (unsigned)bench_amount(settings, 13, 2);
    for (unsigned shift = 0; series != NULL && shift <= last; shift++) {
        unsigned window = 1u << shift;
        bench_progress(settings, shift, last + 1, "batch sizes");
        bench_series_line(series, "%u %.0f", window,
                          measure(crowd, window, bench_amount(settings, 300, 5) * BENCH_NS_PER_MS));
    }
    bench_series_end(series);
}

static void sweep_redis(const struct bench_settings *settings, struct bench_redis *redis)
{
    struct bench_series *series =
        bench_series_new(settings, "batch-redis-expire", "pipeline commands/s");
    const unsigned last = (unsigned)bench_amount(settings, 10, 2);

    for (unsigned shift = 0; series != NULL && shift <= last; shift++) {
        unsigned pipeline = 1u << shift;
        unsigned long requests = bench_amount(settings, 20000 + 10000ul * pipeline, 1000);
        requests = requests < 600000 ? requests : 600000;
        bench_progress(settings, shift, last + 1, "batch sizes of redis");
        bench_series_line(series, "%u %.0f", pipeline * 50,
                          bench_redis_rate(redis, BENCH_REDIS_EXPIRE, requests, pipeline));
    }
    bench_series_end(series);
}

static void open_crowd(struct crowd *crowd, const char *url, const char *codec, size_t count)
{
    sem_init(&crowd->pipeline.wake, 0, 0);
    bench_crowd_open(&crowd->all, url, codec, count);
}

static void close_crowd(struct crowd *crowd)
{
    bench_crowd_close(&crowd->all); /* after which no answer wakes anybody */
    sem_destroy(&crowd->pipeline.wake);
}

static void run(const struct bench_settings *settings, struct bench_results *results,
                struct crowd crowds[CODECS], struct bench_redis *redis)
{
    const uint64_t time_ns = bench_amount(settings, 1500, 20) * BENCH_NS_PER_MS;
    const unsigned long requests = bench_amount(settings, 1500000, 5000);
    double rates[CODECS];

    for (unsigned c = 0; c < CODECS; c++) {
        char metric[32];
        rates[c] = measure(&crowds[c], WINDOW, time_ns);
        snprintf(metric, sizeof(metric), "beats %s", codecs[c]);
        if (redis == NULL) {
            bench_results_add(results, metric, "/s", rates[c]);
        }
    }
    if (redis != NULL) {
        bench_results_against(results, "beats json", "/s", rates[0], "redis SET EX 30",
                              bench_redis_rate(redis, BENCH_REDIS_SET, requests, 100));
        bench_results_against(results, "beats protobuf", "/s", rates[1], "redis EXPIRE",
                              bench_redis_rate(redis, BENCH_REDIS_EXPIRE, requests, 100));
    }
}

int main(int argc, char **argv)
{
    struct bench_settings settings;
    static struct crowd crowds[CODECS];
    const char *why = NULL;

    bench_settings_parse(&settings, "pipelined", "Rate of heartbeats with many under way.", argc,
                         argv);
    const size_t modules = bench_amount(&settings, 10000, 50);
    struct bench_results *results = bench_results_new(&settings);
    struct bench_redis *redis = bench_redis_start(&why);
    struct bench_far *far =
        bench_far_start(&(struct bench_far_options){.scheme = "tcp", .lease_ms = 3600000});
    if (redis == NULL) {
        bench_results_skip(results, "beats protobuf", "redis EXPIRE", why);
        bench_results_skip(results, "beats json", "redis SET EX 30", why);
    }
    for (unsigned c = 0; c < CODECS; c++) {
        bench_progress(&settings, 0, settings.runs, "registering");
        open_crowd(&crowds[c], bench_far_url(far), codecs[c], modules);
        measure(&crowds[c], WINDOW, bench_amount(&settings, 300, 1) * BENCH_NS_PER_MS);
    }
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "beats, and redis");
        run(&settings, results, crowds, redis);
    }
    for (unsigned c = 0; c < CODECS; c++) {
        sweep(&settings, &crowds[c], codecs[c]);
        close_crowd(&crowds[c]);
    }
    if (redis != NULL) {
        sweep_redis(&settings, redis);
    }
    bench_far_stop(far);
    bench_redis_stop(redis);
    return bench_results_finish(results);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * threads: 64 threads that share one client, each with a module of its own and one blocking beat
 * after the other, beside one such thread; whether one of them starves; and 64 callers of the peers.
 * Threads count for themselves; the main thread starts and stops them.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/far.h"
#include "support/peer.h"
#include "support/progress.h"
#include "support/results.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define THREADS_MAX 64

struct stage {
    atomic_bool ends;
    pthread_barrier_t start;
    void (*call)(void *self, uint64_t count);
};

struct worker {
    struct stage *stage;
    pthread_t thread;
    void *self;
    uint64_t count;
    char apart[64]; /* counts of two threads do not share a cache line */
};

static void *work(void *user)
{
    struct worker *worker = user;
    struct stage *stage = worker->stage;
    uint64_t count = 0;

    pthread_barrier_wait(&stage->start);
    while (!atomic_load_explicit(&stage->ends, memory_order_relaxed)) {
        stage->call(worker->self, count++);
    }
    worker->count = count;
    return NULL;
}

struct outcome {
    double rate; /* of all together */
    double slowest;
    double fastest;
};

static struct outcome measure(void (*call)(void *, uint64_t), void *const *selves, unsigned count,
                              uint64_t time_ns)
{
    static struct worker workers[THREADS_MAX];
    struct stage stage = {.call = call};
    struct outcome outcome = {0, 1e300, 0};

    pthread_barrier_init(&stage.start, NULL, count + 1);
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){.stage = &stage, .self = selves[i]};
        bench_check(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0,
                    "no thread is left");
    }
    pthread_barrier_wait(&stage.start);
    uint64_t began = bench_now_ns();
    bench_sleep_until(began + time_ns);
    atomic_store(&stage.ends, true);
    double seconds = (double)(bench_now_ns() - began) / (double)BENCH_NS_PER_S;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        double rate = (double)workers[i].count / seconds;
        outcome.rate += rate;
        outcome.slowest = rate < outcome.slowest ? rate : outcome.slowest;
        outcome.fastest = rate > outcome.fastest ? rate : outcome.fastest;
    }
    pthread_barrier_destroy(&stage.start);
    return outcome;
}

static void beat(void *self, uint64_t count)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_health health = (enum pywatt_health)(count % 3);
    enum pywatt_health verdict = (enum pywatt_health)((count + 1) % 3);

    bench_check_ok(pywatt_heartbeat(self, health, NULL, &verdict, &error), &error);
    bench_check(verdict == health, "a wrong answer");
}

static void call_peer(void *self, uint64_t count)
{
    (void)count;
    bench_caller_call(self);
}

struct others {
    struct bench_peer *peer;
    void *callers[THREADS_MAX];
};

static void open_others(struct others *others, const char *name, struct bench_results *results)
{
    const char *why = NULL;

    others->peer = bench_peer_start(name, &why);
    if (others->peer == NULL) {
        bench_results_skip(results, "beats, 64 threads", name, why);
        return;
    }
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        others->callers[i] = bench_caller_open(others->peer);
    }
}

static void close_others(struct others *others)
{
    for (unsigned i = 0; i < THREADS_MAX && others->peer != NULL; i++) {
        bench_caller_close(others->callers[i]);
    }
    bench_peer_stop(others->peer);
}

int main(int argc, char **argv)
{
    static const char *const codec = "protobuf";
    struct bench_settings settings;
    void *modules[THREADS_MAX];
    static struct others others[8];

    bench_settings_parse(&settings, "threads", "64 blocking threads of one client.", argc, argv);
    const uint64_t time_ns = bench_amount(&settings, 1500, 50) * BENCH_NS_PER_MS;
    struct bench_results *results = bench_results_new(&settings);
    struct bench_far *far = bench_far_start(&(struct bench_far_options){.scheme = "tcp"});
    for (unsigned i = 0; bench_peer_names[i] != NULL; i++) {
        open_others(&others[i], bench_peer_names[i], results);
    }
    struct pywatt_client *client = bench_open_client(bench_far_url(far), codec);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        modules[i] = bench_register(client, "thread", i);
    }
    measure(beat, modules, THREADS_MAX, time_ns / 5); /* warms up */
    for (unsigned run = 0; run < settings.runs; run++) {
        bench_progress(&settings, run, settings.runs, "1 thread, 64 threads, peers");
        struct outcome one = measure(beat, modules, 1, time_ns);
        struct outcome many = measure(beat, modules, THREADS_MAX, time_ns);
        bench_results_against(results, "beats, 64 threads", "/s", many.rate, "1 thread", one.rate);
        bench_results_against(results, "slowest thread", "/s", many.slowest, "fastest thread",
                              many.fastest);
        for (unsigned i = 0; bench_peer_names[i] != NULL; i++) {
            if (others[i].peer != NULL) {
                struct outcome peer = measure(call_peer, others[i].callers, THREADS_MAX, time_ns);
                bench_results_against(results, "beats, 64 threads", "/s", many.rate,
                                      bench_peer_call_name(others[i].peer), peer.rate);
            }
        }
    }
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        bench_unregister(modules[i]);
    }
    pywatt_client_free(client);
    for (unsigned i = 0; bench_peer_names[i] != NULL; i++) {
        close_others(&others[i]);
    }
    bench_far_stop(far);
    return bench_results_finish(results);
}

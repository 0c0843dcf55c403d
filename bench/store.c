/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store: registrations that are on the disk before they are answered, many under way at once and one at
 * a time, with an orchestrator in a process of its own; and how long that takes from its start until
 * it listens, with all of them and their capabilities in its store. After each start the modules are
 * counted, and then, outside of what is measured, all are compared with what they were: id, name,
 * generation, lease and capabilities; and each beats with its token.
 *
 * One at a time is set beside what the disk itself can do: the same bytes are written into a file that
 * has its blocks already, each time followed by fdatasync(2).
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/driver.h"
#include "support/far.h"
#include "support/folder.h"
#include "support/progress.h"
#include "support/results.h"
#include "support/shuffle.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* What a registration adds to the log: three pages, each with a header. */
#define COMMIT_BYTES (3 * (4096 + 24))
#define RAW_FILE_BYTES (16 << 20)

#define CONNECTIONS 4

struct world {
    const struct bench_settings *settings;
    struct bench_results *results;
    char folder[512];
    char store[600];
    uint64_t digest; /* of all modules, when it was ended last */
};

static struct bench_far *start(const struct world *world, size_t modules)
{
    struct bench_far *far =
        bench_far_start(&(struct bench_far_options){.scheme = "tcp", .store = world->store});
    const uint64_t found = bench_far_stats(far).modules;

    bench_check(found == modules, "%llu of %zu modules are there", (unsigned long long)found,
                modules);
    return far;
}

static void stop(struct world *world, struct bench_far *far)
{
    world->digest = bench_far_digest(far);
    bench_far_stop(far);
}

static void expect_as_they_were(const struct world *world, struct bench_far *far)
{
    bench_check(bench_far_digest(far) == world->digest, "the modules are not those that they were");
}

/* One connection, with up to 256 registrations under way. */
struct arrival {
    const char *url;
    const char *codec;
    size_t first;
    size_t count;
    struct bench_driver *driver;
    pthread_t thread;
};

static void *arrive(void *user)
{
    struct arrival *arrival = user;

    arrival->driver =
        bench_driver_open(arrival->url, arrival->codec, arrival->count, arrival->first);
    bench_driver_register(arrival->driver, arrival->count);
    return NULL;
}

struct many {
    double rate;                               /* registrations a second */
    double cpu_us;                             /* the orchestrator's processor time of one */
    struct bench_driver *drivers[CONNECTIONS]; /* the caller's, with the modules */
};

/* What they advertise is in the store afterwards, but not in what was measured. */
static struct many many_at_once(struct bench_far *far, const char *codec, size_t count)
{
    struct arrival arrivals[CONNECTIONS];
    const size_t share = count / CONNECTIONS;

    uint64_t cpu_began = bench_far_cpu_ns(far);
    uint64_t began = bench_now_ns();
    for (size_t i = 0; i < CONNECTIONS; i++) {
        arrivals[i] = (struct arrival){
            .url = bench_far_url(far), .codec = codec, .first = i * share, .count = share};
        bench_check(pthread_create(&arrivals[i].thread, NULL, arrive, &arrivals[i]) == 0,
                    "no thread is left");
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        pthread_join(arrivals[i].thread, NULL);
    }
    uint64_t took = bench_now_ns() - began;
    struct many many = {
        .rate = (double)count * (double)BENCH_NS_PER_S / (double)took,
        .cpu_us = (double)(bench_far_cpu_ns(far) - cpu_began) / 1e3 / (double)count,
    };
    for (size_t i = 0; i < CONNECTIONS; i++) {
        bench_driver_advertise(arrivals[i].driver);
        many.drivers[i] = arrivals[i].driver;
    }
    return many;
}

static void close_drivers(const struct many *many)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        bench_driver_close(many->drivers[i]);
    }
}

/* Each of them with its token, in the generation that it had. */
static void all_beat(const struct many *many, struct bench_far *far)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        const size_t count = bench_driver_count(many->drivers[i]);
        uint32_t *order = bench_shuffled(count, i);
        bench_driver_move(many->drivers[i], bench_far_url(far));
        bench_driver_beat(many->drivers[i], order, count, BENCH_DRIVER_BATCH, NULL);
        free(order);
    }
}

/* The same kept in memory: what all but the store takes. */
static struct many many_in_memory(const char *codec, size_t count)
{
    struct bench_far *far = bench_far_start(&(struct bench_far_options){.scheme = "tcp"});
    const struct many many = many_at_once(far, codec, count);

    close_drivers(&many);
    bench_far_stop(far);
    return many;
}

/* Registrations a second of one caller that waits for each. */
static double one_at_a_time(const char *url, size_t count)
{
    struct pywatt_client *client = bench_open_client(url, "protobuf");
    struct pywatt_module **modules = calloc(count, sizeof(struct pywatt_module *));

    bench_check(modules != NULL, "out of memory");
    uint64_t began = bench_now_ns();
    for (size_t i = 0; i < count; i++) {
        modules[i] = bench_register(client, "single", i);
    }
    uint64_t took = bench_now_ns() - began;
    for (size_t i = 0; i < count; i++) {
        pywatt_module_free(modules[i]);
    }
    pywatt_client_free(client);
    free(modules);
    return (double)count * (double)BENCH_NS_PER_S / (double)took;
}

/* The same number of writes, by nobody who registers anything. */
static double raw(const struct world *world, size_t count)
{
    static char bytes[COMMIT_BYTES];
    char path[600];

    snprintf(path, sizeof(path), "%s/raw", world->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bench_check(fd >= 0, "%s: %s", path, strerror(errno));
    for (off_t at = 0; at < RAW_FILE_BYTES; at += COMMIT_BYTES) {
        bench_check(pwrite(fd, bytes, sizeof(bytes), at) == COMMIT_BYTES, "%s", strerror(errno));
    }
    bench_check(fsync(fd) == 0, "%s", strerror(errno));
    uint64_t began = bench_now_ns();
    for (size_t i = 0; i < count; i++) {
        off_t at = (off_t)(i * COMMIT_BYTES % (RAW_FILE_BYTES - COMMIT_BYTES));
        bench_check(pwrite(fd, bytes, sizeof(bytes), at) == COMMIT_BYTES && fdatasync(fd) == 0,
                    "%s", strerror(errno));
    }
    uint64_t took = bench_now_ns() - began;
    close(fd);
    unlink(path);
    return (double)count * (double)BENCH_NS_PER_S / (double)took;
}

/* Leaves `count` modules in the store, which are those of the result's drivers. */
static struct many measure_many(struct world *world, const char *codec, size_t count)
{
    char metric[64];

    struct bench_far *far = start(world, 0);
    const struct many kept = many_at_once(far, codec, count);
    stop(world, far);
    const struct many in_memory = many_in_memory(codec, count);
    snprintf(metric, sizeof(metric), "registrations %s, many at once", codec);
    bench_results_add(world->results, metric, "/s", kept.rate);
    snprintf(metric, sizeof(metric), "processor time %s", codec);
    bench_results_against(world->results, metric, "us", kept.cpu_us, "in memory", in_memory.cpu_us);
    return kept;
}

static void measure_one_by_one(struct world *world, const struct many *kept, size_t present,
                               size_t count)
{
    uint64_t began = bench_now_ns();
    struct bench_far *far = start(world, present);
    double ready_ms = (double)(bench_now_ns() - began) / 1e6;
    expect_as_they_were(world, far);
    all_beat(kept, far);
    double rate = one_at_a_time(bench_far_url(far), count);

    bench_results_add(world->results, "ready with all modules", "ms", ready_ms);
    bench_results_add(world->results, "registrations, one at a time", "/s", rate);
    bench_results_against(world->results, "registrations beside the disk", "/s", rate,
                          "writes and fdatasync", raw(world, count));
    stop(world, far);
    far = start(world, present + count);
    expect_as_they_were(world, far);
    bench_far_stop(far);
}

static void run(struct world *world, const char *codec)
{
    const size_t many = bench_amount(world->settings, 100000, 400);
    const size_t few = bench_amount(world->settings, 5000, 30);

    bench_folder_scratch_below(world->settings->out, world->folder, sizeof(world->folder));
    snprintf(world->store, sizeof(world->store), "sqlite:%s/registrations.db", world->folder);
    const struct many kept = measure_many(world, codec, many);
    measure_one_by_one(world, &kept, many, few);
    close_drivers(&kept);
    bench_folder_remove(world->folder);
}

int main(int argc, char **argv)
{
    struct bench_settings settings;
    struct world world = {.settings = &settings};

    bench_settings_parse(&settings, "store", "Registrations a second, kept on the disk.", argc,
                         argv);
    world.results = bench_results_new(&settings);
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "registering");
        run(&world, "protobuf");
        run(&world, "json");
    }
    return bench_results_finish(world.results);
}

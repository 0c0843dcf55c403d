/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registration: how many modules a second one client registers, many registrations under way at
 * once, with an orchestrator in a process of its own that keeps them in memory. Each handle that
 * comes back is looked at, on the client's dispatcher thread.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/far.h"
#include "support/progress.h"
#include "support/results.h"

#include <semaphore.h>
#include <unistd.h>

#define WINDOW 1024u

struct crowd {
    sem_t room;
    struct pywatt_module **modules; /* the dispatcher's until the last one is there */
    size_t registered;
};

static void on_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                          struct pywatt_module *module)
{
    struct crowd *crowd = user;

    bench_check_ok(status, error);
    crowd->modules[crowd->registered++] = module;
    sem_post(&crowd->room);
}

static void wait_for_room(sem_t *room)
{
    while (sem_wait(room) != 0) {
    }
}

static void register_one(struct crowd *crowd, struct pywatt_client *client, size_t number)
{
    struct pywatt_error error = {PYWATT_OK, "out of memory"};
    struct pywatt_module_info *info = NULL;
    char name[48];

    snprintf(name, sizeof(name), "m-%zu", number);
    bench_check_ok(pywatt_module_info_new(name, "1", "", &info), &error);
    wait_for_room(&crowd->room);
    bench_check_ok(pywatt_register_module_async(client, info, on_registered, crowd, &error),
                   &error);
    pywatt_module_info_free(info);
}

/* Registrations a second. */
static double measure(const char *codec, size_t count)
{
    struct crowd crowd = {.registered = 0};
    struct bench_far *far = bench_far_start(&(struct bench_far_options){.scheme = "tcp"});
    struct pywatt_client *client = bench_open_client(bench_far_url(far), codec);

    crowd.modules = calloc(count, sizeof(struct pywatt_module *));
    bench_check(crowd.modules != NULL, "out of memory");
    sem_init(&crowd.room, 0, WINDOW);
    uint64_t began = bench_now_ns();
    for (size_t i = 0; i < count; i++) {
        register_one(&crowd, client, i);
    }
    for (unsigned i = 0; i < WINDOW; i++) {
        wait_for_room(&crowd.room);
    }
    uint64_t took = bench_now_ns() - began;
    struct pywatt_orchestrator_stats stats = bench_far_stats(far);
    bench_check(stats.modules == count && stats.registrations == count,
                "%llu of %zu modules are registered", (unsigned long long)stats.modules, count);
    for (size_t i = 0; i < count; i++) {
        pywatt_module_free(crowd.modules[i]);
    }
    free(crowd.modules);
    pywatt_client_free(client);
    bench_far_stop(far);
    sem_destroy(&crowd.room);
    return (double)count * (double)BENCH_NS_PER_S / (double)took;
}

int main(int argc, char **argv)
{
    struct bench_settings settings;

    bench_settings_parse(&settings, "registration", "Registrations a second, kept in memory.", argc,
                         argv);
    const size_t count = bench_amount(&settings, 50000, 300);
    struct bench_results *results = bench_results_new(&settings);
    measure("protobuf", count / 10);
    for (unsigned i = 0; i < settings.runs; i++) {
        bench_progress(&settings, i, settings.runs, "registering");
        bench_results_add(results, "registrations protobuf", "/s", measure("protobuf", count));
        bench_results_add(results, "registrations json", "/s", measure("json", count));
    }
    return bench_results_finish(results);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See sides.h. */
#include "support/sides.h"

#include "support/check.h"
#include "support/clock.h"

#include <string.h>
#include <unistd.h>

struct pywatt_orchestrator *bench_start_orchestrator(const char *scheme, uint32_t workers,
                                                     char url[BENCH_URL_SIZE])
{
    const struct bench_orchestrator_options wanted = {.workers = workers};

    return bench_start_orchestrator_with(scheme, &wanted, url);
}

struct pywatt_orchestrator *
bench_start_orchestrator_with(const char *scheme, const struct bench_orchestrator_options *with,
                              char url[BENCH_URL_SIZE])
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    char wanted[BENCH_URL_SIZE];

    if (strcmp(scheme, "tcp") == 0) {
        snprintf(wanted, sizeof(wanted), "tcp://127.0.0.1:0");
    } else if (strcmp(scheme, "unix") == 0) {
        snprintf(wanted, sizeof(wanted), "unix:@pywatt-bench-%d", (int)getpid());
    } else {
        snprintf(wanted, sizeof(wanted), "memory:bench");
    }
    pywatt_orchestrator_options_init(&options);
    options.workers = with->workers;
    options.lease_ms = with->lease_ms != 0 ? with->lease_ms : options.lease_ms;
    options.max_modules = with->max_modules != 0 ? with->max_modules : options.max_modules;
    options.store = with->store != NULL ? with->store : options.store;
    options.registrations_per_s = 0; /* it is to show what it can do */
    options.on_event = with->on_event;
    options.event_user = with->event_user;
    bench_check_ok(pywatt_orchestrator_new(&options, &orchestrator, &error), &error);
    bench_check_ok(pywatt_orchestrator_listen(orchestrator, wanted, url, BENCH_URL_SIZE, &error),
                   &error);
    bench_check_ok(pywatt_orchestrator_start(orchestrator, &error), &error);
    return orchestrator;
}

void bench_stop_orchestrator(struct pywatt_orchestrator *orchestrator)
{
    pywatt_orchestrator_free(orchestrator);
}

struct pywatt_client *bench_open_client(const char *url, const char *codec)
{
    const struct bench_client_options with = {.codec = codec};

    return bench_open_client_with(url, &with);
}

struct pywatt_client *bench_open_client_with(const char *url,
                                             const struct bench_client_options *with)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};

    pywatt_client_options_init(&options);
    options.endpoints = url;
    options.codec = with->codec;
    options.coalesce = !with->one_by_one;
    options.tls = with->tls;
    bench_check_ok(pywatt_client_open(&options, &client, &error), &error);
    return client;
}

struct pywatt_module *bench_register(struct pywatt_client *client, const char *what, size_t number)
{
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {PYWATT_OK, "out of memory"};
    char name[128];

    /* The process id keeps runs apart that meet at one orchestrator. */
    snprintf(name, sizeof(name), "bench-%d-%s-%zu", (int)getpid(), what, number);
    bench_check_ok(pywatt_module_info_new(name, "1.0", "Measures", &info), &error);
    bench_check_ok(pywatt_register_module(client, info, &module, &error), &error);
    pywatt_module_info_free(info);
    return module;
}

void bench_unregister(struct pywatt_module *module)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    bench_check_ok(pywatt_unregister_module(module, &error), &error);
    pywatt_module_free(module);
}

struct pywatt_orchestrator_stats bench_orchestrator_stats(struct pywatt_orchestrator *orchestrator)
{
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};

    bench_check(pywatt_orchestrator_get_stats(orchestrator, &stats) == PYWATT_OK,
                "the orchestrator has no counts");
    return stats;
}

struct pywatt_client_stats bench_client_stats(struct pywatt_client *client)
{
    struct pywatt_client_stats stats = {.size = sizeof(stats)};

    bench_check(pywatt_client_get_stats(client, &stats) == PYWATT_OK, "the client has no counts");
    return stats;
}

void bench_let_beat(struct pywatt_client *client, uint64_t when_ns)
{
    const uint64_t before = bench_client_stats(client).beats_answered;
    const uint64_t deadline_ns = when_ns + 60 * BENCH_NS_PER_S;

    bench_sleep_until(when_ns);
    while (bench_client_stats(client).beats_answered == before) {
        uint64_t now = bench_now_ns();
        bench_check(now < deadline_ns, "no beat is answered");
        bench_sleep_until(now + BENCH_NS_PER_MS);
    }
}

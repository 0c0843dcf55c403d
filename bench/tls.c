/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls: one blocking heartbeat over TLS 1.3 beside one over plain TCP, to the same worker of the same
 * orchestrator, in turns of short stretches; what a connection costs, with and without an earlier
 * session; and how long 2,000 clients with certificates take to come back to an orchestrator that has
 * started again and knows them from its store, all at once. The main thread calls; threads of its own
 * bring the clients back.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/folder.h"
#include "support/histogram.h"
#include "support/pin.h"
#include "support/progress.h"
#include "support/results.h"
#include "support/sides.h"

#include <certificates.h>
#include <pywatt/tls.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CLIENTS_MAX 2000u
#define THREADS 8u
#define STACK_BYTES ((size_t)256 * 1024)
#define CODECS 2
#define LEASE_MS 15000

static const char *const codecs[CODECS] = {"json", "protobuf"};

enum way {
    PLAIN,
    OVER_TLS,
    WAYS
};

struct lane {
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct bench_histogram *run;
};

struct world {
    const struct bench_settings *settings;
    struct bench_results *results;
    char folder[64];
    struct pw_test_ca ca;
    struct pw_test_certificate hub;
    struct pw_test_certificate module;
    struct pywatt_tls *server;
    struct pywatt_tls *client;
    struct lane lanes[WAYS][CODECS];
};

/* ---- Both sides ---- */

static void make_certificates(struct world *world)
{
    const char *scratch = getenv("TMPDIR");

    snprintf(world->folder, sizeof(world->folder), "%.40s/pywatt-tls-XXXXXX",
             scratch == NULL ? "/tmp" : scratch);
    bench_check(mkdtemp(world->folder) != NULL, "no folder for certificates");
    pw_test_ca_make(&world->ca, world->folder, "ca");
    pw_test_certificate_make(&world->ca, world->folder, "hub", "IP:127.0.0.1", -1, 1, &world->hub);
    pw_test_certificate_make(&world->ca, world->folder, "module", "DNS:*.bench", -1, 1,
                             &world->module);
}

static void remove_certificates(struct world *world)
{
    const char *const files[] = {world->ca.file, world->hub.cert_file, world->hub.key_file,
                                 world->module.cert_file, world->module.key_file};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        unlink(files[i]);
    }
    rmdir(world->folder);
    pw_test_ca_free(&world->ca);
}

static struct pywatt_tls *make_server(const struct world *world, bool asks, uint32_t handshakes)
{
    struct pywatt_tls_options options;
    struct pywatt_tls *tls = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};

    pywatt_tls_options_init(&options);
    options.ca_file = asks ? world->ca.file : NULL;
    options.cert_file = world->hub.cert_file;
    options.key_file = world->hub.key_file;
    options.handshakes_per_s = handshakes;
    bench_check_ok(pywatt_tls_server_new(&options, &tls, &error), &error);
    return tls;
}

static struct pywatt_tls *make_client(const struct world *world)
{
    struct pywatt_tls_options options;
    struct pywatt_tls *tls = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};

    pywatt_tls_options_init(&options);
    options.ca_file = world->ca.file;
    options.cert_file = world->module.cert_file;
    options.key_file = world->module.key_file;
    bench_check_ok(pywatt_tls_client_new(&options, &tls, &error), &error);
    return tls;
}

/* `urls` get where it listens: plain, if that is wanted, and over TLS. `store` may be NULL. */
static struct pywatt_orchestrator *start(struct pywatt_tls *tls, uint32_t workers,
                                         const char *store, bool plain,
                                         char urls[WAYS][BENCH_URL_SIZE])
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};

    pywatt_orchestrator_options_init(&options);
    options.workers = workers;
    options.lease_ms = LEASE_MS;
    options.registrations_per_s = 0;
    options.store = store;
    options.tls = tls;
    bench_check_ok(pywatt_orchestrator_new(&options, &orchestrator, &error), &error);
    for (int way = plain ? PLAIN : OVER_TLS; way < WAYS; way++) {
        bench_check_ok(
            pywatt_orchestrator_listen(orchestrator, urls[way], urls[way], BENCH_URL_SIZE, &error),
            &error);
    }
    bench_check_ok(pywatt_orchestrator_start(orchestrator, &error), &error);
    return orchestrator;
}

static struct pywatt_client *open_client(const char *url, const char *codec, struct pywatt_tls *tls)
{
    const struct bench_client_options with = {.codec = codec, .tls = tls};

    return bench_open_client_with(url, &with);
}

static struct pywatt_module *enter(struct pywatt_client *client, const char *what, unsigned number)
{
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {PYWATT_OK, "out of memory"};
    char name[64];

    snprintf(name, sizeof(name), "%s-%u.bench", what, number);
    bench_check_ok(pywatt_module_info_new(name, "1.0", "Measures", &info), &error);
    bench_check_ok(pywatt_register_module(client, info, &module, &error), &error);
    pywatt_module_info_free(info);
    return module;
}

static void beat(struct pywatt_module *module)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_health verdict = PYWATT_HEALTHY;

    bench_check_ok(pywatt_heartbeat(module, PYWATT_DEGRADED, NULL, &verdict, &error), &error);
    bench_check(verdict == PYWATT_DEGRADED, "a wrong answer");
}

/* ---- Round trips ---- */

static void stretch(struct lane *lane, unsigned calls)
{
    for (unsigned i = 0; i < calls; i++) {
        const uint64_t began = bench_now_ns();
        beat(lane->module);
        bench_histogram_add(lane->run, bench_now_ns() - began);
    }
}

static double percentile_us(const struct lane *lane, unsigned which)
{
    return (double)bench_histogram_at(lane->run, which) / 1000.0;
}

static void report_round_trips(struct world *world)
{
    char metric[64];

    for (unsigned c = 0; c < CODECS; c++) {
        struct lane *plain = &world->lanes[PLAIN][c];
        struct lane *tls = &world->lanes[OVER_TLS][c];
        snprintf(metric, sizeof(metric), "p50 %s", codecs[c]);
        bench_results_against(world->results, metric, "us", percentile_us(tls, BENCH_P50),
                              "plain tcp", percentile_us(plain, BENCH_P50));
        snprintf(metric, sizeof(metric), "p99 %s", codecs[c]);
        bench_results_against(world->results, metric, "us", percentile_us(tls, BENCH_P99),
                              "plain tcp", percentile_us(plain, BENCH_P99));
        memset(plain->run, 0, sizeof(*plain->run));
        memset(tls->run, 0, sizeof(*tls->run));
    }
}

static void measure_round_trips(struct world *world)
{
    char urls[WAYS][BENCH_URL_SIZE] = {"tcp://127.0.0.1:0", "tls://127.0.0.1:0"};
    const struct bench_settings *settings = world->settings;
    const unsigned calls = (unsigned)bench_amount(settings, 500, 10);
    const unsigned stretches = (unsigned)bench_amount(settings, 60, 2);

    bench_pin_answerers();
    struct pywatt_orchestrator *orchestrator = start(world->server, 1, NULL, true, urls);
    bench_pin_caller();
    for (int way = 0; way < WAYS; way++) {
        for (unsigned c = 0; c < CODECS; c++) {
            struct lane *lane = &world->lanes[way][c];
            lane->client = open_client(urls[way], codecs[c], way == PLAIN ? NULL : world->client);
            lane->module = enter(lane->client, way == PLAIN ? "plain" : "tls", c);
            lane->run = bench_histogram_new();
        }
    }
    for (unsigned run = 0; run <= settings->runs; run++) { /* run 0 warms up */
        bench_progress(settings, run, settings->runs + 1, "beats, plain and over TLS in turn");
        for (unsigned i = 0; i < (run == 0 ? 1 : stretches) * WAYS * CODECS; i++) {
            stretch(&world->lanes[i % WAYS][i / WAYS % CODECS], calls);
        }
        if (run > 0) {
            report_round_trips(world);
        }
    }
    for (unsigned i = 0; i < WAYS * CODECS; i++) {
        struct lane *lane = &world->lanes[i % WAYS][i / WAYS];
        bench_unregister(lane->module);
        pywatt_client_free(lane->client);
        free(lane->run);
    }
    bench_stop_orchestrator(orchestrator);
}

/* ---- Connections ---- */

/* Connects, registers a module of its own, and ends; milliseconds of each on average. */
static double connect_often(const struct world *world, const char *url, unsigned count, bool resume)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    uint64_t spent_ns = 0;

    for (unsigned i = 0; i < count; i++) {
        if (!resume) {
            bench_check_ok(pywatt_tls_reload(world->client, &error), &error); /* forgets sessions */
        }
        struct pywatt_client *client = open_client(url, "protobuf", world->client);
        const uint64_t began = bench_now_ns();
        struct pywatt_module *module = enter(client, "once", 0);
        spent_ns += bench_now_ns() - began;
        bench_unregister(module);
        pywatt_client_free(client);
    }
    return (double)spent_ns / (double)count / 1e6;
}

static void measure_connections(struct world *world)
{
    char urls[WAYS][BENCH_URL_SIZE] = {"", "tls://127.0.0.1:0"};
    const unsigned count = (unsigned)bench_amount(world->settings, 200, 3);
    struct pywatt_tls *server = make_server(world, true, 0);

    bench_pin_answerers();
    struct pywatt_orchestrator *orchestrator = start(server, 1, NULL, false, urls);
    bench_pin_caller();
    for (unsigned run = 0; run < world->settings->runs; run++) {
        bench_progress(world->settings, run, world->settings->runs, "connections");
        const double whole = connect_often(world, urls[OVER_TLS], count, false);
        const double resumed = connect_often(world, urls[OVER_TLS], count, true);
        bench_results_against(world->results, "connecting, certificates on both sides", "ms", whole,
                              "a session is resumed", resumed);
    }
    bench_stop_orchestrator(orchestrator);
    pywatt_tls_free(server);
}

/* ---- Back after a restart ---- */

struct crowd {
    struct pywatt_client *clients[CLIENTS_MAX];
    struct pywatt_module *modules[CLIENTS_MAX];
    struct pywatt_uuid ids[CLIENTS_MAX];
    unsigned count;
    atomic_uint next;
    void (*act)(struct crowd *crowd, unsigned i);
    const char *url;
    struct pywatt_tls *tls;
};

static void *act_on_some(void *user)
{
    struct crowd *crowd = user;
    unsigned i;

    while ((i = atomic_fetch_add(&crowd->next, 1)) < crowd->count) {
        crowd->act(crowd, i);
    }
    return NULL;
}

/* By so many threads, which is how many of them do it at once. */
static void for_all(struct crowd *crowd, unsigned thread_count,
                    void (*act)(struct crowd *crowd, unsigned i))
{
    static pthread_t threads[CLIENTS_MAX];
    pthread_attr_t attributes;

    crowd->act = act;
    atomic_store(&crowd->next, 0);
    bench_check(pthread_attr_init(&attributes) == 0 &&
                    pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0,
                "no small stacks");
    for (unsigned i = 0; i < thread_count; i++) {
        bench_check(pthread_create(&threads[i], &attributes, act_on_some, crowd) == 0,
                    "no thread is left");
    }
    for (unsigned i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_attr_destroy(&attributes);
}

static void come(struct crowd *crowd, unsigned i)
{
    crowd->clients[i] = open_client(crowd->url, codecs[i % CODECS], crowd->tls);
    crowd->modules[i] = enter(crowd->clients[i], "back", i);
    crowd->ids[i] = *pywatt_module_id(crowd->modules[i]);
}

/* The connection is gone, which only the first beat may notice. */
static void come_back(struct crowd *crowd, unsigned i)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_status status;

    do {
        status = pywatt_heartbeat(crowd->modules[i], PYWATT_HEALTHY, NULL, NULL, &error);
    } while (status == PYWATT_CHANNEL || status == PYWATT_CONNECTION);
    bench_check_ok(status, &error);
}

/* The store knows them all, so each is who he was, and had nothing to do but to beat. */
static void check_who_is_back(struct world *world, struct crowd *crowd,
                              struct pywatt_orchestrator *orchestrator)
{
    const struct pywatt_orchestrator_stats stats = bench_orchestrator_stats(orchestrator);

    bench_check(stats.modules == crowd->count, "not everybody is back");
    bench_check(stats.registrations == 0, "somebody has registered again");
    for (unsigned i = 0; i < crowd->count; i++) {
        bench_check(pywatt_uuid_equal(pywatt_module_id(crowd->modules[i]), &crowd->ids[i]),
                    "somebody has another id");
    }
    bench_results_add(world->results, "leases lost meanwhile", "", (double)stats.modules_lost);
}

static void leave(struct crowd *crowd, unsigned i)
{
    pywatt_module_free(crowd->modules[i]);
    pywatt_client_free(crowd->clients[i]);
}

static void allow_files(void)
{
    struct rlimit limit;

    bench_check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "no limit of files is known");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    bench_check(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 10000,
                "too few files may be open");
}

static void measure_coming_back(struct world *world)
{
    static struct crowd crowd;
    char urls[WAYS][BENCH_URL_SIZE] = {"", "tls://127.0.0.1:0"};
    char folder[512];
    char store[640];
    struct pywatt_tls *server = make_server(world, true, 0);

    allow_files();
    bench_folder_scratch_below(world->settings->out, folder, sizeof(folder));
    snprintf(store, sizeof(store), "sqlite:%s/registrations.db", folder);
    struct pywatt_orchestrator *orchestrator = start(server, 0, store, false, urls);
    crowd.count = (unsigned)bench_amount(world->settings, CLIENTS_MAX, 20);
    crowd.url = urls[OVER_TLS];
    crowd.tls = world->client;
    bench_progress(world->settings, 0, 2, "clients come");
    for_all(&crowd, THREADS, come);
    bench_stop_orchestrator(orchestrator);
    pywatt_tls_free(server);

    /* Another one, as after a restart: no ticket of before is worth anything to it. */
    server = make_server(world, true, 400);
    bench_progress(world->settings, 1, 2, "clients come back");
    const uint64_t began = bench_now_ns();
    orchestrator = start(server, 0, store, false, urls);
    for_all(&crowd, crowd.count, come_back);
    bench_results_add(world->results, "2000 clients with certificates back", "s",
                      (double)(bench_now_ns() - began) / 1e9);
    check_who_is_back(world, &crowd, orchestrator);
    for_all(&crowd, THREADS, leave);
    bench_stop_orchestrator(orchestrator);
    pywatt_tls_free(server);
    bench_folder_remove(folder);
}

int main(int argc, char **argv)
{
    struct bench_settings settings;
    static struct world world;

    bench_settings_parse(&settings, "tls", "What TLS costs, beside plain TCP.", argc, argv);
    world.settings = &settings;
    world.results = bench_results_new(&settings);
    make_certificates(&world);
    world.server = make_server(&world, false, 0);
    world.client = make_client(&world);
    measure_round_trips(&world);
    measure_connections(&world);
    measure_coming_back(&world);
    pywatt_tls_free(world.server);
    pywatt_tls_free(world.client);
    remove_certificates(&world);
    return bench_results_finish(world.results);
}

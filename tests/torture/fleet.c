/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fleet: modules that beat, for the scripts in this folder.
 *
 *   torture_fleet URL CODEC CLIENTS MODULES INTERVAL_MS LEASE_MS TIMEOUT_MS NAME [JOIN_TOKEN]
 *
 * Opens so many clients, registers so many modules over each, "NAME CLIENT MODULE", and starts their
 * loops; then prints "ready". It obeys lines on standard input, each with one line of output:
 *
 *   stats  one JSON object: what the clients have counted, and the times of the beats since the last one
 *   ids    the ids of all modules, one after the other
 *
 * At the end of its input it ends without a word to the orchestrator. The main thread's.
 */
#include <pywatt/pywatt.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fleet {
    const char *url;
    const char *codec;
    unsigned clients;
    unsigned modules; /* of each client */
    uint32_t interval_ms;
    const char *lease_ms;
    uint32_t timeout_ms;
    const char *name;
    const char *join_token; /* NULL: none */
    struct pywatt_client **client;
    struct pywatt_module **module;
    struct pywatt_uuid *first_id; /* what they were registered with */
    struct pywatt_histogram seen; /* beats that the last "stats" was about */
};

static void fail(const char *what, const struct pywatt_error *error)
{
    fprintf(stderr, "torture_fleet: %s: %s\n", what, error->text);
    exit(1);
}

static void *some(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fputs("torture_fleet: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static struct pywatt_client *open_client(const struct fleet *fleet)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    pywatt_client_options_init(&options);
    options.endpoints = fleet->url;
    options.codec = fleet->codec;
    options.timeout_ms = fleet->timeout_ms;
    options.reconnect_max_delay_ms = 2000;
    if (pywatt_client_open(&options, &client, &error) != PYWATT_OK) {
        fail("a client", &error);
    }
    return client;
}

static void register_one(struct fleet *fleet, unsigned c, unsigned m)
{
    struct pywatt_error error = {PYWATT_NO_MEMORY, "out of memory"};
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    char name[96];
    const size_t at = (size_t)c * fleet->modules + m;
    snprintf(name, sizeof(name), "%s-%u-%u", fleet->name, c, m);
    if (pywatt_module_info_new(name, "1", "tortured", &info) != PYWATT_OK ||
        pywatt_module_info_set_metadata(info, "lease_ms", fleet->lease_ms) != PYWATT_OK ||
        (fleet->join_token != NULL &&
         pywatt_module_info_set_metadata(info, "join_token", fleet->join_token) != PYWATT_OK) ||
        pywatt_register_module(fleet->client[c], info, &module, &error) != PYWATT_OK) {
        fail(name, &error);
    }
    pywatt_module_info_free(info);
    fleet->module[at] = module;
    fleet->first_id[at] = *pywatt_module_id(module);
    if (pywatt_start_heartbeat_loop(module, fleet->interval_ms, NULL, NULL, NULL, &error) !=
        PYWATT_OK) {
        fail(name, &error);
    }
}

static void launch(struct fleet *fleet)
{
    const size_t count = (size_t)fleet->clients * fleet->modules;
    fleet->client = some(fleet->clients, sizeof(struct pywatt_client *));
    fleet->module = some(count, sizeof(struct pywatt_module *));
    fleet->first_id = some(count, sizeof(struct pywatt_uuid));
    for (unsigned c = 0; c < fleet->clients; c++) {
        fleet->client[c] = open_client(fleet);
        for (unsigned m = 0; m < fleet->modules; m++) {
            register_one(fleet, c, m);
        }
    }
}

static void add(struct pywatt_client_stats *sum, const struct pywatt_client_stats *one)
{
    sum->timeouts += one->timeouts;
    sum->connects += one->connects;
    sum->reregistrations += one->reregistrations;
    sum->beats_sent += one->beats_sent;
    sum->beats_answered += one->beats_answered;
    sum->beats_failed += one->beats_failed;
    sum->beats_skipped += one->beats_skipped;
    sum->round_trips.count += one->round_trips.count;
    for (unsigned i = 0; i < PYWATT_HISTOGRAM_BUCKETS; i++) {
        sum->round_trips.buckets[i] += one->round_trips.buckets[i];
    }
    if (one->beats_max_lateness_ns > sum->beats_max_lateness_ns) {
        sum->beats_max_lateness_ns = one->beats_max_lateness_ns;
    }
}

/* Within its bucket by proportion: the bucket alone is too coarse to compare two of them. */
static double percentile_us(const struct pywatt_histogram *now,
                            const struct pywatt_histogram *before, double share)
{
    const double wanted = share * (double)(now->count - before->count);
    double passed = 0;
    for (unsigned i = 0; i + 1 < PYWATT_HISTOGRAM_BUCKETS; i++) {
        const double here = (double)(now->buckets[i] - before->buckets[i]);
        if (here > 0 && passed + here >= wanted) {
            const double low = i == 0 ? 0 : (double)pywatt_histogram_bound_ns(i - 1);
            const double high = (double)pywatt_histogram_bound_ns(i);
            return (low + (high - low) * (wanted - passed) / here) / 1000;
        }
        passed += here;
    }
    return 0;
}

static void print_stats(struct fleet *fleet)
{
    struct pywatt_client_stats sum = {.size = sizeof(sum)};
    unsigned changed = 0;
    for (unsigned c = 0; c < fleet->clients; c++) {
        struct pywatt_client_stats one = {.size = sizeof(one)};
        pywatt_client_get_stats(fleet->client[c], &one);
        add(&sum, &one);
    }
    for (size_t i = 0; i < (size_t)fleet->clients * fleet->modules; i++) {
        changed += memcmp(pywatt_module_id(fleet->module[i]), &fleet->first_id[i],
                          sizeof(struct pywatt_uuid)) != 0;
    }
    printf("{\"sent\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"skipped\": %" PRIu64 ", \"timeouts\": %" PRIu64 ", \"connects\": %" PRIu64
           ", \"reregistrations\": %" PRIu64 ", \"ids_changed\": %u, \"latest_ms\": %.3f"
           ", \"times\": %" PRIu64 ", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           sum.beats_sent, sum.beats_answered, sum.beats_failed, sum.beats_skipped, sum.timeouts,
           sum.connects, sum.reregistrations, changed, (double)sum.beats_max_lateness_ns / 1e6,
           sum.round_trips.count - fleet->seen.count,
           percentile_us(&sum.round_trips, &fleet->seen, 0.5),
           percentile_us(&sum.round_trips, &fleet->seen, 0.99),
           percentile_us(&sum.round_trips, &fleet->seen, 0.999));
    fleet->seen = sum.round_trips;
}

static void print_ids(const struct fleet *fleet)
{
    for (size_t i = 0; i < (size_t)fleet->clients * fleet->modules; i++) {
        char id[PYWATT_UUID_TEXT_SIZE];
        pywatt_uuid_format(&fleet->first_id[i], id);
        printf("%s%s", i == 0 ? "" : " ", id);
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    char line[32];
    if (argc != 9 && argc != 10) {
        fputs("usage: torture_fleet URL CODEC CLIENTS MODULES INTERVAL_MS LEASE_MS TIMEOUT_MS NAME"
              " [JOIN_TOKEN]\n",
              stderr);
        return 2;
    }
    struct fleet fleet = {
        .url = argv[1],
        .codec = argv[2],
        .clients = (unsigned)strtoul(argv[3], NULL, 10),
        .modules = (unsigned)strtoul(argv[4], NULL, 10),
        .interval_ms = (uint32_t)strtoul(argv[5], NULL, 10),
        .lease_ms = argv[6],
        .timeout_ms = (uint32_t)strtoul(argv[7], NULL, 10),
        .name = argv[8],
        .join_token = argv[9],
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    launch(&fleet);
    puts("ready");
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (strcmp(line, "stats\n") == 0) {
            print_stats(&fleet);
        } else if (strcmp(line, "ids\n") == 0) {
            print_ids(&fleet);
        }
    }
    exit(0);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * round_trip: how long one blocking heartbeat takes, for each codec over each transport, beside a
 * raw echo of the same number of bytes over the same kind of socket. The two take turns in short
 * stretches, so that whatever else the machine does hits both.
 *
 * Usage: bench_round_trip [--quick]
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/echo.h"
#include "support/histogram.h"
#include "support/sides.h"
#include "support/table.h"

#include <stdbool.h>
#include <string.h>

static const char *const codecs[] = {"json", "protobuf"};
static const char *const schemes[] = {"tcp", "unix", "memory"};

struct amounts {
    int stretches;
    int calls; /* in a stretch */
};

struct subject {
    struct pywatt_module *module;
    struct bench_echo *echo;
};

/* A beat whose answer must be what was reported. */
static void beat(struct pywatt_module *module, enum pywatt_health health)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_health verdict = health == PYWATT_HEALTHY ? PYWATT_UNHEALTHY : PYWATT_HEALTHY;

    bench_check_ok(pywatt_heartbeat(module, health, NULL, &verdict, &error), &error);
    bench_check(verdict == health, "reported %s, answered %s", pywatt_health_name(health),
                pywatt_health_name(verdict));
}

/* What one beat and its answer weigh, and that the orchestrator saw each one. */
static void weigh(struct pywatt_orchestrator *orchestrator, struct pywatt_module *module,
                  size_t *request_bytes, size_t *reply_bytes)
{
    const unsigned beats = 100;
    struct pywatt_orchestrator_stats before = bench_orchestrator_stats(orchestrator);

    for (unsigned i = 0; i < beats; i++) {
        beat(module, PYWATT_HEALTHY);
    }
    struct pywatt_orchestrator_stats after = bench_orchestrator_stats(orchestrator);
    bench_check(after.heartbeats - before.heartbeats == beats, "the orchestrator missed beats");
    *request_bytes = (size_t)(after.bytes_received - before.bytes_received) / beats;
    *reply_bytes = (size_t)(after.bytes_sent - before.bytes_sent) / beats;
}

static void measure(const struct subject *subject, const struct amounts *amounts,
                    struct bench_histogram *beats, struct bench_histogram *echoes)
{
    for (int s = 0; s < amounts->stretches; s++) {
        for (int i = 0; i < amounts->calls; i++) {
            uint64_t began = bench_now_ns();
            bench_echo_call(subject->echo);
            bench_histogram_add(echoes, bench_now_ns() - began);
        }
        for (int i = 0; i < amounts->calls; i++) {
            uint64_t began = bench_now_ns();
            beat(subject->module, PYWATT_HEALTHY);
            bench_histogram_add(beats, bench_now_ns() - began);
        }
    }
}

static double us(const struct bench_histogram *histogram, unsigned per_mille)
{
    return (double)bench_histogram_at(histogram, per_mille) / 1000.0;
}

static void run(const char *scheme, const char *codec, const struct amounts *amounts,
                struct bench_table *table)
{
    char url[BENCH_URL_SIZE];
    struct bench_histogram *beats = bench_histogram_new();
    struct bench_histogram *echoes = bench_histogram_new();
    struct pywatt_orchestrator *orchestrator = bench_start_orchestrator(scheme, 1, url);
    struct pywatt_client *client = bench_open_client(url, codec);
    struct subject subject = {bench_register(client, codec, 0), NULL};
    size_t request_bytes = 0;
    size_t reply_bytes = 0;

    for (int health = PYWATT_HEALTHY; health <= (int)PYWATT_UNHEALTHY; health++) {
        beat(subject.module, (enum pywatt_health)health);
    }
    weigh(orchestrator, subject.module, &request_bytes, &reply_bytes);
    subject.echo = bench_echo_start(scheme, request_bytes, reply_bytes);
    struct amounts warm_up = {1, amounts->calls};
    measure(&subject, &warm_up, beats, echoes);
    memset(beats, 0, sizeof(*beats));
    memset(echoes, 0, sizeof(*echoes));
    measure(&subject, amounts, beats, echoes);

    bench_table_cell(table, "%s", scheme);
    bench_table_cell(table, "%s", codec);
    bench_table_cell(table, "%zu", request_bytes);
    bench_table_cell(table, "%zu", reply_bytes);
    bench_table_cell(table, "%.1f", us(beats, 500));
    bench_table_cell(table, "%.1f", us(beats, 990));
    bench_table_cell(table, "%.1f", us(echoes, 500));
    bench_table_cell(table, "%.1f", us(echoes, 990));
    bench_table_cell(table, "%.2f", us(beats, 500) / us(echoes, 500));

    bench_echo_stop(subject.echo);
    bench_unregister(subject.module);
    pywatt_client_free(client);
    bench_stop_orchestrator(orchestrator);
    free(beats);
    free(echoes);
}

int main(int argc, char **argv)
{
    static const char *const headings[] = {"transport", "codec",    "request B",
                                           "reply B",   "p50 us",   "p99 us",
                                           "echo p50",  "echo p99", "p50 ratio"};
    struct amounts amounts = {40, 1000};
    struct bench_table *table = bench_table_new(headings, 9, 2);

    if (argc == 2 && strcmp(argv[1], "--quick") == 0) {
        amounts = (struct amounts){2, 20};
    } else if (argc != 1) {
        fprintf(stderr, "Usage: bench_round_trip [--quick]\n");
        return 2;
    }
    for (size_t s = 0; s < sizeof(schemes) / sizeof(schemes[0]); s++) {
        for (size_t c = 0; c < sizeof(codecs) / sizeof(codecs[0]); c++) {
            run(schemes[s], codecs[c], &amounts, table);
        }
    }
    bench_table_print(table);
    return 0;
}

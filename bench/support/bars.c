/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * See bars.h. That no beat allocates memory stands nowhere here: a test counts it.
 */
#include "support/bars.h"

#include <stdio.h>
#include <string.h>

static const struct bench_bar bars[] = {
    /* A blocking beat beside an echo of the same bytes, by the median of each. */
    {"round-trip", "p50 tcp protobuf", "raw tcp echo", BENCH_RATIO_AT_MOST, 1.25},
    {"round-trip", "p50 tcp json", "raw tcp echo", BENCH_RATIO_AT_MOST, 1.5},
    {"round-trip", "p50 unix protobuf", "raw tcp echo", BENCH_RATIO_AT_MOST, 1.0},

    /* The same over TLS, beside plain TCP; and a crowd that comes back. */
    {"tls", "p50 json", "plain tcp", BENCH_RATIO_AT_MOST, 2.0},
    {"tls", "p50 protobuf", "plain tcp", BENCH_RATIO_AT_MOST, 2.0},
    {"tls", "2000 clients with certificates back", NULL, BENCH_VALUE_AT_MOST, 10},
    {"tls", "leases lost meanwhile", NULL, BENCH_VALUE_AT_MOST, 0},

    /* Beats of 10,000 modules through one client. */
    {"pipelined", "beats protobuf", "redis EXPIRE", BENCH_RATIO_AT_LEAST, 3.0},
    {"pipelined", "beats json", "redis SET EX 30", BENCH_RATIO_AT_LEAST, 1.5},
    {"coalesced", "beats protobuf", "redis EXPIRE", BENCH_RATIO_AT_LEAST, 10.0},

    /* 64 blocking callers of one client. */
    {"threads", "beats, 64 threads", "1 thread", BENCH_RATIO_AT_LEAST, 2.0},
    {"threads", "slowest thread", "fastest thread", BENCH_RATIO_AT_LEAST, 0.5},

    /* One module's loop of 1 ms, and a thousand of them. */
    {"loop", "beats", NULL, BENCH_VALUE_AT_LEAST, 999},
    {"loop", "lateness p99", NULL, BENCH_VALUE_AT_MOST, 1000},
    {"loop", "drift", NULL, BENCH_VALUE_AT_MOST, 100},
    /* A million; when the counts are read, one round in 30,000 may be on its way. */
    {"fleet", "beats answered protobuf", "a bare timer", BENCH_VALUE_AT_LEAST, 999950},
    {"fleet", "beats failed or skipped protobuf", NULL, BENCH_VALUE_AT_MOST, 0},

    /* What a million modules cost. */
    {"scale", "cost of a beat, 1000000 modules", "1000 modules", BENCH_RATIO_AT_MOST, 2.0},
    {"scale", "memory of a module", NULL, BENCH_VALUE_AT_MOST, 600},
    {"registration", "registrations protobuf", NULL, BENCH_VALUE_AT_LEAST, 50000},

    /* On the disk before it is answered: one at a time, many at once, and back after a restart. */
    {"store", "registrations, one at a time", NULL, BENCH_VALUE_AT_LEAST, 2000},
    {"store", "registrations protobuf, many at once", NULL, BENCH_VALUE_AT_LEAST, 50000},
    {"store", "ready with all modules", NULL, BENCH_VALUE_AT_MOST, 1000},

    /* 100,000 modules fall silent at once. */
    {"expiry", "lateness of a lost verdict p99", NULL, BENCH_VALUE_AT_MOST, 10},
    {"expiry", "verdicts too early", NULL, BENCH_VALUE_AT_MOST, 0},
    {"expiry", "other beats p99", NULL, BENCH_VALUE_AT_MOST, 5},
};

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

const struct bench_bar *bench_bar_find(const char *subject, const char *metric, const char *peer)
{
    for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
        if (same(bars[i].subject, subject) && same(bars[i].metric, metric) &&
            same(bars[i].peer, peer)) {
            return &bars[i];
        }
    }
    return NULL;
}

bool bench_bar_met(const struct bench_bar *bar, double value, double ratio)
{
    switch (bar->kind) {
    case BENCH_RATIO_AT_MOST: return ratio <= bar->limit;
    case BENCH_RATIO_AT_LEAST: return ratio >= bar->limit;
    case BENCH_VALUE_AT_MOST: return value <= bar->limit;
    case BENCH_VALUE_AT_LEAST: return value >= bar->limit;
    }
    return false;
}

void bench_bar_text(const struct bench_bar *bar, char *out, size_t size)
{
    static const char *const words[] = {"ratio <=", "ratio >=", "value <=", "value >="};

    snprintf(out, size, "%s %.10g", words[bar->kind], bar->limit);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * count: sends so many beats and ends, for bench/count, which has every instruction counted meanwhile.
 * Client and orchestrator, with one worker, are threads of this process; the beats are sent by the
 * main thread, and their answers looked at.
 */
#include "common/options.h"
#include "common/parse.h"
#include "common/report.h"
#include "support/check.h"
#include "support/sides.h"

#define MODULES 1000u

enum way {
    BLOCKING, /* pywatt_heartbeat */
    SINGLE,   /* pywatt_heartbeat_batch, each beat a message of its own */
    TOGETHER  /* the same, beats share messages */
};

struct wanted {
    const char *codec;
    enum way way;
    uint32_t beats;
    bool help;
};

enum key {
    KEY_CODEC = 256,
    KEY_WAY,
    KEY_BEATS
};

static const struct tool_option options[] = {
    {"codec", KEY_CODEC, "NAME", "json or protobuf (default)"},
    {"way", KEY_WAY, "WAY", "blocking (default), single or together"},
    {"beats", KEY_BEATS, "N", "to be sent (default 10000)"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "bench_count [OPTION...]",
    .about = "Sends beats, while somebody counts.",
    .groups = {{"Options", options}},
};

static int set_way(struct wanted *wanted, const char *value)
{
    static const char *const ways[] = {"blocking", "single", "together"};
    int index = 0;
    const int bad = tool_parse_word("way", value, ways, 3, &index);

    wanted->way = (enum way)index;
    return bad;
}

static int set(void *user, int key, const char *value)
{
    struct wanted *wanted = user;

    switch (key) {
    case KEY_CODEC: wanted->codec = value; return 0;
    case KEY_WAY: return set_way(wanted, value);
    case KEY_BEATS: return tool_parse_u32("beats", value, 1, 100000000, &wanted->beats);
    default: wanted->help = true; return 0;
    }
}

static void beat_one_by_one(struct pywatt_beat *beats, uint32_t count)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    for (uint32_t i = 0; i < count; i++) {
        struct pywatt_beat *beat = &beats[i % MODULES];
        bench_check_ok(pywatt_heartbeat(beat->module, beat->health, NULL, &beat->verdict, &error),
                       &error);
        bench_check(beat->verdict == beat->health, "a wrong answer");
    }
}

static void beat_in_rounds(struct pywatt_client *client, struct pywatt_beat *beats, uint32_t count)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    for (uint32_t sent = 0; sent < count; sent += MODULES) {
        const uint32_t now = count - sent < MODULES ? count - sent : MODULES;
        bench_check_ok(pywatt_heartbeat_batch(client, beats, now, &error), &error);
        for (uint32_t i = 0; i < now; i++) {
            bench_check(beats[i].verdict == beats[i].health, "a wrong answer");
        }
    }
}

int main(int argc, char **argv)
{
    struct wanted wanted = {.codec = "protobuf", .way = BLOCKING, .beats = 10000};
    static struct pywatt_beat beats[MODULES];
    char url[BENCH_URL_SIZE];

    tool_report_init("bench_count", NULL);
    const int bad = tool_options_parse(&syntax, argc, argv, set, &wanted);
    if (bad != 0 || wanted.help) {
        return bad != 0 ? bad : tool_options_help(&syntax);
    }
    struct pywatt_orchestrator *orchestrator = bench_start_orchestrator("tcp", 1, url);
    const struct bench_client_options with = {.codec = wanted.codec,
                                              .one_by_one = wanted.way != TOGETHER};
    struct pywatt_client *client = bench_open_client_with(url, &with);
    for (uint32_t i = 0; i < MODULES; i++) {
        beats[i].module = bench_register(client, wanted.codec, i);
        beats[i].health = PYWATT_DEGRADED;
    }
    /* So that all memory is there, and every module known by its alias where there are such. */
    beat_in_rounds(client, beats, 2 * MODULES);
    if (wanted.way == BLOCKING) {
        beat_one_by_one(beats, wanted.beats);
    } else {
        beat_in_rounds(client, beats, wanted.beats);
    }
    for (uint32_t i = 0; i < MODULES; i++) {
        pywatt_module_free(beats[i].module);
    }
    pywatt_client_free(client);
    bench_stop_orchestrator(orchestrator);
    return 0;
}

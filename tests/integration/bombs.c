/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bombs thrown at a real orchestrator: refused, within the memory that it has, while a client that
 * beats on another connection misses nothing.
 */
#include "base/arena.h"
#include "client.h"
#include "codec/codec.h"
#include "daemon.h"
#include "explosives.h"
#include "host.h"
#include "sdk_rules.h"
#include "wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTERVAL_MS = 100, /* an answer that takes as long as that is a beat missed */
    KIB = 1024,
    DEFAULT_MAX_FRAME = 1 << 20,
    LARGE_MAX_FRAME = 1 << 23
};

/* ---- The one who beats ------------------------------------------------------------------------ */

struct witness {
    struct pywatt_client *client;
    struct pywatt_module *module;
};

static void witness_begin(struct witness *witness, const char *url, const char *codec)
{
    witness->client = client_open(url, codec);
    witness->module = client_register_advertised(witness->client, "witness");
    assert_int_equal(pywatt_start_heartbeat_loop(witness->module,
                                                 INTERVAL_MS * pw_test_slow_factor(), NULL, NULL,
                                                 NULL, NULL),
                     PYWATT_OK);
    client_await_beats(witness->client, 1);
}

/*
 * No beat failed, and the connection stands. One may have been left out, when the machine had no time
 * for it.
 */
static void witness_has_noticed_nothing(struct witness *witness, const char *what)
{
    struct pywatt_error error = {.text = ""};
    enum pywatt_health verdict;
    if (pywatt_heartbeat(witness->module, PYWATT_DEGRADED, NULL, &verdict, &error) != PYWATT_OK) {
        fail_msg("after %s: %s", what, error.text);
    }
    const struct pywatt_client_stats stats = client_stats(witness->client);
    if (stats.beats_failed != 0 || stats.timeouts != 0 || stats.connects != 1) {
        fail_msg("%s: %llu beats failed, %llu connections", what,
                 (unsigned long long)stats.beats_failed, (unsigned long long)stats.connects);
    }
}

static void witness_end(struct witness *witness)
{
    assert_int_equal(pywatt_unregister_module(witness->module, NULL), PYWATT_OK);
    pywatt_module_free(witness->module);
    pywatt_client_free(witness->client);
}

/* ---- Throwing --------------------------------------------------------------------------------- */

/* Whether it is a reply that says no, with all that its reader demands. */
static bool is_refusal(const struct pw_frame *frame)
{
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame->format_code, frame->payload);
    struct pw_arena arena;
    struct pw_response response;
    pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&response);
    bool refusal = codec != NULL &&
                   pw_codec_decode_response(codec, frame->payload, &pw_codec_default_limits, &arena,
                                            &response, NULL) == PYWATT_OK &&
                   !response.success;
    if (frame->format_code == 1) {
        refusal = refusal && rust_sdk_stumbles_over(frame->payload) == NULL;
    } else if (frame->format_code == 0) {
        refusal = refusal && python_sdk_stumbles_over(frame->payload) == NULL;
    }
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
    return refusal;
}

/* The connection ends, or the request is answered with a refusal. */
static void throw_one(const char *url, const struct bomb *bomb)
{
    struct wire wire;
    struct pw_frame frame;
    assert_true(wire_open(&wire, url));
    wire_send(&wire, bomb->bytes, bomb->len); /* it may be cut off in the middle */
    wire_end_output(&wire);
    const enum wire_got got = wire_receive(&wire, &frame);
    if (got == WIRE_FRAME) {
        if (!is_refusal(&frame)) {
            fail_msg("%s is answered with %.*s", bomb->name, (int)frame.payload.len,
                     (const char *)frame.payload.data);
        }
        assert_true(wire_is_ended(&wire));
    } else if (got != WIRE_END) {
        fail_msg("%s: neither refused nor ended", bomb->name);
    }
    wire_close(&wire);
}

static void an_orchestrator_withstands_them(uint32_t max_frame)
{
    const size_t witnesses = pw_test_slow_factor() <= 4 ? client_codec_count : 1;
    for (size_t codec = 0; codec < witnesses; codec++) {
        struct host host;
        struct witness witness;
        host_init(&host, "tcp");
        host.options.max_frame_bytes = max_frame;
        host_start(&host);
        witness_begin(&witness, host.url, client_codecs[codec]);
        for (size_t i = 0; i < bomb_count(); i++) {
            struct bomb bomb = bomb_make(i, false);
            throw_one(host.url, &bomb);
            witness_has_noticed_nothing(&witness, bomb.name);
            bomb_free(&bomb);
        }
        const struct pywatt_orchestrator_stats stats = host_stats(&host);
        assert_int_equal(stats.modules, 1);
        assert_in_range(stats.bad_frames + stats.requests_refused, bomb_count() / 2, bomb_count());
        witness_end(&witness);
        host_destroy(&host);
    }
}

static void are_refused_within_the_usual_limits(void **state)
{
    (void)state;
    an_orchestrator_withstands_them(DEFAULT_MAX_FRAME);
}

/* So that the bytes alone are no reason to refuse them. */
static void are_refused_where_frames_may_be_long(void **state)
{
    (void)state;
    an_orchestrator_withstands_them(LARGE_MAX_FRAME);
}

/* ---- Memory ----------------------------------------------------------------------------------- */

/* A sanitizer's own memory is not what is asked about. */
static bool memory_can_be_judged(void)
{
    return strcmp(pw_test_tool(), "asan") != 0 && strcmp(pw_test_tool(), "tsan") != 0;
}

/*
 * What the daemon took at most while the bomb was dealt with. A frame that is within the limits has to
 * be held itself; the allocator keeps that for the next one, so `held` only grows.
 */
static void judge_memory(const struct daemon *daemon, const struct bomb *bomb, long before_kib,
                         long held_kib)
{
    const long grown_kib = daemon_peak_kib(daemon) - before_kib;
    if (getenv("PYWATT_TEST_VERBOSE") != NULL) {
        print_message("%s: %zu bytes, %ld KiB\n", bomb->name, bomb->len, grown_kib);
    }
    if (memory_can_be_judged() && grown_kib >= 1024 + held_kib) {
        fail_msg("%s: the memory grew by %ld KiB", bomb->name, grown_kib);
    }
}

static void throw_all(const struct daemon *daemon, struct witness *witness, size_t max_frame)
{
    const long before_kib = daemon_memory_kib(daemon);
    long held_kib = 0;
    for (size_t i = 0; i < bomb_count(); i++) {
        struct bomb bomb = bomb_make(i, false);
        const long frame_kib = bomb.len <= max_frame ? (long)(bomb.len / KIB) : 0;
        held_kib = frame_kib > held_kib ? frame_kib + frame_kib / 4 : held_kib;
        daemon_forget_peak(daemon);
        throw_one(daemon->url, &bomb);
        witness_has_noticed_nothing(witness, bomb.name);
        judge_memory(daemon, &bomb, before_kib, held_kib);
        bomb_free(&bomb);
    }
}

static void a_daemon_keeps_its_memory(const char *max_frame_option, size_t max_frame)
{
    const char *const options[] = {"--workers=1", max_frame_option, NULL};
    struct daemon daemon;
    struct witness witness;
    daemon_init(&daemon, "tcp");
    daemon_start(&daemon, options);
    witness_begin(&witness, daemon.url, "json");
    throw_all(&daemon, &witness, max_frame);
    if (memory_can_be_judged()) {
        const long after_kib = daemon_memory_kib(&daemon);
        throw_all(&daemon, &witness, max_frame);
        throw_all(&daemon, &witness, max_frame);
        assert_in_range(daemon_memory_kib(&daemon), 0, after_kib + 512);
    }
    witness_end(&witness);
    daemon_signal(&daemon, SIGTERM);
    assert_true(daemon_wait(&daemon));
}

static void leave_no_memory_behind_within_the_usual_limits(void **state)
{
    (void)state;
    a_daemon_keeps_its_memory("--max-frame=1048576", DEFAULT_MAX_FRAME);
}

static void leave_no_memory_behind_where_frames_may_be_long(void **state)
{
    (void)state;
    a_daemon_keeps_its_memory("--max-frame=8388608", LARGE_MAX_FRAME);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(are_refused_within_the_usual_limits),
        cmocka_unit_test(are_refused_where_frames_may_be_long),
        cmocka_unit_test(leave_no_memory_behind_within_the_usual_limits),
        cmocka_unit_test(leave_no_memory_behind_where_frames_may_be_long),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rig.c - see rig.h. Everything but caller_run runs on the main thread.
 */
#include "rig.h"

#include "base/tool_hints.h"
#include "model/message.h"
#include "transport/memory.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The rig ------------------------------------------------------------------------------- */

static uint64_t fake_now_ns(const struct pw_clock *clock)
{
    const struct fake_clock *fake = (const struct fake_clock *)(const void *)clock;
    return atomic_load(&fake->now_ns);
}

void fake_clock_init(struct fake_clock *clock)
{
    clock->clock.now_ns = fake_now_ns;
    atomic_init(&clock->now_ns, pw_clock_now_ns(&pw_clock_monotonic));
}

static void count_wake(void *user)
{
    struct rig *rig = user;
    atomic_fetch_add(&rig->wakes, 1);
}

static void count_gone(void *user)
{
    struct rig *rig = user;
    atomic_fetch_add(&rig->gone, 1);
}

void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig->options = (struct pw_correlator_options){
        .url = "memory:rig",
        .codec = pw_codec_by_name("json"),
        .clock = &pw_clock_monotonic,
        .max_frame_bytes = PEER_MAX_FRAME,
        .max_in_flight = 1024,
        .tx_limit_bytes = PEER_MAX_FRAME,
        .counters = &rig->counters,
        .wake_pump = count_wake,
        .wake_user = rig,
        .gone = count_gone,
        .gone_user = rig,
    };
    assert_non_null(rig->options.codec);
}

void rig_connect_over(struct rig *rig, struct pw_conn *ours, struct pw_conn *theirs)
{
    peer_init(&rig->peer, theirs);
    assert_int_equal(pw_correlator_new(&rig->options, ours, &rig->correlator, NULL), PYWATT_OK);
}

void rig_connect(struct rig *rig)
{
    struct pw_conn *ours;
    struct pw_conn *theirs;
    assert_int_equal(pw_memory_pair(&ours, &theirs, NULL), PYWATT_OK);
    rig_connect_over(rig, ours, theirs);
}

void rig_start(struct rig *rig)
{
    rig_init(rig);
    rig_connect(rig);
}

void rig_end(struct rig *rig)
{
    pw_correlator_fail(rig->correlator, PYWATT_CLOSED, "the test is over");
    const struct pw_correlator_info info = rig_info(rig);
    assert_int_equal(info.in_flight, 0);
    assert_int_equal(info.parked, 0);
    assert_int_equal(info.fail_signals, info.fail_parked);
    assert_true(info.readers_max <= 1);
    pw_correlator_release(rig->correlator);
    assert_int_equal(atomic_load(&rig->gone), 1);
    peer_end(&rig->peer);
}

void rig_make_pipelined(struct rig *rig)
{
    struct caller caller;
    caller_go(&caller, rig, UINT32_MAX, PEER_PATIENCE_MS);
    peer_answer(&rig->peer, 1);
    caller_join(&caller);
    assert_own_reply(&caller);
    assert_true(rig_info(rig).pipelined);
}

struct pw_correlator_info rig_info(struct rig *rig)
{
    struct pw_correlator_info info;
    pw_correlator_get_info(rig->correlator, &info);
    return info;
}

enum what {
    READING,
    PARKED,
    WAITING,
    IN_FLIGHT,
    RECEIVED,
    DROPPED
};

struct expectation {
    struct rig *rig;
    enum what what;
    uint64_t count;
};

static bool is_met(void *user)
{
    const struct expectation *expected = user;
    const struct pw_correlator_info info = rig_info(expected->rig);
    switch (expected->what) {
    case READING: return info.reading;
    case PARKED: return info.parked == expected->count;
    case WAITING: return info.waiting == expected->count;
    case IN_FLIGHT: return info.in_flight == expected->count;
    case RECEIVED: return atomic_load(&expected->rig->counters.replies_received) == expected->count;
    case DROPPED: return atomic_load(&expected->rig->counters.replies_dropped) == expected->count;
    }
    return false;
}

static bool wait_until(struct rig *rig, enum what what, uint64_t count)
{
    struct expectation expected = {rig, what, count};
    return pw_test_wait_until(is_met, &expected, PEER_PATIENCE_MS);
}

bool rig_wait_reading(struct rig *rig)
{
    return wait_until(rig, READING, 0);
}

bool rig_wait_parked(struct rig *rig, uint32_t count)
{
    return wait_until(rig, PARKED, count);
}

bool rig_wait_waiting(struct rig *rig, uint32_t count)
{
    return wait_until(rig, WAITING, count);
}

bool rig_wait_in_flight(struct rig *rig, uint32_t count)
{
    return wait_until(rig, IN_FLIGHT, count);
}

bool rig_wait_received(struct rig *rig, uint64_t count)
{
    return wait_until(rig, RECEIVED, count);
}

bool rig_wait_dropped(struct rig *rig, uint64_t count)
{
    return wait_until(rig, DROPPED, count);
}

/* ---- Callers ------------------------------------------------------------------------------- */

void make_beat(struct pw_request *request, uint32_t number)
{
    pw_request_init(request);
    request->operation = PW_OP_HEARTBEAT;
    memcpy(request->module_id.bytes, &number, sizeof(number));
    request->module_id.bytes[15] = 1;
    request->token = PW_STR_LITERAL("a token");
    request->health = PYWATT_HEALTHY;
}

static bool is_reply_to(const struct pw_response *response, uint32_t number)
{
    char expected[32];
    const int len = snprintf(expected, sizeof(expected), "number %u ", number);
    return !response->success && response->error.len >= (size_t)len &&
           memcmp(response->error.data, expected, (size_t)len) == 0;
}

static void set_caller(struct caller *caller, uint32_t number, unsigned timeout_ms)
{
    memset(caller, 0, sizeof(*caller));
    caller->number = number;
    caller->operation = PW_OP_HEARTBEAT;
    caller->arena_budget = 4 * PEER_MAX_FRAME;
    caller->deadline_ns = (uint64_t)pw_test_deadline_ns(timeout_ms);
}

void caller_init(struct caller *caller, struct rig *rig, uint32_t number, unsigned timeout_ms)
{
    set_caller(caller, number, timeout_ms);
    caller->correlator = rig->correlator;
}

void caller_init_on(struct caller *caller, struct pw_channel *channel, uint32_t number,
                    unsigned timeout_ms)
{
    set_caller(caller, number, timeout_ms);
    caller->channel = channel;
}

/* Details of about `len` bytes. */
static struct pywatt_string_map *make_padding(size_t len)
{
    struct pywatt_string_map *map = pywatt_string_map_new();
    char key[16];
    char value[1001];
    memset(value, 'y', 1000);
    value[1000] = '\0';
    for (size_t i = 0; i * 1000 < len; i++) {
        snprintf(key, sizeof(key), "key%zu", i);
        if (pywatt_string_map_set(map, key, value) != PYWATT_OK) {
            abort();
        }
    }
    return map;
}

void caller_run(struct caller *caller)
{
    struct pw_request request;
    make_beat(&request, caller->number);
    request.operation = caller->operation;
    struct pywatt_string_map *padding = caller->padding > 0 ? make_padding(caller->padding) : NULL;
    request.details = padding;
    struct pw_arena arena;
    pw_arena_init(&arena, caller->arena_budget);
    struct pw_response response;
    pw_response_init(&response);
    caller->began_ns = pw_test_now_ns();
    caller->status = caller->channel != NULL
                         ? pw_channel_call(caller->channel, &request, caller->deadline_ns, &arena,
                                           &response, NULL, &caller->error)
                         : pw_correlator_call(caller->correlator, &request, caller->deadline_ns,
                                              &arena, &response, &caller->unsent, &caller->error);
    caller->ended_ns = pw_test_now_ns();
    if (caller->status == PYWATT_OK) {
        caller->own_reply = is_reply_to(&response, caller->number);
        caller->text_len = response.error.len;
    }
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
    pywatt_string_map_free(padding);
    atomic_store(&caller->finished, true);
}

static void *caller_main(void *user)
{
    caller_run(user);
    return NULL;
}

void caller_start(struct caller *caller)
{
    assert_int_equal(pthread_create(&caller->thread, NULL, caller_main, caller), 0);
}

void caller_go(struct caller *caller, struct rig *rig, uint32_t number, unsigned timeout_ms)
{
    caller_init(caller, rig, number, timeout_ms);
    caller_start(caller);
}

void caller_join(struct caller *caller)
{
    assert_int_equal(pthread_join(caller->thread, NULL), 0);
}

static unsigned plain_ms(int64_t ns)
{
    return ns < 0 ? 0 : (unsigned)(ns / 1000000 / pw_test_slow_factor());
}

unsigned caller_took_ms(const struct caller *caller)
{
    return plain_ms(caller->ended_ns - caller->began_ns);
}

unsigned caller_ended_after_ms(const struct caller *caller, int64_t since_ns)
{
    return plain_ms(caller->ended_ns - since_ns);
}

/* ---- Posts --------------------------------------------------------------------------------- */

static void post_done(struct pw_post *post, enum pywatt_status status,
                      const struct pw_response *response, const struct pywatt_error *error)
{
    struct posted *posted = PW_CONTAINER_OF(post, struct posted, post);
    posted->status = status;
    posted->own_reply = response != NULL && is_reply_to(response, posted->number);
    snprintf(posted->text, sizeof(posted->text), "%s", error->text);
    PW_HINT_RELEASE(&posted->runs);
    atomic_fetch_add(&posted->runs, 1);
}

static uint64_t prepare_post(struct posted *posted, uint32_t number, unsigned timeout_ms,
                             struct pw_request *request)
{
    memset(posted, 0, sizeof(*posted));
    posted->number = number;
    posted->post = (struct pw_post){.done = post_done};
    make_beat(request, number);
    return (uint64_t)pw_test_deadline_ns(timeout_ms);
}

enum pywatt_status posted_post(struct posted *posted, struct rig *rig, uint32_t number,
                               unsigned timeout_ms)
{
    struct pw_request request;
    const uint64_t deadline_ns = prepare_post(posted, number, timeout_ms, &request);
    return pw_correlator_post(rig->correlator, &request, deadline_ns, &posted->post, NULL);
}

enum pywatt_status posted_post_on(struct posted *posted, struct pw_channel *channel,
                                  uint32_t number, unsigned timeout_ms)
{
    return posted_post_for(posted, channel, number, timeout_ms, 0);
}

enum pywatt_status posted_post_for(struct posted *posted, struct pw_channel *channel,
                                   uint32_t number, unsigned timeout_ms, uint64_t only_epoch)
{
    struct pw_request request;
    const uint64_t deadline_ns = prepare_post(posted, number, timeout_ms, &request);
    request.only_epoch = only_epoch;
    return pw_channel_post(channel, &request, deadline_ns, &posted->post, NULL);
}

static bool has_run(void *user)
{
    struct posted *posted = user;
    return atomic_load(&posted->runs) > 0;
}

bool posted_wait(struct posted *posted)
{
    const bool run = pw_test_wait_until(has_run, posted, PEER_PATIENCE_MS);
    PW_HINT_ACQUIRE(&posted->runs);
    return run;
}

bool pump_once(struct rig *rig, int timeout_ms)
{
    struct pollfd fd;
    if (!pw_correlator_pump_begin(rig->correlator, &fd)) {
        return false;
    }
    const int ready = poll(&fd, 1, timeout_ms);
    pw_correlator_pump_end(rig->correlator, ready > 0 ? fd.revents : 0);
    return true;
}

void pump_until_run(struct rig *rig, struct posted *posted)
{
    const int64_t deadline_ns = pw_test_deadline_ns(PEER_PATIENCE_MS);
    while (atomic_load(&posted->runs) == 0 && pw_test_now_ns() < deadline_ns) {
        pump_once(rig, 1000);
    }
    assert_int_equal(atomic_load(&posted->runs), 1);
}

void pause_ms(unsigned ms)
{
    poll(NULL, 0, (int)ms);
}

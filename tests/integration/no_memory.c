/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Real client, real orchestrator, and no memory: in each scenario every allocation fails once, that
 * of the calling thread, or that of any thread of the two. It ends with a status, never with a crash,
 * a leak (which sanitizers and Valgrind see) or a hang, no descriptor is left behind, and afterwards
 * the same thing works.
 */
#include "malloc_fail.h"
#include "scenarios.h"

#include <stdlib.h>

/* Every allocation in a plain run; where a tool makes it slow, a choice of them. */
static unsigned long step(unsigned long n)
{
    const unsigned factor = pw_test_slow_factor();
    return factor == 1 ? 1 : 1 + n / (factor <= 4 ? 16 : 4);
}

/* What may come of it: of our own want of memory, or also of that of the others. */
static bool is_fair(enum pywatt_status status, bool any_thread)
{
    switch (status) {
    case PYWATT_OK:
    case PYWATT_NO_MEMORY: return true;
    case PYWATT_CHANNEL:
    case PYWATT_CONNECTION:
    case PYWATT_UNAVAILABLE:
    case PYWATT_IO: return any_thread;
    default: return false;
    }
}

static unsigned long fail_each(struct stage *stage, const struct scenario *scenario,
                               bool any_thread)
{
    unsigned long n = 1;
    for (bool fired = true; fired; n += step(n)) {
        stage_set(stage);
        (any_thread ? pw_malloc_fail_at_any_thread : pw_malloc_fail_at)(n);
        const enum pywatt_status status = scenario->run(stage);
        fired = pw_malloc_fail_disarm();
        if (fired ? !is_fair(status, any_thread) : status != PYWATT_OK) {
            fail_msg("%s, %s, allocation %lu: %s", scenario->name, stage->codec, n,
                     pywatt_status_name(status));
        }
        stage_strike(stage);
        stage_set(stage);
        if (scenario->run(stage) != PYWATT_OK) {
            fail_msg("%s, %s, after allocation %lu failed: it does not work any more",
                     scenario->name, stage->codec, n);
        }
        stage_strike(stage);
    }
    return n;
}

/* Where it is there, leaks are counted; elsewhere tools look for them. */
__attribute__((weak)) long pw_live_allocations(void);

static void try_scenario(struct stage *stage, const struct scenario *scenario, bool any_thread)
{
    long live = 0;
    unsigned grown = 0;
    unsigned long tried = 0;
    for (unsigned i = 0; i < (pw_live_allocations == NULL ? 1 : 3); i++) {
        const long live_before = live;
        host_begin(&stage->host, "memory");
        tried = fail_each(stage, scenario, any_thread);
        host_destroy(&stage->host);
        assert_in_range(tried, 2, 5000);
        live = pw_live_allocations == NULL ? 0 : pw_live_allocations();
        /* The first time, others take what they keep for good. */
        grown += i > 0 && live > live_before;
    }
    if (grown == 2) {
        fail_msg("%s, %s: memory is left behind, each time", scenario->name, stage->codec);
    }
    if (getenv("PYWATT_TEST_VERBOSE") != NULL) {
        print_message("%s: %lu allocations\n", scenario->name, tried);
    }
}

static void fail_all(void **state, bool any_thread)
{
    struct stage stage = {.codec = *state};
    const size_t descriptors = pw_test_open_fds();
    sem_init(&stage.told, 0, 0);
    for (size_t i = 0; i < scenario_count; i++) {
        try_scenario(&stage, &scenarios[i], any_thread);
    }
    sem_destroy(&stage.told);
    assert_int_equal(pw_test_open_fds(), descriptors);
}

static void the_calling_thread_has_no_memory(void **state)
{
    fail_all(state, false);
}

static void some_thread_has_no_memory(void **state)
{
    fail_all(state, true);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        {"the_calling_thread_has_no_memory, json", the_calling_thread_has_no_memory, NULL, NULL,
         (void *)(uintptr_t) "json"},
        {"the_calling_thread_has_no_memory, protobuf", the_calling_thread_has_no_memory, NULL, NULL,
         (void *)(uintptr_t) "protobuf"},
        {"some_thread_has_no_memory, json", some_thread_has_no_memory, NULL, NULL,
         (void *)(uintptr_t) "json"},
        {"some_thread_has_no_memory, protobuf", some_thread_has_no_memory, NULL, NULL,
         (void *)(uintptr_t) "protobuf"},
    };
    return PW_TEST_RUN(cases);
}

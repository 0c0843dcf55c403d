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

enum {
    ALLOCATIONS_MAX = 5000
};

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

struct tally {
    unsigned long failures; /* runs in which an allocation was made to fail */
    unsigned long last;     /* the last allocation that was */
};

static void run_short_of(struct stage *stage, const struct scenario *scenario, bool any_thread,
                         unsigned long n, struct tally *tally)
{
    stage_set(stage);
    (any_thread ? pw_malloc_fail_at_any_thread : pw_malloc_fail_at)(n);
    const enum pywatt_status status = scenario->run(stage);
    const bool fired = pw_malloc_fail_disarm();
    if (fired ? !is_fair(status, any_thread) : status != PYWATT_OK) {
        fail_msg("%s, %s, allocation %lu: %s", scenario->name, stage->codec, n,
                 pywatt_status_name(status));
    }
    if (!any_thread) { /* another may be in the middle of an allocation */
        assert_int_equal(fired, pw_malloc_fail_count() >= n);
    }
    stage_strike(stage);
    if (fired) {
        tally->failures++;
        tally->last = n;
    }
}

static void run_with_memory(struct stage *stage, const struct scenario *scenario, unsigned long n)
{
    stage_set(stage);
    if (scenario->run(stage) != PYWATT_OK) {
        fail_msg("%s, %s, after allocation %lu failed: it does not work any more", scenario->name,
                 stage->codec, n);
    }
    stage_strike(stage);
}

/* The first allocation fails, a later one in each run, until a run makes fewer than that. */
static struct tally fail_each(struct stage *stage, const struct scenario *scenario, bool any_thread)
{
    struct tally tally = {.failures = 0};
    bool fired = true;
    for (unsigned long n = 1; fired; n += step(n)) {
        assert_in_range(n, 1, ALLOCATIONS_MAX);
        run_short_of(stage, scenario, any_thread, n, &tally);
        run_with_memory(stage, scenario, n);
        fired = tally.last == n;
    }
    return tally;
}

/* Where it is there, leaks are counted; elsewhere tools look for them. */
__attribute__((weak)) long pw_live_allocations(void);

static void try_scenario(struct stage *stage, const struct scenario *scenario, bool any_thread)
{
    long live = 0;
    unsigned grown = 0;
    struct tally tally = {.failures = 0};
    for (unsigned i = 0; i < (pw_live_allocations == NULL ? 1 : 3); i++) {
        const long live_before = live;
        host_begin(&stage->host, "memory");
        tally = fail_each(stage, scenario, any_thread);
        host_destroy(&stage->host);
        if ((any_thread || scenario->allocates) && tally.failures == 0) {
            fail_msg("%s, %s: no allocation was made to fail", scenario->name, stage->codec);
        }
        live = pw_live_allocations == NULL ? 0 : pw_live_allocations();
        /* The first time, others take what they keep for good. */
        grown += i > 0 && live > live_before;
    }
    if (grown == 2) {
        fail_msg("%s, %s: memory is left behind, each time", scenario->name, stage->codec);
    }
    if (getenv("PYWATT_TEST_VERBOSE") != NULL) {
        print_message("%s: %lu failures, the last of allocation %lu\n", scenario->name,
                      tally.failures, tally.last);
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

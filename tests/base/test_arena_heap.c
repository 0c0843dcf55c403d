/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How much heap an arena holds at most, whatever the messages are like that follow each other in it,
 * each with blocks of the one before. One thread.
 */
#include "pw_test.h"

#include "base/arena.h"
#include "heap_peak.h"

#define BUDGET ((size_t)200000)

static uint32_t draw(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

/* Allocations of up to `largest` bytes until the budget is out, or by chance before. */
static void allocate_a_message(struct pw_arena *arena, uint32_t *random, size_t largest)
{
    const unsigned end = 1 + draw(random) % 300;
    unsigned i = 0;
    while (i < end && pw_arena_alloc(arena, draw(random) % largest) != NULL) {
        i++;
    }
}

static void holds_at_most_twice_its_budget_whatever_comes_after_what(void **state)
{
    (void)state;
    uint32_t random = 1;
    struct pw_arena arena;
    pw_arena_init(&arena, BUDGET);
    pw_heap_peak_start();
    for (int i = 0; i < 3000; i++) {
        static const size_t largest[] = {16, 300, 5000, 50000, BUDGET};
        allocate_a_message(&arena, &random, largest[draw(&random) % 5]);
        pw_arena_reset(&arena);
    }
    const size_t peak = pw_heap_peak_stop();
    assert_in_range(peak, BUDGET, 2 * BUDGET + 4096);
    pw_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(holds_at_most_twice_its_budget_whatever_comes_after_what),
    };
    return PW_TEST_RUN(cases);
}

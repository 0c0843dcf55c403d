/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pauses between attempts: which policy pauses how long, and when it gives up. */
#include "transport/backoff.h"

#include <pw_test.h>

#define SEED 42

static void none_never_tries_again(void **state)
{
    (void)state;
    struct pw_backoff backoff;
    uint32_t pause_ms = 7;
    pw_backoff_init(&backoff, PW_BACKOFF_NONE, 100, 1000, 0, SEED);
    assert_false(pw_backoff_failed(&backoff, &pause_ms));
    assert_false(pw_backoff_failed(&backoff, &pause_ms));
    assert_int_equal(backoff.attempts, 2);
}

static void fixed_pauses_the_same_each_time(void **state)
{
    (void)state;
    struct pw_backoff backoff;
    pw_backoff_init(&backoff, PW_BACKOFF_FIXED, 250, 100, 0, SEED);
    for (int i = 0; i < 1000; i++) {
        uint32_t pause_ms = 0;
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_int_equal(pause_ms, 250);
    }
}

static void gives_up_after_the_last_attempt(void **state)
{
    (void)state;
    const enum pw_backoff_policy policies[] = {PW_BACKOFF_FIXED, PW_BACKOFF_EXPONENTIAL};
    for (size_t i = 0; i < 2; i++) {
        struct pw_backoff backoff;
        uint32_t pause_ms = 0;
        pw_backoff_init(&backoff, policies[i], 10, 10, 3, SEED);
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_false(pw_backoff_failed(&backoff, &pause_ms));
        assert_false(pw_backoff_failed(&backoff, &pause_ms));
        pw_backoff_reset(&backoff);
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_int_equal(backoff.attempts, 1);
    }
}

static void one_attempt_is_one_attempt(void **state)
{
    (void)state;
    struct pw_backoff backoff;
    uint32_t pause_ms = 0;
    pw_backoff_init(&backoff, PW_BACKOFF_FIXED, 10, 10, 1, SEED);
    assert_false(pw_backoff_failed(&backoff, &pause_ms));
}

/* Smallest, largest and mean pause after the n-th failure in a row, over many runs. */
static void measure(uint32_t delay_ms, uint32_t max_delay_ms, unsigned n, uint32_t *least,
                    uint32_t *most, double *mean)
{
    const unsigned runs = 4000;
    double sum = 0;
    *least = UINT32_MAX;
    *most = 0;
    struct pw_backoff backoff;
    pw_backoff_init(&backoff, PW_BACKOFF_EXPONENTIAL, delay_ms, max_delay_ms, 0, SEED);
    for (unsigned run = 0; run < runs; run++) {
        uint32_t pause_ms = 0;
        pw_backoff_reset(&backoff);
        for (unsigned i = 0; i <= n; i++) {
            assert_true(pw_backoff_failed(&backoff, &pause_ms));
        }
        *least = pause_ms < *least ? pause_ms : *least;
        *most = pause_ms > *most ? pause_ms : *most;
        sum += pause_ms;
    }
    *mean = sum / runs;
}

static void exponential_is_uniform_up_to_a_doubling_bound(void **state)
{
    (void)state;
    /* The seed is fixed, so these bounds hold always or never: 4000 draws miss them by chance with
     * less than one in a million. */
    uint32_t bound = 200;
    for (unsigned n = 0; n < 12; n++) {
        uint32_t least;
        uint32_t most;
        double mean;
        measure(200, 30000, n, &least, &most, &mean);
        assert_true(most <= bound);
        assert_true(most >= bound - bound / 100 - 1);
        assert_true(least <= bound / 100 + 1);
        assert_true(mean > bound * 0.47 && mean < bound * 0.53);
        bound = bound * 2 < 30000 ? bound * 2 : 30000;
    }
}

static void every_pause_up_to_the_bound_occurs(void **state)
{
    (void)state;
    struct pw_backoff backoff;
    bool seen[8] = {false};
    pw_backoff_init(&backoff, PW_BACKOFF_EXPONENTIAL, 7, 7, 0, SEED);
    for (int i = 0; i < 1000; i++) {
        uint32_t pause_ms = 0;
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_true(pause_ms <= 7);
        seen[pause_ms] = true;
    }
    for (size_t i = 0; i < 8; i++) {
        assert_true(seen[i]);
    }
}

static void no_number_of_failures_overflows(void **state)
{
    (void)state;
    struct pw_backoff backoff;
    uint32_t pause_ms = 0;
    uint32_t most = 0;
    pw_backoff_init(&backoff, PW_BACKOFF_EXPONENTIAL, UINT32_MAX - 1, UINT32_MAX, 0, SEED);
    for (int i = 0; i < 300; i++) {
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        most = pause_ms > most ? pause_ms : most;
    }
    assert_true(most > UINT32_MAX / 2);
    backoff.attempts = UINT32_MAX - 1;
    assert_true(pw_backoff_failed(&backoff, &pause_ms));
    assert_true(pw_backoff_failed(&backoff, &pause_ms));
    assert_int_equal(backoff.attempts, UINT32_MAX);

    pw_backoff_init(&backoff, PW_BACKOFF_EXPONENTIAL, 1, 100, 0, SEED);
    for (int i = 0; i < 300; i++) {
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_true(pause_ms <= 100);
    }
}

static void no_delay_is_no_pause(void **state)
{
    (void)state;
    struct pw_backoff backoff;
    uint32_t pause_ms = 1;
    pw_backoff_init(&backoff, PW_BACKOFF_EXPONENTIAL, 0, 1000, 0, SEED);
    for (int i = 0; i < 100; i++) {
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_int_equal(pause_ms, 0);
    }
    pw_backoff_init(&backoff, PW_BACKOFF_EXPONENTIAL, 1000, 0, 0, SEED);
    assert_true(pw_backoff_failed(&backoff, &pause_ms));
    assert_int_equal(pause_ms, 0);
}

static void the_longest_delay_bounds_the_first_pause_too(void **state)
{
    (void)state;
    struct pw_backoff backoff;
    pw_backoff_init(&backoff, PW_BACKOFF_EXPONENTIAL, 5000, 50, 0, SEED);
    for (int i = 0; i < 100; i++) {
        uint32_t pause_ms = 0;
        assert_true(pw_backoff_failed(&backoff, &pause_ms));
        assert_true(pause_ms <= 50);
    }
}

/* How many of 64 pauses two objects have in common. */
static unsigned common_pauses(uint64_t seed_a, uint64_t seed_b)
{
    struct pw_backoff a;
    struct pw_backoff b;
    unsigned common = 0;
    pw_backoff_init(&a, PW_BACKOFF_EXPONENTIAL, 1000000, 1000000, 0, seed_a);
    pw_backoff_init(&b, PW_BACKOFF_EXPONENTIAL, 1000000, 1000000, 0, seed_b);
    for (int i = 0; i < 64; i++) {
        uint32_t pause_a = 0;
        uint32_t pause_b = 1;
        assert_true(pw_backoff_failed(&a, &pause_a));
        assert_true(pw_backoff_failed(&b, &pause_b));
        common += pause_a == pause_b;
    }
    return common;
}

static void a_seed_repeats_and_the_systems_does_not(void **state)
{
    (void)state;
    assert_int_equal(common_pauses(SEED, SEED), 64);
    assert_true(common_pauses(SEED, SEED + 1) < 8);
    assert_true(common_pauses(0, 0) < 8);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(none_never_tries_again),
        cmocka_unit_test(fixed_pauses_the_same_each_time),
        cmocka_unit_test(gives_up_after_the_last_attempt),
        cmocka_unit_test(one_attempt_is_one_attempt),
        cmocka_unit_test(exponential_is_uniform_up_to_a_doubling_bound),
        cmocka_unit_test(every_pause_up_to_the_bound_occurs),
        cmocka_unit_test(no_number_of_failures_overflows),
        cmocka_unit_test(no_delay_is_no_pause),
        cmocka_unit_test(the_longest_delay_bounds_the_first_pause_too),
        cmocka_unit_test(a_seed_repeats_and_the_systems_does_not),
    };
    return PW_TEST_RUN(cases);
}

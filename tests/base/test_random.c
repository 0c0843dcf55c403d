/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Numbers that spread clients: within their bounds, all of them, evenly, and not the same for each.
 */
#include "base/random.h"

#include "pw_test.h"

#include <stdatomic.h>

static void stays_below_and_leaves_nothing_out(void **state)
{
    (void)state;
    enum {
        CHOICES = 10,
        DRAWS = 10000
    };
    unsigned count[CHOICES] = {0};
    uint64_t random = 42;
    for (int i = 0; i < DRAWS; i++) {
        const uint64_t one = pw_random_below(pw_random_next(&random), CHOICES);
        assert_true(one < CHOICES);
        count[one]++;
    }
    for (int i = 0; i < CHOICES; i++) {
        assert_in_range(count[i], DRAWS / CHOICES * 8 / 10, DRAWS / CHOICES * 12 / 10);
    }
}

static void nothing_to_choose_from_is_0(void **state)
{
    (void)state;
    assert_int_equal(pw_random_below(UINT64_MAX, 0), 0);
    assert_int_equal(pw_random_below(UINT64_MAX, 1), 0);
    assert_int_equal(pw_random_below(UINT64_MAX, UINT32_MAX), UINT32_MAX - 1);
}

static void a_seed_repeats_and_another_does_not(void **state)
{
    (void)state;
    uint64_t a = 7;
    uint64_t b = 7;
    uint64_t c = 8;
    _Atomic uint64_t shared = 7;
    for (int i = 0; i < 100; i++) {
        const uint64_t next = pw_random_next(&a);
        assert_true(next == pw_random_next(&b));
        assert_true(next == pw_random_next_shared(&shared));
        assert_true(next != pw_random_next(&c));
    }
    assert_true(pw_random_seed() != pw_random_seed());
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(stays_below_and_leaves_nothing_out),
        cmocka_unit_test(nothing_to_choose_from_is_0),
        cmocka_unit_test(a_seed_repeats_and_another_does_not),
    };
    return PW_TEST_RUN(cases);
}

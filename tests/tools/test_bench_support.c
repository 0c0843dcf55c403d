/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The histogram that the measurements rest on. */
#include "pw_test.h"
#include "support/histogram.h"

#include <stdlib.h>

static void is_empty_at_first(void **state)
{
    struct bench_histogram *histogram = bench_histogram_new();

    (void)state;
    assert_int_equal(bench_histogram_at(histogram, 500), 0);
    assert_int_equal(bench_histogram_at(histogram, 1000), 0);
    free(histogram);
}

static void small_values_are_exact(void **state)
{
    struct bench_histogram *histogram = bench_histogram_new();

    (void)state;
    for (uint64_t value = 1; value <= 200; value++) {
        bench_histogram_add(histogram, value);
    }
    assert_int_equal(bench_histogram_at(histogram, 5), 1);
    assert_int_equal(bench_histogram_at(histogram, 500), 100);
    assert_int_equal(bench_histogram_at(histogram, 990), 198);
    assert_int_equal(bench_histogram_at(histogram, 1000), 200);
    free(histogram);
}

static void every_value_is_known_to_better_than_one_percent(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (uint64_t part = 0; part < 8; part++) {
            uint64_t value = (UINT64_C(1) << shift) + (part << (shift < 3 ? 0 : shift - 3));
            struct bench_histogram *histogram = bench_histogram_new();
            bench_histogram_add(histogram, value);
            bench_histogram_add(histogram, UINT64_MAX);
            uint64_t at = bench_histogram_at(histogram, 500);
            assert_true(at >= value);
            assert_true(at - value <= value / 100);
            free(histogram);
        }
    }
}

static void the_largest_value_is_exact(void **state)
{
    struct bench_histogram *histogram = bench_histogram_new();

    (void)state;
    bench_histogram_add(histogram, 1000003);
    assert_int_equal(bench_histogram_at(histogram, 1), 1000003);
    bench_histogram_add(histogram, UINT64_MAX);
    assert_true(bench_histogram_at(histogram, 1000) == UINT64_MAX);
    free(histogram);
}

static void merging_is_adding_all(void **state)
{
    struct bench_histogram *a = bench_histogram_new();
    struct bench_histogram *b = bench_histogram_new();

    (void)state;
    for (uint64_t value = 1; value <= 50; value++) {
        bench_histogram_add(a, value);
        bench_histogram_add(b, value + 50);
    }
    bench_histogram_merge(a, b);
    assert_int_equal(a->count, 100);
    assert_int_equal(bench_histogram_at(a, 500), 50);
    assert_int_equal(bench_histogram_at(a, 1000), 100);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(is_empty_at_first),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(every_value_is_known_to_better_than_one_percent),
        cmocka_unit_test(the_largest_value_is_exact),
        cmocka_unit_test(merging_is_adding_all),
    };

    return PW_TEST_RUN(cases);
}

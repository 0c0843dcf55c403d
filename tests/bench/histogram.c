/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The histogram that the measurements rest on. */
#include "support/histogram.h"
#include "pw_test.h"

#include <stdlib.h>

static void is_empty_at_first(void **state)
{
    struct bench_histogram *histogram = bench_histogram_new();

    (void)state;
    assert_int_equal(bench_histogram_at(histogram, 500000), 0);
    assert_int_equal(bench_histogram_at(histogram, 1000000), 0);
    free(histogram);
}

static void small_values_are_exact(void **state)
{
    struct bench_histogram *histogram = bench_histogram_new();

    (void)state;
    for (uint64_t value = 1; value <= 200; value++) {
        bench_histogram_add(histogram, value);
    }
    assert_int_equal(bench_histogram_at(histogram, 5000), 1);
    assert_int_equal(bench_histogram_at(histogram, 500000), 100);
    assert_int_equal(bench_histogram_at(histogram, 990000), 198);
    assert_int_equal(bench_histogram_at(histogram, 1000000), 200);
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
            uint64_t at = bench_histogram_at(histogram, 500000);
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
    assert_true(bench_histogram_at(histogram, 1000000) == UINT64_MAX);
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
    assert_int_equal(bench_histogram_at(a, 500000), 50);
    assert_int_equal(bench_histogram_at(a, 1000000), 100);
    free(a);
    free(b);
}

static void the_far_tail_is_seen(void **state)
{
    struct bench_histogram *histogram = bench_histogram_new();

    (void)state;
    for (unsigned i = 0; i < 9999; i++) {
        bench_histogram_add(histogram, 10);
    }
    bench_histogram_add(histogram, 77);
    assert_int_equal(bench_histogram_at(histogram, BENCH_P9999), 10);
    bench_histogram_add(histogram, 77);
    assert_int_equal(bench_histogram_at(histogram, BENCH_P9999), 77);
    free(histogram);
}

static void a_stall_counts_for_all_that_it_kept_from_happening(void **state)
{
    struct bench_histogram *histogram = bench_histogram_new();

    (void)state;
    /* 99 calls of 1, one every 10, and one of 100 in whose time 9 more were due. */
    for (unsigned i = 0; i < 99; i++) {
        bench_histogram_add(histogram, 1);
    }
    bench_histogram_add(histogram, 100);
    struct bench_histogram *corrected = bench_histogram_corrected(histogram, 10);
    assert_int_equal(corrected->count, 109);
    assert_int_equal(corrected->buckets[1], 99);
    for (unsigned value = 10; value <= 100; value += 10) {
        assert_int_equal(corrected->buckets[value], 1);
    }
    assert_int_equal(histogram->count, 100);
    free(corrected);
    free(histogram);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(is_empty_at_first),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(every_value_is_known_to_better_than_one_percent),
        cmocka_unit_test(the_largest_value_is_exact),
        cmocka_unit_test(merging_is_adding_all),
        cmocka_unit_test(the_far_tail_is_seen),
        cmocka_unit_test(a_stall_counts_for_all_that_it_kept_from_happening),
    };

    return PW_TEST_RUN(cases);
}

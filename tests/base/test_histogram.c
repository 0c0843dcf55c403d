/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Histograms of durations: which bucket takes what, percentiles, and the recorder. One thread.
 */
#include "pw_test.h"

#include "base/histogram.h"

#include <pywatt/histogram.h>
#include <string.h>

static struct pw_recorder recorder;
static struct pywatt_histogram histogram;

static int set_up(void **state)
{
    (void)state;
    pw_recorder_init(&recorder);
    return 0;
}

static unsigned bucket_taking(uint64_t duration_ns)
{
    pw_recorder_init(&recorder);
    pw_recorder_add(&recorder, duration_ns, 1);
    pw_recorder_read(&recorder, &histogram);
    assert_int_equal(histogram.count, 1);
    for (unsigned i = 0; i < PYWATT_HISTOGRAM_BUCKETS; i++) {
        if (histogram.buckets[i] == 1) {
            return i;
        }
    }
    fail_msg("no bucket took it");
    return 0;
}

static void buckets_join_without_gaps(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PYWATT_HISTOGRAM_BUCKETS - 1; i++) {
        const uint64_t bound_ns = pywatt_histogram_bound_ns(i);
        assert_int_equal(bucket_taking(bound_ns), i);
        assert_int_equal(bucket_taking(bound_ns + 1), i + 1);
    }
    assert_int_equal(bucket_taking(0), 0);
    assert_int_equal(bucket_taking(UINT64_MAX), PYWATT_HISTOGRAM_BUCKETS - 1);
    assert_true(pywatt_histogram_bound_ns(PYWATT_HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
    assert_true(pywatt_histogram_bound_ns(PYWATT_HISTOGRAM_BUCKETS + 5) == UINT64_MAX);
    assert_true(pywatt_histogram_bound_ns(PYWATT_HISTOGRAM_BUCKETS - 2) == (UINT64_C(1) << 36) - 1);
}

static void buckets_are_no_wider_than_an_eighth(void **state)
{
    (void)state;
    for (unsigned i = 1; i < PYWATT_HISTOGRAM_BUCKETS - 1; i++) {
        const uint64_t below = pywatt_histogram_bound_ns(i - 1) + 1;
        const uint64_t bound = pywatt_histogram_bound_ns(i);
        assert_true((bound - below + 1) * 8 <= below);
    }
}

static void finds_percentiles(void **state)
{
    (void)state;
    for (uint64_t us = 1; us <= 1000; us++) {
        pw_recorder_add(&recorder, us * 10000, 1);
    }
    pw_recorder_read(&recorder, &histogram);
    static const uint32_t shares[] = {1, 1000, 10000, 250000, 500000, 900000, 990000, 999000};
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        const uint64_t rank = (shares[i] + 999) / 1000;
        const uint64_t exact = rank * 10000;
        const uint64_t found = pywatt_histogram_at(&histogram, shares[i]);
        if (found < exact || found > exact + exact / 8) {
            fail_msg("%u: %lu instead of %lu", shares[i], (unsigned long)found,
                     (unsigned long)exact);
        }
    }
    assert_int_equal(pywatt_histogram_at(&histogram, 1000000), 10000000);
    assert_int_equal(pywatt_histogram_at(&histogram, UINT32_MAX), 10000000);
    assert_int_equal(histogram.sum_ns, UINT64_C(10000) * 500500);
}

static void has_no_percentile_of_nothing(void **state)
{
    (void)state;
    pw_recorder_read(&recorder, &histogram);
    assert_int_equal(pywatt_histogram_at(&histogram, 500000), 0);
    assert_int_equal(pywatt_histogram_at(NULL, 500000), 0);
}

static void never_exceeds_the_longest(void **state)
{
    (void)state;
    pw_recorder_add(&recorder, 1, 5);
    pw_recorder_read(&recorder, &histogram);
    assert_int_equal(pywatt_histogram_at(&histogram, 500000), 1);
    pw_recorder_add(&recorder, UINT64_C(1) << 40, 95);
    pw_recorder_read(&recorder, &histogram);
    assert_int_equal(histogram.count, 100);
    assert_true(pywatt_histogram_at(&histogram, 500000) == UINT64_C(1) << 40);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup(buckets_join_without_gaps, set_up),
        cmocka_unit_test_setup(buckets_are_no_wider_than_an_eighth, set_up),
        cmocka_unit_test_setup(finds_percentiles, set_up),
        cmocka_unit_test_setup(has_no_percentile_of_nothing, set_up),
        cmocka_unit_test_setup(never_exceeds_the_longest, set_up),
    };
    return PW_TEST_RUN(cases);
}

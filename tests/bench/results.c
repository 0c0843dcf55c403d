/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How measurements become results: medians, ratios within a run, bars, files. */
#include "support/results.h"
#include "pw_test.h"
#include "support/bars.h"
#include "support/folder.h"
#include "support/progress.h"
#include "support/ticks.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void the_median_is_the_middle(void **state)
{
    double odd[] = {5, 1, 3};
    double even[] = {4, 1, 3, 2};

    (void)state;
    assert_true(bench_median(odd, 3) == 3);
    assert_true(bench_median(even, 4) == 2.5);
    assert_true(bench_median(odd, 0) == 0);
}

/* What bench_results_finish wrote as SUBJECT.json: the object in that line. */
static cJSON *line_of(const char *folder, const char *subject, unsigned number)
{
    char path[256];
    char line[2048];

    snprintf(path, sizeof(path), "%s/parts/%s.json", folder, subject);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (unsigned i = 0; i <= number; i++) {
        assert_non_null(fgets(line, sizeof(line), file));
    }
    fclose(file);
    cJSON *object = cJSON_Parse(line);
    assert_non_null(object);
    return object;
}

static double number_in(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static const cJSON *in(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_non_null(item);
    return item;
}

static void ratios_are_taken_within_a_run(void **state)
{
    char folder[64];

    (void)state;
    bench_folder_scratch(folder, sizeof(folder));
    struct bench_settings settings = {.subject = "threads", .out = folder, .step = ""};
    struct bench_results *results = bench_results_new(&settings);
    /* The machine became ten times slower for both in the second run, so the ratio stays. */
    const double ours[] = {200, 21, 230};
    const double theirs[] = {100, 10, 100};
    for (unsigned i = 0; i < 3; i++) {
        bench_results_against(results, "beats, 64 threads", "/s", ours[i], "1 thread", theirs[i]);
    }
    bench_results_add(results, "a \"new\" one", "us", 7);
    bench_results_skip(results, "beats, 64 threads", "etcd", "not there");
    assert_int_equal(bench_results_finish(results), 0);

    cJSON *first = line_of(folder, "threads", 0);
    assert_string_equal(in(first, "subject")->valuestring, "threads");
    assert_true(number_in(first, "value") == 200);
    assert_true(number_in(first, "peer_value") == 100);
    assert_true(number_in(first, "ratio") == 2.1);
    assert_string_equal(in(first, "bar")->valuestring, "ratio >= 2");
    assert_true(cJSON_IsTrue(in(first, "bar_met")));
    assert_int_equal(cJSON_GetArraySize(in(first, "runs")), 3);
    cJSON_Delete(first);
    cJSON *second = line_of(folder, "threads", 1);
    assert_string_equal(in(second, "metric")->valuestring, "a \"new\" one");
    assert_true(cJSON_IsNull(in(second, "peer")));
    assert_true(cJSON_IsNull(in(second, "ratio")));
    assert_true(cJSON_IsNull(in(second, "bar_met")));
    cJSON_Delete(second);
    cJSON *third = line_of(folder, "threads", 2);
    assert_true(cJSON_IsNull(in(third, "value")));
    assert_string_equal(in(third, "peer")->valuestring, "etcd");
    assert_string_equal(in(third, "skipped")->valuestring, "not there");
    cJSON_Delete(third);
    bench_folder_remove(folder);
}

static void quick_judges_nothing(void **state)
{
    char folder[64];

    (void)state;
    bench_folder_scratch(folder, sizeof(folder));
    struct bench_settings settings = {.subject = "loop", .quick = true, .out = folder, .step = ""};
    struct bench_results *results = bench_results_new(&settings);
    bench_results_add(results, "beats", "/s", 1000);
    assert_int_equal(bench_results_finish(results), 0);
    cJSON *object = line_of(folder, "loop", 0);
    assert_string_equal(in(object, "bar")->valuestring, "value >= 999");
    assert_true(cJSON_IsNull(in(object, "bar_met")));
    cJSON_Delete(object);
    bench_folder_remove(folder);
}

static void a_bar_is_met_at_its_limit(void **state)
{
    const struct bench_bar *most = bench_bar_find("round-trip", "p50 tcp protobuf", "raw tcp echo");
    const struct bench_bar *least = bench_bar_find("loop", "beats", NULL);

    (void)state;
    assert_non_null(most);
    assert_non_null(least);
    assert_true(bench_bar_met(most, 1e9, 1.25));
    assert_false(bench_bar_met(most, 0, 1.26));
    assert_true(bench_bar_met(least, 999, 0));
    assert_false(bench_bar_met(least, 998.9, 1e9));
    assert_null(bench_bar_find("loop", "beats", "somebody"));
    assert_null(bench_bar_find("loops", "beats", NULL));
}

static void lateness_counts_from_the_punctual(void **state)
{
    struct bench_histogram *late = bench_histogram_new();
    struct bench_ticks ticks;

    (void)state;
    bench_ticks_init(&ticks, 1000, 200);
    for (uint64_t i = 0; i < 140; i++) {
        /* The first is 30 late, number 20 is 400 late, number 60 even 900; 25 never comes. */
        if (i != 25) {
            bench_ticks_add(&ticks, 5000 + i * 1000 +
                                        (i == 0    ? 30
                                         : i == 20 ? 400
                                         : i == 60 ? 900
                                                   : 0));
        }
    }
    bench_ticks_lateness(&ticks, late);
    assert_int_equal(bench_histogram_at(late, BENCH_P50), 0);
    assert_true(late->max == 900);
    assert_int_equal(late->buckets[0], 136);
    assert_int_equal(late->buckets[30], 1);
    assert_int_equal(bench_ticks_last(&ticks), 139);
    assert_true(bench_ticks_drift_ns(&ticks) == 0);
    bench_ticks_destroy(&ticks);
    free(late);
}

static void a_longer_interval_is_drift(void **state)
{
    struct bench_ticks ticks;

    (void)state;
    bench_ticks_init(&ticks, 1000, 100);
    for (uint64_t i = 0; i < 100; i++) {
        bench_ticks_add(&ticks, i * 1001);
    }
    assert_true(bench_ticks_drift_ns(&ticks) == 75);
    bench_ticks_destroy(&ticks);
}

static void the_bar_fills_from_left_to_right(void **state)
{
    const struct bench_settings settings = {.subject = "loop", .step = "2/9"};
    char line[160];

    (void)state;
    bench_progress_line(line, sizeof(line), &settings, 1, 2, "beats");
    assert_string_equal(line, "2/9 loop [###############               ]  50 % beats");
    bench_progress_line(line, sizeof(line), &settings, 3, 2, "beats");
    assert_string_equal(line, "2/9 loop [##############################] 100 % beats");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_median_is_the_middle),
        cmocka_unit_test(ratios_are_taken_within_a_run),
        cmocka_unit_test(quick_judges_nothing),
        cmocka_unit_test(a_bar_is_met_at_its_limit),
        cmocka_unit_test(lateness_counts_from_the_punctual),
        cmocka_unit_test(a_longer_interval_is_drift),
        cmocka_unit_test(the_bar_fills_from_left_to_right),
    };

    return PW_TEST_RUN(cases);
}

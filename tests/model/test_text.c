/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The check that all texts of the model pass, and the names of the health statuses. One thread.
 */
#include "model/text.h"
#include "model_samples.h"

#include <stdlib.h>

static void checks_length_first_then_emptiness_and_encoding(void **state)
{
    (void)state;
    assert_int_equal(pw_text_check(PW_STR_LITERAL("abc"), 3, false), PYWATT_OK);
    assert_int_equal(pw_text_check(PW_STR_LITERAL("abcd"), 3, false), PYWATT_LIMIT);
    assert_int_equal(pw_text_check(PW_STR_LITERAL(""), 3, true), PYWATT_OK);
    assert_int_equal(pw_text_check(PW_STR_LITERAL(""), 3, false), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pw_text_check((struct pw_str){NULL, 0}, 3, true), PYWATT_OK);
    assert_int_equal(pw_text_check(PW_STR_LITERAL("a\0b"), 3, true), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pw_text_check(PW_STR_LITERAL("\xff"), 3, true), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pw_text_check((struct pw_str){NULL, SIZE_MAX}, 3, true), PYWATT_LIMIT);
}

static void counts_bytes_and_not_characters(void **state)
{
    (void)state;
    assert_int_equal(pw_text_check(PW_STR_LITERAL("\xc3\xa4\xc3\xa4"), 4, false), PYWATT_OK);
    assert_int_equal(pw_text_check(PW_STR_LITERAL("\xc3\xa4\xc3\xa4"), 3, false), PYWATT_LIMIT);
}

static void copies_a_view_and_ends_it(void **state)
{
    (void)state;
    char *copy = pw_text_copy((struct pw_str){"abcdef", 2});
    assert_string_equal(copy, "ab");
    free(copy);
    copy = pw_text_copy((struct pw_str){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
}

static void compares_without_the_case_of_letters_only(void **state)
{
    (void)state;
    assert_true(pw_text_equal_nocase(PW_STR_LITERAL("aZ-9"), PW_STR_LITERAL("Az-9")));
    assert_false(pw_text_equal_nocase(PW_STR_LITERAL("ab"), PW_STR_LITERAL("abc")));
    assert_false(pw_text_equal_nocase(PW_STR_LITERAL("ab"), PW_STR_LITERAL("ac")));
    assert_false(pw_text_equal_nocase(PW_STR_LITERAL("@"), PW_STR_LITERAL("`")));
    assert_false(pw_text_equal_nocase(PW_STR_LITERAL("["), PW_STR_LITERAL("{")));
    assert_false(pw_text_equal_nocase(PW_STR_LITERAL("\xc3\x84"), PW_STR_LITERAL("\xc3\xa4")));
    assert_true(pw_text_equal_nocase((struct pw_str){NULL, 0}, PW_STR_LITERAL("")));
}

static void health_has_names(void **state)
{
    (void)state;
    assert_string_equal(pywatt_health_name(PYWATT_HEALTHY), "Healthy");
    assert_string_equal(pywatt_health_name(PYWATT_DEGRADED), "Degraded");
    assert_string_equal(pywatt_health_name(PYWATT_UNHEALTHY), "Unhealthy");
    assert_string_equal(pywatt_health_name((enum pywatt_health)3), "Unknown");
    assert_string_equal(pywatt_health_name((enum pywatt_health) - 1), "Unknown");
}

static void health_is_read_in_any_case(void **state)
{
    (void)state;
    const char *texts[][3] = {{"Healthy", "healthy", "HEALTHY"},
                              {"Degraded", "degraded", "dEGRADED"},
                              {"Unhealthy", "unhealthy", "UnHealthy"}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            enum pywatt_health health = (enum pywatt_health)7;
            assert_int_equal(pywatt_health_parse(texts[i][j], &health), PYWATT_OK);
            assert_int_equal(health, i);
        }
    }
}

static void health_that_is_none_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {"", "Health", "Healthyy", " Healthy", "Unknown", "0"};
    enum pywatt_health health = PYWATT_DEGRADED;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(pywatt_health_parse(bad[i], &health), PYWATT_INVALID_ARGUMENT);
        assert_int_equal(health, PYWATT_DEGRADED);
    }
    assert_int_equal(pywatt_health_parse(NULL, &health), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_health_parse("Healthy", NULL), PYWATT_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(checks_length_first_then_emptiness_and_encoding),
        cmocka_unit_test(counts_bytes_and_not_characters),
        cmocka_unit_test(copies_a_view_and_ends_it),
        cmocka_unit_test(compares_without_the_case_of_letters_only),
        cmocka_unit_test(health_has_names),
        cmocka_unit_test(health_is_read_in_any_case),
        cmocka_unit_test(health_that_is_none_is_refused),
    };
    return PW_TEST_RUN(cases);
}

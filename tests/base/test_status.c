/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The status table: names, texts, wire codes and back. One thread.
 */
#include "pw_test.h"

#include "base/error.h"

#include <string.h>

static const enum pywatt_status all[] = {
#define ONE(name, number, wire, text) PYWATT_##name,
    PYWATT_STATUS_TABLE(ONE)
#undef ONE
};
#define COUNT (sizeof(all) / sizeof(all[0]))

static void gives_each_status_its_own_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(pywatt_status_name(all[i]), pywatt_status_name(all[j]));
            assert_string_not_equal(pywatt_status_text(all[i]), pywatt_status_text(all[j]));
            assert_string_not_equal(pywatt_status_wire_code(all[i]),
                                    pywatt_status_wire_code(all[j]));
        }
        assert_true(strlen(pywatt_status_text(all[i])) > 3);
    }
}

static void keeps_the_numbers_and_codes_that_are_published(void **state)
{
    (void)state;
    assert_int_equal(COUNT, 20);
    assert_int_equal(PYWATT_OK, 0);
    assert_int_equal(PYWATT_REJECTED, 7);
    assert_int_equal(PYWATT_UNAVAILABLE, 18);
    assert_int_equal(PYWATT_FORKED, 19);
    assert_string_equal(pywatt_status_name(PYWATT_NAME_TAKEN), "NAME_TAKEN");
    assert_string_equal(pywatt_status_wire_code(PYWATT_NAME_TAKEN), "name_taken");
    assert_string_equal(pywatt_status_wire_code(PYWATT_NO_MEMORY), "out_of_memory");
    assert_string_equal(pywatt_status_text(PYWATT_NAME_TAKEN), "the module name is taken");
    assert_string_equal(pywatt_status_wire_code(PYWATT_LIMIT), "limit_exceeded");
}

static void has_words_for_numbers_that_are_no_status(void **state)
{
    (void)state;
    const int numbers[] = {(int)COUNT, -1, 1000000};
    for (size_t i = 0; i < 3; i++) {
        const enum pywatt_status status = (enum pywatt_status)numbers[i];
        assert_string_equal(pywatt_status_name(status), "UNKNOWN");
        assert_string_equal(pywatt_status_text(status), "unknown status");
        assert_string_equal(pywatt_status_wire_code(status), "rejected");
    }
}

static void reads_the_wire_code_of_every_failure(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT; i++) {
        const char *code = pywatt_status_wire_code(all[i]);
        assert_int_equal(pw_status_from_wire_code(code, strlen(code)), all[i]);
    }
}

static void reads_an_unknown_wire_code_as_rejected(void **state)
{
    (void)state;
    const char *codes[] = {"", "name_take", "name_takenx", "NAME_TAKEN", "nonsense"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(pw_status_from_wire_code(codes[i], strlen(codes[i])), PYWATT_REJECTED);
    }
    assert_int_equal(pw_status_from_wire_code(NULL, 0), PYWATT_REJECTED);
    assert_int_equal(pw_status_from_wire_code("timeout", 6), PYWATT_REJECTED);
}

static void does_not_take_a_failure_for_success(void **state)
{
    (void)state;
    assert_int_equal(pw_status_from_wire_code("ok", 2), PYWATT_REJECTED);
}

static void knows_the_version_of_the_project(void **state)
{
    (void)state;
    assert_string_equal(pywatt_version(), EXPECTED_VERSION);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(gives_each_status_its_own_words),
        cmocka_unit_test(keeps_the_numbers_and_codes_that_are_published),
        cmocka_unit_test(has_words_for_numbers_that_are_no_status),
        cmocka_unit_test(reads_the_wire_code_of_every_failure),
        cmocka_unit_test(reads_an_unknown_wire_code_as_rejected),
        cmocka_unit_test(does_not_take_a_failure_for_success),
        cmocka_unit_test(knows_the_version_of_the_project),
    };
    return PW_TEST_RUN(cases);
}

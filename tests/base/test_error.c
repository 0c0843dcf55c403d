/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How error texts are made, joined and cut. One thread.
 */
#include "pw_test.h"

#include "base/error.h"
#include "base/utf8.h"

#include <string.h>

#define MAX_LEN (PYWATT_ERROR_TEXT_MAX - 1)

static void stores_status_and_text_and_returns_the_status(void **state)
{
    (void)state;
    struct pywatt_error error;
    memset(&error, 'x', sizeof(error));
    assert_int_equal(pw_error_set(&error, PYWATT_LIMIT, "field %s: %d bytes", "name", 300),
                     PYWATT_LIMIT);
    assert_int_equal(error.status, PYWATT_LIMIT);
    assert_string_equal(error.text, "field name: 300 bytes");
}

static void only_returns_the_status_if_there_is_no_error_to_fill(void **state)
{
    (void)state;
    assert_int_equal(pw_error_set(NULL, PYWATT_TIMEOUT, "%d", 1), PYWATT_TIMEOUT);
    assert_int_equal(pw_error_no_memory(NULL), PYWATT_NO_MEMORY);
    pw_error_prefix(NULL, "%d", 1);
}

static void says_that_memory_is_out(void **state)
{
    (void)state;
    struct pywatt_error error = {0};
    assert_int_equal(pw_error_no_memory(&error), PYWATT_NO_MEMORY);
    assert_int_equal(error.status, PYWATT_NO_MEMORY);
    assert_string_equal(error.text, "out of memory");
}

static void cuts_a_text_that_is_too_long(void **state)
{
    (void)state;
    struct pywatt_error error = {0};
    char text[2 * PYWATT_ERROR_TEXT_MAX];
    memset(text, 'x', sizeof(text));
    text[MAX_LEN] = '\0';
    pw_error_set(&error, PYWATT_IO, "%s", text);
    assert_string_equal(error.text, text);
    text[MAX_LEN] = 'x';
    text[sizeof(text) - 1] = '\0';
    pw_error_set(&error, PYWATT_IO, "%s", text);
    assert_int_equal(strlen(error.text), MAX_LEN);
}

static void never_cuts_a_character_in_two(void **state)
{
    (void)state;
    const char *characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[600] = "";
            memset(text, 'a', shift);
            for (size_t at = shift; at < 500; at += strlen(characters[i])) {
                strcpy(text + at, characters[i]);
            }
            struct pywatt_error error = {0};
            pw_error_set(&error, PYWATT_IO, "%s", text);
            assert_true(pw_utf8_valid(pw_str_from(error.text)));
            assert_in_range(strlen(error.text), MAX_LEN - 3, MAX_LEN);
            assert_memory_equal(error.text, text, strlen(error.text));
            pw_error_prefix(&error, "p");
            assert_true(pw_utf8_valid(pw_str_from(error.text)));
            assert_in_range(strlen(error.text), MAX_LEN - 3, MAX_LEN);
        }
    }
}

static void puts_what_a_caller_knows_before_the_text(void **state)
{
    (void)state;
    struct pywatt_error error = {0};
    pw_error_set(&error, PYWATT_CONNECTION, "refused");
    pw_error_prefix(&error, "tcp://%s:%d", "localhost", 1);
    assert_string_equal(error.text, "tcp://localhost:1: refused");
    assert_int_equal(error.status, PYWATT_CONNECTION);
}

static void cuts_at_the_end_when_a_prefix_takes_the_room(void **state)
{
    (void)state;
    struct pywatt_error error = {0};
    pw_error_set(&error, PYWATT_IO, "%s", "the reason");
    char prefix[400];
    memset(prefix, 'p', sizeof(prefix));
    prefix[250] = '\0';
    pw_error_prefix(&error, "%s", prefix);
    assert_int_equal(strlen(error.text), MAX_LEN);
    assert_memory_equal(error.text, prefix, 250);
    assert_string_equal(error.text + 250, ": the");
    prefix[250] = 'p';
    prefix[sizeof(prefix) - 1] = '\0';
    pw_error_prefix(&error, "%s", prefix);
    assert_int_equal(strlen(error.text), MAX_LEN);
    assert_memory_equal(error.text, prefix, MAX_LEN);
}

static void may_be_given_the_text_that_it_replaces(void **state)
{
    (void)state;
    struct pywatt_error error = {0};
    pw_error_set(&error, PYWATT_IO, "first");
    pw_error_set(&error, PYWATT_IO, "again %s", error.text);
    assert_string_equal(error.text, "again first");
    pw_error_prefix(&error, "%s", error.text);
    assert_string_equal(error.text, "again first: again first");
}

static void prefixes_a_text_that_has_no_end(void **state)
{
    (void)state;
    struct pywatt_error error;
    memset(&error, 'e', sizeof(error));
    pw_error_prefix(&error, "p");
    assert_int_equal(strlen(error.text), MAX_LEN);
    assert_memory_equal(error.text, "p: eee", 6);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(stores_status_and_text_and_returns_the_status),
        cmocka_unit_test(only_returns_the_status_if_there_is_no_error_to_fill),
        cmocka_unit_test(says_that_memory_is_out),
        cmocka_unit_test(cuts_a_text_that_is_too_long),
        cmocka_unit_test(never_cuts_a_character_in_two),
        cmocka_unit_test(puts_what_a_caller_knows_before_the_text),
        cmocka_unit_test(cuts_at_the_end_when_a_prefix_takes_the_room),
        cmocka_unit_test(may_be_given_the_text_that_it_replaces),
        cmocka_unit_test(prefixes_a_text_that_has_no_end),
    };
    return PW_TEST_RUN(cases);
}

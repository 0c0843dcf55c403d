/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * JSON values as capabilities and additional data: what is taken, how it is kept. The grammar itself
 * is tested with the scanner. One thread.
 */
#include "model/capabilities.h"
#include "model/string_map.h"
#include "model_samples.h"

#include <stdlib.h>

static struct pywatt_capabilities *capabilities;

static int setup(void **state)
{
    (void)state;
    capabilities = pywatt_capabilities_new();
    return capabilities == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pywatt_capabilities_free(capabilities);
    return 0;
}

static enum pywatt_status set(const char *json)
{
    return pywatt_capabilities_set_capability(capabilities, "key", json);
}

static const char *value(void)
{
    return pywatt_capabilities_capability(capabilities, "key");
}

static void takes_every_kind_of_value_and_keeps_its_spelling(void **state)
{
    (void)state;
    const char *values[] = {"null",
                            "true",
                            "false",
                            "0",
                            "-1.50e+10",
                            "123456789012345678901234",
                            "\"\"",
                            "\"a \\u00e4 b\"",
                            "[]",
                            "{}",
                            "[1,\"a b\",[true]]",
                            "{\"a\":{\"b\":[null]},\"c\":\" x \"}",
                            "{\"a\":1,\"b\":[],\"a\":1,\"\\u0061\":2}",
                            "{\"\\u0000\":\"a\\u0000b\"}"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_int_equal(set(values[i]), PYWATT_OK);
        assert_string_equal(value(), values[i]);
    }
    assert_int_equal(pywatt_string_map_count(pywatt_capabilities_additional(capabilities)), 1);
}

static void drops_the_space_between_tokens_only(void **state)
{
    (void)state;
    assert_int_equal(set(" \t\r\n{ \"a b\" : [ 1 , 2 ] ,\n \"c\" : \" d \" } "), PYWATT_OK);
    assert_string_equal(value(), "{\"a b\":[1,2],\"c\":\" d \"}");
}

static void refuses_what_is_not_one_value(void **state)
{
    (void)state;
    const char *bad[] = {
        "",    " ",        "tru",         "01", "1 2",     "[1,]", "{\"a\":1,\"a\"}",
        "'a'", "\"\xff\"", "\"\\ud800\"", "[",  "{\"a\"}", "nan"};
    assert_int_equal(set("7"), PYWATT_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(set(bad[i]), PYWATT_SERIALIZATION);
        assert_string_equal(value(), "7");
    }
}

static void a_refused_value_makes_no_map(void **state)
{
    (void)state;
    assert_int_equal(set("nope"), PYWATT_SERIALIZATION);
    assert_null(pywatt_capabilities_additional(capabilities));
    assert_null(value());
}

/* `len` bytes of JSON: a string. */
static const char *string_of(size_t len)
{
    static char text[5 * PYWATT_JSON_VALUE_MAX];
    memset(text, 'x', len);
    text[0] = '"';
    text[len - 1] = '"';
    text[len] = '\0';
    return text;
}

static void accepts_the_bound_of_length_and_refuses_a_byte_more(void **state)
{
    (void)state;
    assert_int_equal(set(string_of(PYWATT_JSON_VALUE_MAX)), PYWATT_OK);
    assert_string_equal(value(), string_of(PYWATT_JSON_VALUE_MAX));
    assert_int_equal(set("1"), PYWATT_OK);
    assert_int_equal(set(string_of(PYWATT_JSON_VALUE_MAX + 1)), PYWATT_LIMIT);
    assert_int_equal(set(string_of(4 * PYWATT_JSON_VALUE_MAX + 1)), PYWATT_LIMIT);
    assert_string_equal(value(), "1");
}

/* "[0,0,...,0]" or the same with spaces. */
static char *zeros(size_t count, const char *separator)
{
    char *text = malloc(count * (1 + strlen(separator)) + 3);
    char *at = text;
    *at++ = '[';
    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "%s0", i == 0 ? "" : separator);
    }
    strcpy(at, "]");
    return text;
}

static void measures_the_length_without_white_space(void **state)
{
    (void)state;
    const size_t most = (PYWATT_JSON_VALUE_MAX - 1) / 2;
    char *text = zeros(most, ", ");
    assert_true(strlen(text) > PYWATT_JSON_VALUE_MAX);
    assert_int_equal(set(text), PYWATT_OK);
    char *compact = zeros(most, ",");
    assert_string_equal(value(), compact);
    free(compact);
    free(text);
    text = zeros(most + 1, ",");
    assert_int_equal(set(text), PYWATT_LIMIT);
    free(text);
    text = zeros(most + 1, ", ");
    assert_int_equal(set(text), PYWATT_LIMIT);
    free(text);
}

static void accepts_the_densest_value_of_each_small_size(void **state)
{
    (void)state;
    for (size_t count = 1; count < 200; count++) {
        char *text = zeros(count, ",");
        assert_int_equal(set(text), PYWATT_OK);
        assert_string_equal(value(), text);
        free(text);
    }
}

static void a_text_of_mostly_white_space_has_a_bound_too(void **state)
{
    (void)state;
    static char text[4 * PYWATT_JSON_VALUE_MAX + 2];
    memset(text, ' ', sizeof(text) - 1);
    text[0] = '1';
    text[4 * PYWATT_JSON_VALUE_MAX] = '\0';
    assert_int_equal(set(text), PYWATT_OK);
    assert_string_equal(value(), "1");
    text[4 * PYWATT_JSON_VALUE_MAX] = ' ';
    assert_int_equal(set(text), PYWATT_LIMIT);
}

static void nested(char *text, size_t depth)
{
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
}

static void accepts_the_bound_of_depth_and_refuses_one_more(void **state)
{
    (void)state;
    char text[2 * PYWATT_JSON_DEPTH_MAX + 3];
    nested(text, PYWATT_JSON_DEPTH_MAX);
    assert_int_equal(set(text), PYWATT_OK);
    assert_string_equal(value(), text);
    nested(text, PYWATT_JSON_DEPTH_MAX + 1);
    assert_int_equal(set(text), PYWATT_LIMIT);
}

static void checks_the_key_as_any_other(void **state)
{
    (void)state;
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, BAD_UTF8, "1"),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(
        pywatt_capabilities_set_capability(capabilities, text_of(PYWATT_KEY_MAX + 1), "1"),
        PYWATT_LIMIT);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, text_of(PYWATT_KEY_MAX), "1"),
                     PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "", "2"), PYWATT_OK);
    assert_string_equal(pywatt_capabilities_capability(capabilities, ""), "2");
    assert_int_equal(pywatt_capabilities_set_capability(NULL, "k", "1"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, NULL, "1"),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(set(NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pw_string_map_set_json(NULL, PW_STR_LITERAL("k"), PW_STR_LITERAL("1")),
                     PYWATT_INVALID_ARGUMENT);
}

static void holds_as_many_capabilities_as_the_bound(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PYWATT_CAPABILITIES_MAX; i++) {
        assert_int_equal(pywatt_capabilities_set_capability(capabilities, numbered("k", i), "[ ]"),
                         PYWATT_OK);
    }
    assert_int_equal(set("1"), PYWATT_LIMIT);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "k9", "2"), PYWATT_OK);
    assert_string_equal(pywatt_capabilities_capability(capabilities, "k9"), "2");
}

static void may_be_given_its_own_value(void **state)
{
    (void)state;
    assert_int_equal(set("[1,2,3,4,5,6,7,8,9,10]"), PYWATT_OK);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(
            pywatt_capabilities_set_capability(capabilities, numbered("c", i), value()), PYWATT_OK);
        assert_string_equal(pywatt_capabilities_capability(capabilities, numbered("c", i)),
                            value());
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(takes_every_kind_of_value_and_keeps_its_spelling),
        CASE(drops_the_space_between_tokens_only),
        CASE(refuses_what_is_not_one_value),
        CASE(a_refused_value_makes_no_map),
        CASE(accepts_the_bound_of_length_and_refuses_a_byte_more),
        CASE(measures_the_length_without_white_space),
        CASE(accepts_the_densest_value_of_each_small_size),
        CASE(a_text_of_mostly_white_space_has_a_bound_too),
        CASE(accepts_the_bound_of_depth_and_refuses_one_more),
        CASE(checks_the_key_as_any_other),
        CASE(holds_as_many_capabilities_as_the_bound),
        CASE(may_be_given_its_own_value),
    };
    return PW_TEST_RUN(cases);
}

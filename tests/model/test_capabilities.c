/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Endpoints and capabilities: order, bounds, copies, equality. Values in JSON have their own file.
 * One thread.
 */
#include "model/capabilities.h"
#include "model_samples.h"

static void an_endpoint_has_its_path_and_methods_in_order(void **state)
{
    (void)state;
    struct pywatt_endpoint *endpoint = sample_endpoint();
    assert_string_equal(pywatt_endpoint_path(endpoint), "/status");
    assert_int_equal(pywatt_endpoint_method_count(endpoint), 2);
    assert_string_equal(pywatt_endpoint_method(endpoint, 0), "GET");
    assert_string_equal(pywatt_endpoint_method(endpoint, 1), "POST");
    assert_null(pywatt_endpoint_method(endpoint, 2));
    assert_string_equal(pywatt_endpoint_auth(endpoint), "Bearer");
    assert_string_equal(pywatt_string_map_get(pywatt_endpoint_metadata(endpoint), "rate"), "10/s");
    pywatt_endpoint_free(endpoint);
}

static void an_endpoint_may_have_no_methods(void **state)
{
    (void)state;
    struct pywatt_endpoint *endpoint = NULL;
    assert_int_equal(pywatt_endpoint_new("/", NULL, 0, &endpoint), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_method_count(endpoint), 0);
    assert_null(pywatt_endpoint_method(endpoint, 0));
    assert_null(pywatt_endpoint_auth(endpoint));
    assert_null(pywatt_endpoint_metadata(endpoint));
    pywatt_endpoint_free(endpoint);
}

static void an_endpoint_accepts_its_bounds_and_nothing_over_them(void **state)
{
    (void)state;
    struct pywatt_endpoint *endpoint = NULL;
    const char *methods[PYWATT_METHODS_MAX + 1];
    for (size_t i = 0; i <= PYWATT_METHODS_MAX; i++) {
        methods[i] = i % 2 == 0 ? "GET" : "12345678901234567890123456789012";
    }
    assert_int_equal(
        pywatt_endpoint_new(text_of(PYWATT_PATH_MAX), methods, PYWATT_METHODS_MAX, &endpoint),
        PYWATT_OK);
    assert_string_equal(pywatt_endpoint_path(endpoint), text_of(PYWATT_PATH_MAX));
    for (size_t i = 0; i < PYWATT_METHODS_MAX; i++) {
        assert_string_equal(pywatt_endpoint_method(endpoint, i), methods[i]);
    }
    assert_int_equal(pw_endpoint_add_method(endpoint, PW_STR_LITERAL("PUT")), PYWATT_LIMIT);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, ""), PYWATT_OK);
    assert_string_equal(pywatt_endpoint_auth(endpoint), "");
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, text_of(PYWATT_NAME_MAX)), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, text_of(PYWATT_NAME_MAX + 1)),
                     PYWATT_LIMIT);
    assert_string_equal(pywatt_endpoint_auth(endpoint), text_of(PYWATT_NAME_MAX));
    pywatt_endpoint_free(endpoint);
    endpoint = NULL;
    const char *too_long = "123456789012345678901234567890123";
    assert_int_equal(pywatt_endpoint_new("/", methods, PYWATT_METHODS_MAX + 1, &endpoint),
                     PYWATT_LIMIT);
    assert_int_equal(pywatt_endpoint_new(text_of(PYWATT_PATH_MAX + 1), NULL, 0, &endpoint),
                     PYWATT_LIMIT);
    assert_int_equal(pywatt_endpoint_new("/", &too_long, 1, &endpoint), PYWATT_LIMIT);
    assert_null(endpoint);
}

static void an_endpoint_refuses_what_is_no_text(void **state)
{
    (void)state;
    struct pywatt_endpoint *endpoint = NULL;
    const char *empty = "";
    const char *bad = BAD_UTF8;
    const char *missing = NULL;
    assert_int_equal(pywatt_endpoint_new("", NULL, 0, &endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_new(NULL, NULL, 0, &endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_new(BAD_UTF8, NULL, 0, &endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_new("/", NULL, 1, &endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_new("/", &empty, 1, &endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_new("/", &bad, 1, &endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_new("/", &missing, 1, &endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_new("/", NULL, 0, NULL), PYWATT_INVALID_ARGUMENT);
    assert_null(endpoint);
    endpoint = sample_endpoint();
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, BAD_UTF8), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_set_auth(NULL, "Bearer"), PYWATT_INVALID_ARGUMENT);
    assert_string_equal(pywatt_endpoint_auth(endpoint), "Bearer");
    assert_int_equal(pywatt_endpoint_set_metadata(NULL, "k", "v"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_set_metadata(endpoint, NULL, "v"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_set_metadata(endpoint, "k", NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_endpoint_set_metadata(endpoint, "k", BAD_UTF8),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_string_map_count(pywatt_endpoint_metadata(endpoint)), 1);
    pywatt_endpoint_free(endpoint);
}

static void equal_endpoints_have_equal_parts(void **state)
{
    (void)state;
    struct pywatt_endpoint *a = sample_endpoint();
    struct pywatt_endpoint *b = NULL;
    assert_int_equal(pywatt_endpoint_copy(a, &b), PYWATT_OK);
    assert_true(pywatt_endpoint_equal(a, b));
    assert_int_equal(pywatt_endpoint_set_auth(b, "Basic"), PYWATT_OK);
    assert_false(pywatt_endpoint_equal(a, b));
    assert_int_equal(pywatt_endpoint_set_auth(b, "Bearer"), PYWATT_OK);
    assert_true(pywatt_endpoint_equal(a, b));
    assert_int_equal(pywatt_endpoint_set_metadata(b, "rate", "11/s"), PYWATT_OK);
    assert_false(pywatt_endpoint_equal(a, b));
    assert_int_equal(pywatt_endpoint_set_metadata(b, "rate", "10/s"), PYWATT_OK);
    assert_int_equal(pw_endpoint_add_method(b, PW_STR_LITERAL("PUT")), PYWATT_OK);
    assert_false(pywatt_endpoint_equal(a, b));
    pywatt_endpoint_free(b);
    const char *swapped[] = {"POST", "GET"};
    const char *joined[] = {"GETPOST"};
    const char *same[] = {"GET", "POST"};
    for (int variant = 0; variant < 4; variant++) {
        const char *path = variant == 0 ? "/statuz" : "/status";
        const char *const *methods = variant == 1 ? swapped : variant == 2 ? joined : same;
        assert_int_equal(pywatt_endpoint_new(path, methods, variant == 2 ? 1 : 2, &b), PYWATT_OK);
        assert_int_equal(pywatt_endpoint_set_auth(b, "Bearer"), PYWATT_OK);
        assert_int_equal(pywatt_endpoint_set_metadata(b, "rate", "10/s"), PYWATT_OK);
        assert_int_equal(pywatt_endpoint_equal(a, b), variant == 3);
        pywatt_endpoint_free(b);
    }
    assert_int_equal(pywatt_endpoint_new("/status", same, 2, &b), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_metadata(b, "rate", "10/s"), PYWATT_OK);
    assert_false(pywatt_endpoint_equal(a, b)); /* no scheme */
    assert_false(pywatt_endpoint_equal(b, a));
    pywatt_endpoint_free(b);
    assert_false(pywatt_endpoint_equal(a, NULL));
    assert_false(pywatt_endpoint_equal(NULL, a));
    assert_true(pywatt_endpoint_equal(NULL, NULL));
    pywatt_endpoint_free(a);
}

static void capabilities_hold_what_was_added_in_order(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = sample_capabilities();
    assert_int_equal(pywatt_capabilities_endpoint_count(capabilities), 2);
    const struct pywatt_endpoint *first = pywatt_capabilities_endpoint(capabilities, 0);
    struct pywatt_endpoint *sample = sample_endpoint();
    assert_true(pywatt_endpoint_equal(first, sample));
    pywatt_endpoint_free(sample);
    assert_string_equal(pywatt_endpoint_path(pywatt_capabilities_endpoint(capabilities, 1)), "/x");
    assert_null(pywatt_capabilities_endpoint(capabilities, 2));
    assert_int_equal(pywatt_capabilities_message_type_count(capabilities), 2);
    assert_string_equal(pywatt_capabilities_message_type(capabilities, 0), "ping");
    assert_string_equal(pywatt_capabilities_message_type(capabilities, 1), "pong");
    assert_null(pywatt_capabilities_message_type(capabilities, 2));
    assert_string_equal(pywatt_capabilities_capability(capabilities, "gpu"), "true");
    assert_null(pywatt_capabilities_capability(capabilities, "cpu"));
    assert_int_equal(pywatt_string_map_count(pywatt_capabilities_additional(capabilities)), 2);
    pywatt_capabilities_free(capabilities);
}

static void empty_capabilities_have_nothing(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_int_equal(pywatt_capabilities_endpoint_count(capabilities), 0);
    assert_int_equal(pywatt_capabilities_message_type_count(capabilities), 0);
    assert_null(pywatt_capabilities_endpoint(capabilities, 0));
    assert_null(pywatt_capabilities_message_type(capabilities, 0));
    assert_null(pywatt_capabilities_capability(capabilities, "k"));
    assert_null(pywatt_capabilities_additional(capabilities));
    pywatt_capabilities_free(capabilities);
}

static void capabilities_accept_their_bounds_and_nothing_over_them(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    for (unsigned i = 0; i < PYWATT_ENDPOINTS_MAX; i++) {
        assert_int_equal(
            pywatt_capabilities_add_http_endpoint(capabilities, numbered("/", i), NULL, 0),
            PYWATT_OK);
    }
    assert_int_equal(pywatt_capabilities_add_http_endpoint(capabilities, "/x", NULL, 0),
                     PYWATT_LIMIT);
    struct pywatt_endpoint *endpoint = sample_endpoint();
    assert_int_equal(pywatt_capabilities_add_endpoint(capabilities, endpoint), PYWATT_LIMIT);
    assert_int_equal(pw_capabilities_take_endpoint(capabilities, endpoint), PYWATT_LIMIT);
    pywatt_endpoint_free(endpoint);
    for (unsigned i = 0; i < PYWATT_MESSAGE_TYPES_MAX; i++) {
        assert_int_equal(
            pywatt_capabilities_add_message_type(capabilities, text_of(PYWATT_NAME_MAX - i % 3)),
            PYWATT_OK);
    }
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "x"), PYWATT_LIMIT);
    assert_int_equal(pywatt_capabilities_endpoint_count(capabilities), PYWATT_ENDPOINTS_MAX);
    assert_int_equal(pywatt_capabilities_message_type_count(capabilities),
                     PYWATT_MESSAGE_TYPES_MAX);
    for (unsigned i = 0; i < PYWATT_ENDPOINTS_MAX; i++) {
        endpoint = NULL;
        assert_string_equal(pywatt_endpoint_path(pywatt_capabilities_endpoint(capabilities, i)),
                            numbered("/", i));
        assert_string_equal(pywatt_capabilities_message_type(capabilities, i),
                            text_of(PYWATT_NAME_MAX - i % 3));
    }
    pywatt_capabilities_free(capabilities);
}

/* 9 for an endpoint, 1 for a method, 3 for a pair, 1 for a type, 2 and its own for a value. */
static void capabilities_have_so_many_elements_and_none_over_them(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    struct pywatt_endpoint *endpoint = NULL;
    assert_int_equal(pywatt_endpoint_new("/", NULL, 0, &endpoint), PYWATT_OK);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(pywatt_endpoint_set_metadata(endpoint, numbered("k", i), "v"), PYWATT_OK);
    }
    for (unsigned i = 0; i < 51; i++) { /* 309 each: 15759 */
        assert_int_equal(pywatt_capabilities_add_endpoint(capabilities, endpoint), PYWATT_OK);
    }
    assert_int_equal(pywatt_capabilities_add_endpoint(capabilities, endpoint), PYWATT_LIMIT);
    static char list[500] = "[0";
    for (unsigned i = 0; i < 199; i++) {
        strcat(list, ",0");
    }
    strcat(list, "]");
    /* 203: 15962; the same again in its place takes no more. */
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "k", list), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "k", list), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "l", list), PYWATT_LIMIT);
    assert_null(pywatt_capabilities_capability(capabilities, "l"));
    /* 17 + 11 + 10: 16000 */
    static const char *const methods[] = {"A", "B", "C", "D", "E", "F", "G", "H"};
    assert_int_equal(pywatt_capabilities_add_http_endpoint(capabilities, "/", methods, 8),
                     PYWATT_OK);
    assert_int_equal(
        pywatt_capabilities_set_capability(
            capabilities, "m", " { \"a\" : [ 1 , \"\\\"{\" ] , \"b\" : {} , \"c\" : -1e5 } "),
        PYWATT_OK);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "t"), PYWATT_OK);
    }
    struct pywatt_capabilities *copy = NULL;
    assert_int_equal(pywatt_capabilities_copy(capabilities, &copy), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "t"), PYWATT_LIMIT);
    assert_int_equal(pywatt_capabilities_add_message_type(copy, "t"), PYWATT_LIMIT);
    assert_true(pywatt_capabilities_equal(copy, capabilities));
    /* A smaller value makes room: 4 of 203. */
    assert_int_equal(pywatt_capabilities_set_capability(copy, "k", "[]"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_message_type(copy, "t"), PYWATT_OK);
    pywatt_endpoint_free(endpoint);
    pywatt_capabilities_free(copy);
    pywatt_capabilities_free(capabilities);
}

static void capabilities_refuse_what_is_no_text(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    struct pywatt_endpoint *endpoint = sample_endpoint();
    assert_int_equal(pywatt_capabilities_add_http_endpoint(NULL, "/", NULL, 0),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_add_http_endpoint(capabilities, "", NULL, 0),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_add_endpoint(capabilities, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_add_endpoint(NULL, endpoint), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, NULL),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_add_message_type(NULL, "x"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, BAD_UTF8),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(
        pywatt_capabilities_add_message_type(capabilities, text_of(PYWATT_NAME_MAX + 1)),
        PYWATT_LIMIT);
    assert_int_equal(pywatt_capabilities_endpoint_count(capabilities), 0);
    assert_int_equal(pywatt_capabilities_message_type_count(capabilities), 0);
    pywatt_endpoint_free(endpoint);
    pywatt_capabilities_free(capabilities);
}

static void a_taken_endpoint_belongs_to_the_capabilities(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    struct pywatt_endpoint *endpoint = sample_endpoint();
    assert_int_equal(pw_capabilities_take_endpoint(capabilities, endpoint), PYWATT_OK);
    assert_ptr_equal(pywatt_capabilities_endpoint(capabilities, 0), endpoint);
    assert_int_equal(pywatt_capabilities_add_endpoint(capabilities, endpoint), PYWATT_OK);
    assert_ptr_not_equal(pywatt_capabilities_endpoint(capabilities, 1), endpoint);
    pywatt_capabilities_free(capabilities);
}

static void message_types_may_be_given_from_the_list_itself(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "some.message.type"),
                     PYWATT_OK);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(pywatt_capabilities_add_message_type(
                             capabilities, pywatt_capabilities_message_type(capabilities, i)),
                         PYWATT_OK);
        assert_string_equal(pywatt_capabilities_message_type(capabilities, i + 1),
                            "some.message.type");
    }
    pywatt_capabilities_free(capabilities);
}

static void message_types_may_be_long_after_short_ones(void **state)
{
    (void)state;
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "x"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, text_of(255)), PYWATT_OK);
    assert_string_equal(pywatt_capabilities_message_type(capabilities, 0), "x");
    assert_string_equal(pywatt_capabilities_message_type(capabilities, 1), text_of(255));
    pywatt_capabilities_free(capabilities);
}

static void copies_are_equal_until_a_part_differs(void **state)
{
    (void)state;
    struct pywatt_capabilities *a = sample_capabilities();
    for (int change = 0; change < 4; change++) {
        struct pywatt_capabilities *b = NULL;
        assert_int_equal(pywatt_capabilities_copy(a, &b), PYWATT_OK);
        assert_true(pywatt_capabilities_equal(a, b));
        if (change == 0) {
            pywatt_capabilities_add_http_endpoint(b, "/y", NULL, 0);
        } else if (change == 1) {
            pywatt_capabilities_add_message_type(b, "");
        } else if (change == 2) {
            pywatt_capabilities_set_capability(b, "gpu", "false");
        } else {
            pywatt_capabilities_set_capability(b, "cpu", "1");
        }
        assert_false(pywatt_capabilities_equal(a, b));
        pywatt_capabilities_free(b);
    }
    pywatt_capabilities_free(a);
}

static void equality_of_capabilities_knows_order_and_null(void **state)
{
    (void)state;
    struct pywatt_capabilities *a = pywatt_capabilities_new();
    struct pywatt_capabilities *b = pywatt_capabilities_new();
    assert_true(pywatt_capabilities_equal(a, b));
    assert_false(pywatt_capabilities_equal(a, NULL));
    assert_false(pywatt_capabilities_equal(NULL, a));
    assert_true(pywatt_capabilities_equal(NULL, NULL));
    pywatt_capabilities_set_capability(a, "1", "1");
    pywatt_capabilities_set_capability(a, "2", "2");
    pywatt_capabilities_set_capability(b, "2", "2");
    pywatt_capabilities_set_capability(b, "1", " 1");
    assert_true(pywatt_capabilities_equal(a, b));
    pywatt_capabilities_add_http_endpoint(a, "/0", NULL, 0);
    pywatt_capabilities_add_http_endpoint(b, "/0", NULL, 0);
    assert_true(pywatt_capabilities_equal(a, b));
    pywatt_capabilities_add_http_endpoint(a, "/1", NULL, 0);
    pywatt_capabilities_add_http_endpoint(a, "/2", NULL, 0);
    pywatt_capabilities_add_http_endpoint(b, "/2", NULL, 0);
    pywatt_capabilities_add_http_endpoint(b, "/1", NULL, 0);
    assert_false(pywatt_capabilities_equal(a, b));
    pywatt_capabilities_free(a);
    pywatt_capabilities_free(b);
}

static void copying_nothing_is_refused_and_empty_is_copied(void **state)
{
    (void)state;
    struct pywatt_capabilities *a = pywatt_capabilities_new();
    struct pywatt_capabilities *b = NULL;
    assert_int_equal(pywatt_capabilities_copy(NULL, &b), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_copy(a, NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_capabilities_copy(a, &b), PYWATT_OK);
    assert_true(pywatt_capabilities_equal(a, b));
    assert_int_equal(pywatt_capabilities_add_http_endpoint(b, "/", NULL, 0), PYWATT_OK);
    pywatt_capabilities_free(a);
    pywatt_capabilities_free(b);
    struct pywatt_endpoint *endpoint = NULL;
    assert_int_equal(pywatt_endpoint_copy(NULL, &endpoint), PYWATT_INVALID_ARGUMENT);
    endpoint = sample_endpoint();
    assert_int_equal(pywatt_endpoint_copy(endpoint, NULL), PYWATT_INVALID_ARGUMENT);
    pywatt_endpoint_free(endpoint);
}

static void getters_take_null(void **state)
{
    (void)state;
    pywatt_endpoint_free(NULL);
    pywatt_capabilities_free(NULL);
    assert_null(pywatt_endpoint_path(NULL));
    assert_int_equal(pywatt_endpoint_method_count(NULL), 0);
    assert_null(pywatt_endpoint_method(NULL, 0));
    assert_null(pywatt_endpoint_auth(NULL));
    assert_null(pywatt_endpoint_metadata(NULL));
    assert_int_equal(pywatt_capabilities_endpoint_count(NULL), 0);
    assert_null(pywatt_capabilities_endpoint(NULL, 0));
    assert_int_equal(pywatt_capabilities_message_type_count(NULL), 0);
    assert_null(pywatt_capabilities_message_type(NULL, 0));
    assert_null(pywatt_capabilities_capability(NULL, "k"));
    assert_null(pywatt_capabilities_additional(NULL));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_endpoint_has_its_path_and_methods_in_order),
        cmocka_unit_test(an_endpoint_may_have_no_methods),
        cmocka_unit_test(an_endpoint_accepts_its_bounds_and_nothing_over_them),
        cmocka_unit_test(an_endpoint_refuses_what_is_no_text),
        cmocka_unit_test(equal_endpoints_have_equal_parts),
        cmocka_unit_test(capabilities_hold_what_was_added_in_order),
        cmocka_unit_test(empty_capabilities_have_nothing),
        cmocka_unit_test(capabilities_accept_their_bounds_and_nothing_over_them),
        cmocka_unit_test(capabilities_refuse_what_is_no_text),
        cmocka_unit_test(a_taken_endpoint_belongs_to_the_capabilities),
        cmocka_unit_test(message_types_may_be_given_from_the_list_itself),
        cmocka_unit_test(message_types_may_be_long_after_short_ones),
        cmocka_unit_test(copies_are_equal_until_a_part_differs),
        cmocka_unit_test(capabilities_have_so_many_elements_and_none_over_them),
        cmocka_unit_test(equality_of_capabilities_knows_order_and_null),
        cmocka_unit_test(copying_nothing_is_refused_and_empty_is_copied),
        cmocka_unit_test(getters_take_null),
    };
    return PW_TEST_RUN(cases);
}

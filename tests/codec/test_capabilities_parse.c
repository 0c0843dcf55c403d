/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Capabilities out of a JSON text of the application's: what is spelled there is what they hold, and
 * what is no capability is refused by name.
 */
#include "pw_test.h"

#include <pywatt/model.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pywatt_capabilities *parse(const char *text)
{
    struct pywatt_capabilities *made = NULL;
    struct pywatt_error error = {.text = ""};
    if (pywatt_capabilities_parse(text, strlen(text), &made, &error) != PYWATT_OK) {
        fail_msg("%s: %s", text, error.text);
    }
    return made;
}

/* `said` stands in the error's text. */
static void refuses(const char *text, size_t len, enum pywatt_status status, const char *said)
{
    struct pywatt_capabilities *made = NULL;
    struct pywatt_error error = {.text = ""};
    const enum pywatt_status got = pywatt_capabilities_parse(text, len, &made, &error);
    if (got != status || made != NULL || strstr(error.text, said) == NULL) {
        fail_msg("%.60s: %s: %s", text, pywatt_status_name(got), error.text);
    }
    assert_int_equal(error.status, status);
    assert_int_equal(pywatt_capabilities_parse(text, len, &made, NULL), status);
}

static void makes_what_setters_would_make(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET", "POST"};
    struct pywatt_capabilities *wanted = pywatt_capabilities_new();
    struct pywatt_endpoint *endpoint = NULL;
    assert_int_equal(pywatt_endpoint_new("/x", methods, 2, &endpoint), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, "Bearer"), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_metadata(endpoint, "k", "\xc3\xa9"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_endpoint(wanted, endpoint), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_http_endpoint(wanted, "/y", methods, 1), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_message_type(wanted, "resize"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(wanted, "gpu", "[true]"), PYWATT_OK);
    struct pywatt_capabilities *made = parse(
        " {\"endpoints\": [{\"path\": \"/x\", \"methods\": [\"GET\", \"POST\"], \"auth\": "
        "\"Bearer\", \"metadata\": {\"k\": \"\\u00e9\"}},\n{\"methods\": [\"GET\"], \"path\": "
        "\"/y\", \"auth\": null}], \"message_types\": [\"resize\"],"
        "\"additional_capabilities\": {\"gpu\": [ true ]}} ");
    assert_true(pywatt_capabilities_equal(made, wanted));
    pywatt_capabilities_free(made);
    pywatt_capabilities_free(wanted);
    pywatt_endpoint_free(endpoint);
}

static void every_part_may_be_missing_or_null(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "{\"endpoints\":null,\"message_types\":null,\"additional_capabilities\":null}",
        "{\"endpoints\":[],\"additional_capabilities\":{}}"};
    struct pywatt_capabilities *none = pywatt_capabilities_new();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct pywatt_capabilities *made = parse(texts[i]);
        assert_true(pywatt_capabilities_equal(made, none));
        pywatt_capabilities_free(made);
    }
    pywatt_capabilities_free(none);
}

static void values_are_kept_as_they_are_spelled(void **state)
{
    (void)state;
    static const char *const values[] = {"1.50",
                                         "1e400",
                                         "-0",
                                         "\"\\u0041\"",
                                         "\"a\\u0000b\"",
                                         "12345678901234567890",
                                         "null",
                                         "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), "{\"additional_capabilities\": {\"k\": %s }}", values[i]);
        struct pywatt_capabilities *made = parse(text);
        assert_string_equal(pywatt_capabilities_capability(made, "k"), values[i]);
        pywatt_capabilities_free(made);
    }
}

static void what_is_no_capability_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pywatt_status status;
        const char *said;
    } cases[] = {
        {"", PYWATT_SERIALIZATION, ""},
        {"[]", PYWATT_SERIALIZATION, "object"},
        {"{} x", PYWATT_SERIALIZATION, "3"},
        {"{\"endpoint\": []}", PYWATT_SERIALIZATION, "endpoints"},
        {"{\"endpoints\": {}}", PYWATT_SERIALIZATION, "endpoints must be an array"},
        {"{\"endpoints\": [1]}", PYWATT_SERIALIZATION, "endpoints[0] must be an object"},
        {"{\"endpoints\": [{\"path\": \"/x\"}]}", PYWATT_SERIALIZATION, "endpoints[0].methods"},
        {"{\"endpoints\": [{\"path\": \"\", \"methods\": []}]}", PYWATT_SERIALIZATION,
         "endpoints[0].path"},
        {"{\"endpoints\": [{\"path\": \"/\", \"methods\": []}, {\"path\": \"/\", \"methods\": "
         "[\"GET\"], \"Auth\": \"x\"}]}",
         PYWATT_SERIALIZATION, "endpoints[1] has more than path"},
        {"{\"message_types\": [1]}", PYWATT_SERIALIZATION, "message_types[0]"},
        {"{\"message_types\": [\"a\\u0000\"]}", PYWATT_SERIALIZATION, "U+0000"},
        {"{\"message_types\": [], \"message_types\": []}", PYWATT_SERIALIZATION, "twice"},
        {"{\"additional_capabilities\": {\"a\": 1, \"\\u0061\": 1}}", PYWATT_SERIALIZATION,
         "twice"},
        {"{\"additional_capabilities\": {\"a\": 01}}", PYWATT_SERIALIZATION, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        refuses(cases[i].text, strlen(cases[i].text), cases[i].status, cases[i].said);
    }
    refuses("{}", 3, PYWATT_SERIALIZATION, "2"); /* with the NUL */
}

static void what_is_too_much_is_refused(void **state)
{
    (void)state;
    static char text[PYWATT_MESSAGE_TYPES_MAX * 8 + 100];
    char *at = text + sprintf(text, "{\"message_types\":[");
    for (unsigned i = 0; i <= PYWATT_MESSAGE_TYPES_MAX; i++) {
        at += sprintf(at, "%s\"t%u\"", i == 0 ? "" : ",", i);
    }
    strcpy(at, "]}");
    refuses(text, strlen(text), PYWATT_LIMIT, "message_types[256]");

    const size_t long_len = ((size_t)1 << 20) + 1;
    char *blanks = malloc(long_len);
    assert_non_null(blanks);
    memset(blanks, ' ', long_len);
    memcpy(blanks, "{}", 2);
    refuses(blanks, long_len, PYWATT_LIMIT, "1048577");
    struct pywatt_capabilities *made = NULL;
    assert_int_equal(pywatt_capabilities_parse(blanks, long_len - 1, &made, NULL), PYWATT_OK);
    pywatt_capabilities_free(made);
    free(blanks);
}

static void null_arguments_are_named(void **state)
{
    (void)state;
    struct pywatt_capabilities *made = NULL;
    struct pywatt_error error;
    assert_int_equal(pywatt_capabilities_parse(NULL, 0, &made, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "json_text"));
    assert_int_equal(pywatt_capabilities_parse("{}", 2, NULL, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "out"));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(makes_what_setters_would_make),
        cmocka_unit_test(every_part_may_be_missing_or_null),
        cmocka_unit_test(values_are_kept_as_they_are_spelled),
        cmocka_unit_test(what_is_no_capability_is_refused_by_name),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(null_arguments_are_named),
    };
    return PW_TEST_RUN(cases);
}

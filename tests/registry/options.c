/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Options of a client: defaults, what is refused and how it is said, and that the struct may grow.
 * No thread is started here.
 */
#include "pw_test.h"

#include <pywatt/pywatt.h>

#include <string.h>

static struct pywatt_client_options good(void)
{
    struct pywatt_client_options options;
    pywatt_client_options_init(&options);
    options.endpoints = "memory:nobody";
    return options;
}

static void opens(const struct pywatt_client_options *options)
{
    struct pywatt_client *client = NULL;
    struct pywatt_error error;
    const enum pywatt_status status = pywatt_client_open(options, &client, &error);
    if (status != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    assert_non_null(client);
    pywatt_client_free(client);
}

static void refuses(const struct pywatt_client_options *options, enum pywatt_status status,
                    const char *word)
{
    struct pywatt_client *client = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    assert_int_equal(pywatt_client_open(options, &client, &error), status);
    assert_int_equal(error.status, status);
    assert_null(client);
    if (strstr(error.text, word) == NULL) {
        fail_msg("'%s' does not name '%s'", error.text, word);
    }
    assert_int_equal(pywatt_client_open(options, &client, NULL), status);
}

static void has_defaults(void **state)
{
    (void)state;
    struct pywatt_client_options options;
    pywatt_client_options_init(NULL);
    pywatt_client_options_init(&options);
    assert_int_equal(options.size, sizeof(options));
    assert_null(options.endpoints);
    assert_string_equal(options.codec, "json");
    assert_int_equal(options.timeout_ms, 30000);
    assert_int_equal(options.reconnect, PYWATT_RECONNECT_EXPONENTIAL);
    assert_int_equal(options.reconnect_delay_ms, 200);
    assert_int_equal(options.reconnect_max_delay_ms, 30000);
    assert_int_equal(options.reconnect_max_attempts, 0);
    assert_true(options.reregister);
    assert_int_equal(options.max_frame_bytes, 1 << 20);
    assert_int_equal(options.max_in_flight, 16384);
    assert_true(options.coalesce);
    assert_false(options.shuffle_endpoints);
    assert_int_equal(options.reconnect_spread_ms, 1000);
}

static void refuses_missing_arguments(void **state)
{
    (void)state;
    const struct pywatt_client_options options = good();
    assert_int_equal(pywatt_client_open(&options, NULL, NULL), PYWATT_INVALID_ARGUMENT);
    refuses(NULL, PYWATT_INVALID_ARGUMENT, "NULL");
}

static void refuses_bad_endpoints_and_quotes_them(void **state)
{
    (void)state;
    struct pywatt_client_options options = good();
    options.endpoints = NULL;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.endpoints");
    options.endpoints = "";
    refuses(&options, PYWATT_INVALID_ARGUMENT, "");
    options.endpoints = "tcp://host";
    refuses(&options, PYWATT_INVALID_ARGUMENT, "tcp://host");
    options.endpoints = "memory:a,carrier-pigeon://roof";
    refuses(&options, PYWATT_UNSUPPORTED, "carrier-pigeon");
    char many[65 * 10 + 1] = "";
    for (int i = 0; i < 65; i++) {
        strcat(many, i == 0 ? "memory:a" : ",memory:a");
    }
    options.endpoints = many;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "");
    options.endpoints = " memory:a , memory:b ";
    opens(&options);
}

static void refuses_an_unknown_codec_and_lists_the_known(void **state)
{
    (void)state;
    struct pywatt_client_options options = good();
    options.codec = "msgpack";
    refuses(&options, PYWATT_INVALID_ARGUMENT, "msgpack");
    refuses(&options, PYWATT_INVALID_ARGUMENT, "json");
    refuses(&options, PYWATT_INVALID_ARGUMENT, "protobuf");
    options.codec = NULL;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.codec");
    options.codec = "protobuf";
    opens(&options);
}

static void refuses_numbers_out_of_range_by_name(void **state)
{
    (void)state;
    struct pywatt_client_options options = good();
    options.timeout_ms = 0;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.timeout_ms");
    options = good();
    options.max_frame_bytes = 1023;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.max_frame_bytes");
    options.max_frame_bytes = UINT32_MAX;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.max_frame_bytes");
    options.max_frame_bytes = 1024;
    opens(&options);
    options = good();
    options.reconnect_spread_ms = 3600001;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.reconnect_spread_ms");
    options.reconnect_spread_ms = 3600000;
    options.max_in_flight = 0;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.max_in_flight");
    options.max_in_flight = 1;
    opens(&options);
}

static void refuses_an_impossible_reconnect_policy(void **state)
{
    (void)state;
    struct pywatt_client_options options = good();
    options.reconnect = (enum pywatt_reconnect)9;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.reconnect");
    options = good();
    options.reconnect_delay_ms = 0;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.reconnect_delay_ms");
    options.reconnect = PYWATT_RECONNECT_FIXED;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.reconnect_delay_ms");
    options.reconnect = PYWATT_RECONNECT_NONE;
    opens(&options);
    options = good();
    options.reconnect_max_delay_ms = options.reconnect_delay_ms - 1;
    refuses(&options, PYWATT_INVALID_ARGUMENT, "options.reconnect_max_delay_ms");
    options.reconnect = PYWATT_RECONNECT_FIXED;
    opens(&options);
}

static void takes_options_of_another_size(void **state)
{
    (void)state;
    struct {
        struct pywatt_client_options options;
        unsigned char newer[16];
    } grown;
    memset(&grown, 0, sizeof(grown));
    grown.options = good();
    grown.options.size = sizeof(grown);
    opens(&grown.options);
    grown.newer[3] = 1;
    refuses(&grown.options, PYWATT_UNSUPPORTED, pywatt_version());
    grown.options.size = 8;
    refuses(&grown.options, PYWATT_INVALID_ARGUMENT, "pywatt_client_options_init");
    grown.options.size = 0;
    refuses(&grown.options, PYWATT_INVALID_ARGUMENT, "options.size");
}

static void opening_and_freeing_leaves_nothing_open(void **state)
{
    (void)state;
    const size_t fds = pw_test_open_fds();
    const struct pywatt_client_options options = good();
    struct pywatt_client *client = NULL;
    assert_int_equal(pywatt_client_open(&options, &client, NULL), PYWATT_OK);
    pywatt_client_close(client);
    pywatt_client_close(client);
    pywatt_client_stop(client);
    pywatt_client_stop(client);
    pywatt_client_free(client);
    assert_int_equal(pw_test_open_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(has_defaults),
        cmocka_unit_test(refuses_missing_arguments),
        cmocka_unit_test(refuses_bad_endpoints_and_quotes_them),
        cmocka_unit_test(refuses_an_unknown_codec_and_lists_the_known),
        cmocka_unit_test(refuses_numbers_out_of_range_by_name),
        cmocka_unit_test(refuses_an_impossible_reconnect_policy),
        cmocka_unit_test(takes_options_of_another_size),
        cmocka_unit_test(opening_and_freeing_leaves_nothing_open),
    };
    return PW_TEST_RUN(cases);
}

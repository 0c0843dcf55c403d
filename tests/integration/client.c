/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * client.c - see the header.
 */
#include "client.h"

enum {
    PATIENCE_MS = 20000
};

const char *const client_codecs[] = {"json", "protobuf"};
const size_t client_codec_count = sizeof(client_codecs) / sizeof(client_codecs[0]);

void client_options(struct pywatt_client_options *options, const char *urls, const char *codec)
{
    pywatt_client_options_init(options);
    options->endpoints = urls;
    options->codec = codec;
    options->timeout_ms = PATIENCE_MS * pw_test_slow_factor();
    options->reconnect_delay_ms = 1;
    options->reconnect_max_delay_ms = 50;
}

struct pywatt_client *client_open_with(const struct pywatt_client_options *options)
{
    struct pywatt_client *client = NULL;
    struct pywatt_error error;
    if (pywatt_client_open(options, &client, &error) != PYWATT_OK) {
        fail_msg("no client of %s: %s", options->endpoints, error.text);
    }
    return client;
}

struct pywatt_client *client_open(const char *urls, const char *codec)
{
    struct pywatt_client_options options;
    client_options(&options, urls, codec);
    return client_open_with(&options);
}

struct pywatt_module *client_register(struct pywatt_client *client, const char *name)
{
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    assert_int_equal(pywatt_module_info_new(name, "1.0", "a module", &info), PYWATT_OK);
    if (pywatt_register_module(client, info, &module, &error) != PYWATT_OK) {
        fail_msg("%s is not registered: %s", name, error.text);
    }
    pywatt_module_info_free(info);
    return module;
}

struct pywatt_module *client_register_advertised(struct pywatt_client *client, const char *name)
{
    static const char *const methods[] = {"GET"};
    struct pywatt_module *module = client_register(client, name);
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    struct pywatt_error error;
    assert_int_equal(pywatt_capabilities_add_http_endpoint(capabilities, "/work", methods, 1),
                     PYWATT_OK);
    if (pywatt_advertise_capabilities(module, capabilities, &error) != PYWATT_OK) {
        fail_msg("%s does not advertise: %s", name, error.text);
    }
    pywatt_capabilities_free(capabilities);
    return module;
}

struct pywatt_client_stats client_stats(struct pywatt_client *client)
{
    struct pywatt_client_stats stats = {.size = sizeof(stats)};
    assert_int_equal(pywatt_client_get_stats(client, &stats), PYWATT_OK);
    return stats;
}

struct wanted_beats {
    struct pywatt_client *client;
    uint64_t answered;
};

static bool are_answered(void *user)
{
    const struct wanted_beats *wanted = user;
    return client_stats(wanted->client).beats_answered >= wanted->answered;
}

void client_await_beats(struct pywatt_client *client, uint64_t answered)
{
    struct wanted_beats wanted = {client, answered};
    if (!pw_test_wait_until(are_answered, &wanted, PATIENCE_MS)) {
        fail_msg("%llu beats are answered, not %llu",
                 (unsigned long long)client_stats(client).beats_answered,
                 (unsigned long long)answered);
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.c - defaults and checks of a client's options. No threads, no state: every refusal names
 * the option, the value and what would be accepted.
 */
#include "registry/options.h"

#include "base/error.h"
#include "base/random.h"
#include "transport/tls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIN_FRAME_BYTES = 1024,
    MAX_FRAME_BYTES = 256 * 1024 * 1024,
    MAX_IN_FLIGHT = 1 << 20,
    MAX_DELAY_MS = 24 * 60 * 60 * 1000,
    MAX_SPREAD_MS = 60 * 60 * 1000,
    CODEC_NAMES_MAX = 128
};

/* What the first version of the struct had: an application cannot have been built with less. */
#define FIRST_SIZE                                           \
    (offsetof(struct pywatt_client_options, max_in_flight) + \
     sizeof(((struct pywatt_client_options *)NULL)->max_in_flight))

void pywatt_client_options_init(struct pywatt_client_options *options)
{
    if (options == NULL) {
        return;
    }
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
    options->codec = "json";
    options->timeout_ms = 30000;
    options->reconnect = PYWATT_RECONNECT_EXPONENTIAL;
    options->reconnect_delay_ms = 200;
    options->reconnect_max_delay_ms = 30000;
    options->reregister = true;
    options->max_frame_bytes = 1024 * 1024;
    options->max_in_flight = 16384;
    options->coalesce = true;
    options->reconnect_spread_ms = 1000;
}

/* Copies as much as both sides know; refuses options that only a newer library could honour. */
static enum pywatt_status read_struct(const struct pywatt_client_options *options,
                                      struct pywatt_client_options *out, struct pywatt_error *error)
{
    if (options == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "the client's options are NULL");
    }
    if (options->size < FIRST_SIZE) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "options.size is %zu: fill the options with pywatt_client_options_init",
                            options->size);
    }
    const unsigned char *bytes = (const unsigned char *)options;
    for (size_t i = sizeof(*out); i < options->size; i++) {
        if (bytes[i] != 0) {
            return pw_error_set(error, PYWATT_UNSUPPORTED,
                                "the options ask for what this version (%s) does not have",
                                pywatt_version());
        }
    }
    pywatt_client_options_init(out);
    memcpy(out, options, options->size < sizeof(*out) ? options->size : sizeof(*out));
    return PYWATT_OK;
}

static enum pywatt_status check_range(const char *option, uint32_t value, uint32_t min,
                                      uint32_t max, struct pywatt_error *error)
{
    if (value < min || value > max) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "options.%s is %" PRIu32 ", must be from %" PRIu32 " to %" PRIu32,
                            option, value, min, max);
    }
    return PYWATT_OK;
}

static enum pywatt_status find_codec(const char *name, const struct pw_codec_ops **out,
                                     struct pywatt_error *error)
{
    *out = name == NULL ? NULL : pw_codec_by_name(name);
    if (*out != NULL) {
        return PYWATT_OK;
    }
    char known[CODEC_NAMES_MAX] = "";
    size_t used = 0;
    for (const char *const *at = pw_codec_names(); *at != NULL && used < sizeof(known); at++) {
        const int n =
            snprintf(known + used, sizeof(known) - used, "%s%s", used > 0 ? ", " : "", *at);
        used += n > 0 ? (size_t)n : 0;
    }
    return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "options.codec is '%.64s', there are: %s",
                        name == NULL ? "" : name, known);
}

static enum pywatt_status read_backoff(const struct pywatt_client_options *options,
                                       struct pw_backoff *out, struct pywatt_error *error)
{
    enum pw_backoff_policy policy = PW_BACKOFF_NONE;
    const uint32_t delay = options->reconnect_delay_ms;
    enum pywatt_status status = PYWATT_OK;
    switch (options->reconnect) {
    case PYWATT_RECONNECT_NONE: break;
    case PYWATT_RECONNECT_FIXED:
        policy = PW_BACKOFF_FIXED;
        status = check_range("reconnect_delay_ms", delay, 1, MAX_DELAY_MS, error);
        break;
    case PYWATT_RECONNECT_EXPONENTIAL:
        policy = PW_BACKOFF_EXPONENTIAL;
        status = check_range("reconnect_delay_ms", delay, 1, MAX_DELAY_MS, error);
        if (status == PYWATT_OK) {
            status = check_range("reconnect_max_delay_ms", options->reconnect_max_delay_ms, delay,
                                 MAX_DELAY_MS, error);
        }
        break;
    default:
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "options.reconnect is %d, which is no policy", (int)options->reconnect);
    }
    if (status == PYWATT_OK) {
        pw_backoff_init(out, policy, delay, options->reconnect_max_delay_ms,
                        options->reconnect_max_attempts, 0);
    }
    return status;
}

static enum pywatt_status check_numbers(const struct pywatt_client_options *options,
                                        struct pywatt_error *error)
{
    enum pywatt_status status =
        check_range("timeout_ms", options->timeout_ms, 1, UINT32_MAX, error);
    if (status == PYWATT_OK) {
        status = check_range("max_frame_bytes", options->max_frame_bytes, MIN_FRAME_BYTES,
                             MAX_FRAME_BYTES, error);
    }
    if (status == PYWATT_OK) {
        status = check_range("max_in_flight", options->max_in_flight, 1, MAX_IN_FLIGHT, error);
    }
    if (status == PYWATT_OK) {
        status = check_range("reconnect_spread_ms", options->reconnect_spread_ms, 0, MAX_SPREAD_MS,
                             error);
    }
    return status;
}

static enum pywatt_status secure_all(struct pw_settings *out, struct pywatt_tls *tls,
                                     struct pywatt_error *error)
{
    enum pywatt_status status = PYWATT_OK;
    for (size_t i = 0; i < out->endpoint_count && status == PYWATT_OK; i++) {
        status = pw_endpoint_secure(&out->endpoints[i], false, tls, error);
    }
    if (status == PYWATT_OK) {
        status = pw_tls_acquire(tls, error);
    }
    if (status == PYWATT_OK) {
        out->tls = tls;
    }
    return status;
}

/* Any order is as likely as any other. */
static void shuffle(struct pw_endpoint *endpoints, size_t count)
{
    uint64_t random = pw_random_seed();
    for (size_t i = count; i > 1; i--) {
        const size_t k = (size_t)pw_random_below(pw_random_next(&random), i);
        const struct pw_endpoint last = endpoints[i - 1];
        endpoints[i - 1] = endpoints[k];
        endpoints[k] = last;
    }
}

enum pywatt_status pw_settings_read(const struct pywatt_client_options *given,
                                    struct pw_settings *out, struct pywatt_error *error)
{
    struct pywatt_client_options options;
    memset(out, 0, sizeof(*out));
    enum pywatt_status status = read_struct(given, &options, error);
    if (status == PYWATT_OK) {
        status = check_numbers(&options, error);
    }
    if (status == PYWATT_OK) {
        status = find_codec(options.codec, &out->codec, error);
    }
    if (status == PYWATT_OK) {
        status = read_backoff(&options, &out->backoff, error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    if (options.endpoints == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "options.endpoints is not set, it must name at least one URL");
    }
    out->timeout_ms = options.timeout_ms;
    out->reregister = options.reregister;
    out->batches = options.coalesce && out->codec->batches;
    out->max_frame_bytes = options.max_frame_bytes;
    out->max_in_flight = options.max_in_flight;
    out->reconnect_spread_ms = options.reconnect_spread_ms;
    status =
        pw_endpoint_parse_list(options.endpoints, &out->endpoints, &out->endpoint_count, error);
    if (status == PYWATT_LIMIT) { /* too many URLs: a bad option, as any other number */
        status = PYWATT_INVALID_ARGUMENT;
        if (error != NULL) {
            error->status = status;
        }
    }
    if (status == PYWATT_OK) {
        status = secure_all(out, options.tls, error);
        if (status != PYWATT_OK) {
            pw_settings_clear(out);
        }
    }
    if (status == PYWATT_OK && options.shuffle_endpoints) {
        shuffle(out->endpoints, out->endpoint_count);
    }
    return status;
}

void pw_settings_clear(struct pw_settings *settings)
{
    free(settings->endpoints);
    pw_tls_release(settings->tls);
    settings->tls = NULL;
    settings->endpoints = NULL;
    settings->endpoint_count = 0;
}

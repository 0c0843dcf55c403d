/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.h - the options of a client, checked once and turned into what the rest works with. No
 * threads: a settings object is made before its client, and does not change afterwards.
 */
#ifndef PW_REGISTRY_OPTIONS_H
#define PW_REGISTRY_OPTIONS_H

#include "codec/codec.h"
#include "transport/backoff.h"
#include "transport/endpoint.h"

#include <pywatt/client.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_settings {
    struct pw_endpoint *endpoints; /* on the heap */
    size_t endpoint_count;
    struct pywatt_tls *tls; /* a reference, or NULL */
    const struct pw_codec_ops *codec;
    uint64_t timeout_ms;
    struct pw_backoff backoff; /* fresh */
    bool reregister;
    bool batches; /* beats share messages where the orchestrator can */
    uint32_t max_frame_bytes;
    uint32_t max_in_flight;
    uint32_t reconnect_spread_ms;
};

/* Statuses of pywatt_client_open. After PYWATT_OK pw_settings_clear frees what *out owns. */
enum pywatt_status pw_settings_read(const struct pywatt_client_options *options,
                                    struct pw_settings *out, struct pywatt_error *error);
void pw_settings_clear(struct pw_settings *settings);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * client.h - a real client and its modules, with few words. Functions assert: main thread.
 */
#ifndef PW_TESTS_CLIENT_H
#define PW_TESTS_CLIENT_H

#include "pw_test.h"

#include <pywatt/pywatt.h>

extern const char *const client_codecs[];
extern const size_t client_codec_count;

/* Defaults of the tests: pauses of 1 to 50 ms, patience as long as is sane. */
void client_options(struct pywatt_client_options *options, const char *urls, const char *codec);
struct pywatt_client *client_open(const char *urls, const char *codec);
struct pywatt_client *client_open_with(const struct pywatt_client_options *options);

struct pywatt_module *client_register(struct pywatt_client *client, const char *name);

/* Registers and advertises "/work". */
struct pywatt_module *client_register_advertised(struct pywatt_client *client, const char *name);

struct pywatt_client_stats client_stats(struct pywatt_client *client);

/* Waits until the client's loops have had this many beats answered. */
void client_await_beats(struct pywatt_client *client, uint64_t answered);

#endif

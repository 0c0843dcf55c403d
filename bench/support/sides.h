/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sides.h - the two sides that most measurements need, through the public interface: an orchestrator
 * in this process, and a client with registered modules. Everything ends the program on failure.
 */
#ifndef BENCH_SIDES_H
#define BENCH_SIDES_H

#include <pywatt/orchestrator.h>
#include <pywatt/pywatt.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_URL_SIZE 256

/*
 * An orchestrator with `workers` threads that listens at a URL of the scheme ("tcp", "unix" or
 * "memory"), on a free port or in a new place. `url` gets the URL. To be ended with
 * bench_stop_orchestrator.
 */
struct pywatt_orchestrator *bench_start_orchestrator(const char *scheme, uint32_t workers,
                                                     char url[BENCH_URL_SIZE]);

/* The same with more options; 0 and NULL take the defaults. */
struct bench_orchestrator_options {
    uint32_t workers;
    uint32_t lease_ms;
    uint32_t max_modules;
    const char *store;
    pywatt_event_fn on_event;
    void *event_user;
};

struct pywatt_orchestrator *
bench_start_orchestrator_with(const char *scheme, const struct bench_orchestrator_options *with,
                              char url[BENCH_URL_SIZE]);
void bench_stop_orchestrator(struct pywatt_orchestrator *orchestrator);

struct pywatt_client *bench_open_client(const char *url, const char *codec);

/* The same with more options; NULL and false take the defaults. */
struct bench_client_options {
    const char *codec;
    bool one_by_one;        /* beats that are sent together share no messages */
    struct pywatt_tls *tls; /* borrowed */
};

struct pywatt_client *bench_open_client_with(const char *url,
                                             const struct bench_client_options *with);

/* Registers a module with a name of its own. */
struct pywatt_module *bench_register(struct pywatt_client *client, const char *what, size_t number);

/* Unregisters it and frees the handle. */
void bench_unregister(struct pywatt_module *module);

struct pywatt_orchestrator_stats bench_orchestrator_stats(struct pywatt_orchestrator *orchestrator);
struct pywatt_client_stats bench_client_stats(struct pywatt_client *client);

/* Sleeps until `when_ns`, and, if need be, on until loops of the client have had an answer more. */
void bench_let_beat(struct pywatt_client *client, uint64_t when_ns);

#endif

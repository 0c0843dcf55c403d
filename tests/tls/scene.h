/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scene.h - certificates, an orchestrator behind TLS in this process, clients of it, and what it logs.
 * Functions assert: main thread.
 */
#ifndef TLS_SCENE_H
#define TLS_SCENE_H

#include "client.h"
#include "host.h"

#include <certificates.h>
#include <pywatt/tls.h>

/* The name in the orchestrator's certificate. */
#define SCENE_HUB "hub.example"

/* Made once a process. */
struct scene {
    char *folder;
    struct pw_test_ca ca;
    struct pw_test_ca other_ca;          /* that nobody here trusts */
    struct pw_test_certificate hub;      /* DNS:hub.example */
    struct pw_test_certificate stranger; /* the same, of the other CA */
    struct pw_test_certificate old;      /* has expired */
    struct pw_test_certificate unborn;   /* is not valid yet */
    struct pw_test_certificate module;   /* DNS:camera, DNS:*.floor2, URI:pywatt:Messung 7 */
    struct pw_test_certificate nameless; /* without alternative names */
};
extern struct scene scene;

/* cmocka's group setup and teardown. */
int scene_make(void **state);
int scene_free(void **state);

/* Options as the tests want them: patient, without a pace. */
void scene_server_options(struct pywatt_tls_options *options);
void scene_client_options(struct pywatt_tls_options *options);
/* Those also show a certificate, or ask for one. */
void scene_show(struct pywatt_tls_options *options, const struct pw_test_certificate *own);
void scene_ask(struct pywatt_tls_options *options);

struct pywatt_tls *scene_server(const struct pywatt_tls_options *options);
struct pywatt_tls *scene_client(const struct pywatt_tls_options *options);
struct pywatt_tls_stats scene_stats(struct pywatt_tls *tls);

/* An orchestrator at "tls:"; host.options.tls is the caller's to free, after host_destroy. */
void scene_host(struct host *host, const struct pywatt_tls_options *options);

/* The same, not started yet. */
void scene_prepare(struct host *host, const struct pywatt_tls_options *options);

/* One that asks for certificates, and is not started yet; for clients with `scene.module`. */
struct pywatt_tls *scene_host_init(struct host *host, uint32_t handshakes_per_s);

/* A client that makes one attempt. */
struct pywatt_client *scene_open(const struct host *host, struct pywatt_tls *tls,
                                 const char *codec);

/* Registers with a client made for it, expects `status` and the words; NULL for none. */
void scene_expect(const struct host *host, const struct pywatt_tls_options *options,
                  enum pywatt_status status, const char *words);

/* Waits until a line with these words was logged since the last call. */
void scene_await_log(const char *words);

/* Waits until the orchestrator has so many connections. */
void scene_await_connections(struct host *host, uint64_t count);

/* A TCP connection to the host, without TLS; and whether it ends, reading what comes. */
int scene_dial(const struct host *host);
bool scene_ends(int fd);

/* Whether the other side does a handshake of TLS 1.2. */
bool scene_speaks_tls12(int fd);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * scene.c - see the header. The log's mutex guards the lines, which any thread writes.
 */
#include "scene.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000,
    LINES_MAX = 512
};

struct scene scene;

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char log_lines[LINES_MAX][512];
static size_t log_count;
static size_t log_seen;

static void log_sink(void *user, enum pywatt_log_level level, const char *line)
{
    (void)user;
    (void)level;
    pthread_mutex_lock(&log_mutex);
    if (log_count < LINES_MAX) {
        snprintf(log_lines[log_count++], sizeof(log_lines[0]), "%s", line);
    }
    pthread_mutex_unlock(&log_mutex);
}

int scene_make(void **state)
{
    (void)state;
    char *const folder = pw_test_temp_dir();
    scene.folder = folder;
    pw_test_ca_make(&scene.ca, folder, "ca");
    pw_test_ca_make(&scene.other_ca, folder, "other-ca");
    pw_test_certificate_make(&scene.ca, folder, "hub", "DNS:" SCENE_HUB, -1, 1, &scene.hub);
    pw_test_certificate_make(&scene.other_ca, folder, "stranger", "DNS:" SCENE_HUB ",DNS:camera",
                             -1, 1, &scene.stranger);
    pw_test_certificate_make(&scene.ca, folder, "old", "DNS:" SCENE_HUB ",DNS:camera", -3, -1,
                             &scene.old);
    pw_test_certificate_make(&scene.ca, folder, "unborn", "DNS:" SCENE_HUB, 1, 2, &scene.unborn);
    pw_test_certificate_make(&scene.ca, folder, "module",
                             "DNS:camera,DNS:*.floor2,URI:pywatt:Messung 7,URI:http://x,IP:1.2.3.4",
                             -1, 1, &scene.module);
    pw_test_certificate_make(&scene.ca, folder, "nameless", NULL, -1, 1, &scene.nameless);
    pywatt_set_log_sink(log_sink, NULL, PYWATT_LOG_DEBUG);
    return 0;
}

int scene_free(void **state)
{
    (void)state;
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    pw_test_ca_free(&scene.ca);
    pw_test_ca_free(&scene.other_ca);
    free(scene.folder);
    return 0;
}

void scene_server_options(struct pywatt_tls_options *options)
{
    pywatt_tls_options_init(options);
    options->handshake_timeout_ms = 600000;
    options->handshakes_per_s = 0;
    scene_show(options, &scene.hub);
}

void scene_client_options(struct pywatt_tls_options *options)
{
    pywatt_tls_options_init(options);
    options->handshake_timeout_ms = 600000;
    options->ca_file = scene.ca.file;
    options->server_name = SCENE_HUB;
}

void scene_show(struct pywatt_tls_options *options, const struct pw_test_certificate *own)
{
    options->cert_file = own->cert_file;
    options->key_file = own->key_file;
}

void scene_ask(struct pywatt_tls_options *options)
{
    options->ca_file = scene.ca.file;
}

struct pywatt_tls *scene_server(const struct pywatt_tls_options *options)
{
    struct pywatt_tls *tls = NULL;
    struct pywatt_error error;
    if (pywatt_tls_server_new(options, &tls, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return tls;
}

struct pywatt_tls *scene_client(const struct pywatt_tls_options *options)
{
    struct pywatt_tls *tls = NULL;
    struct pywatt_error error;
    if (pywatt_tls_client_new(options, &tls, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return tls;
}

struct pywatt_tls_stats scene_stats(struct pywatt_tls *tls)
{
    struct pywatt_tls_stats stats = {.size = sizeof(stats)};
    assert_int_equal(pywatt_tls_get_stats(tls, &stats), PYWATT_OK);
    return stats;
}

void scene_prepare(struct host *host, const struct pywatt_tls_options *options)
{
    host_init(host, "tcp");
    memcpy(host->url, "tls", 3);
    host->options.tls = scene_server(options);
}

struct pywatt_tls *scene_host_init(struct host *host, uint32_t handshakes_per_s)
{
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_ask(&options);
    options.handshakes_per_s = handshakes_per_s;
    scene_prepare(host, &options);
    scene_client_options(&options);
    scene_show(&options, &scene.module);
    return scene_client(&options);
}

void scene_host(struct host *host, const struct pywatt_tls_options *options)
{
    scene_prepare(host, options);
    host_start(host);
}

struct pywatt_client *scene_open(const struct host *host, struct pywatt_tls *tls, const char *codec)
{
    struct pywatt_client_options options;
    client_options(&options, host->url, codec);
    options.tls = tls;
    options.reconnect = PYWATT_RECONNECT_NONE;
    options.reregister = false;
    return client_open_with(&options);
}

void scene_expect(const struct host *host, const struct pywatt_tls_options *options,
                  enum pywatt_status status, const char *words)
{
    struct pywatt_tls *const tls = scene_client(options);
    struct pywatt_client *const client = scene_open(host, tls, "json");
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    assert_int_equal(pywatt_module_info_new("camera", "1", "looks", &info), PYWATT_OK);
    const enum pywatt_status got = pywatt_register_module(client, info, &module, &error);
    if (got != status || (words != NULL && strstr(error.text, words) == NULL)) {
        fail_msg("%s: \"%s\", not %s: \"%s\"", pywatt_status_name(got), error.text,
                 pywatt_status_name(status), words == NULL ? "" : words);
    }
    if (module != NULL) {
        assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
    }
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    pywatt_client_free(client);
    pywatt_tls_free(tls);
}

static bool was_logged(void *user)
{
    const char *const words = user;
    bool found = false;
    pthread_mutex_lock(&log_mutex);
    for (; log_seen < log_count && !found; log_seen++) {
        found = strstr(log_lines[log_seen], words) != NULL;
    }
    pthread_mutex_unlock(&log_mutex);
    return found;
}

void scene_await_log(const char *words)
{
    if (!pw_test_wait_until(was_logged, (void *)(uintptr_t)words, PATIENCE_MS)) {
        for (size_t i = 0; i < log_count; i++) {
            print_message("logged: %s\n", log_lines[i]);
        }
        fail_msg("\"%s\" was not logged", words);
    }
}

struct wanted {
    struct host *host;
    uint64_t count;
};

static bool are_there(void *user)
{
    const struct wanted *wanted = user;
    return host_stats(wanted->host).connections == wanted->count;
}

void scene_await_connections(struct host *host, uint64_t count)
{
    struct wanted wanted = {host, count};
    assert_true(pw_test_wait_until(are_there, &wanted, PATIENCE_MS));
}

int scene_dial(const struct host *host)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char ip[64];
    unsigned port = 0;
    assert_int_equal(sscanf(host->url, "tls://%63[^:]:%u", ip, &port), 2);
    assert_int_equal(inet_pton(AF_INET, ip, &address.sin_addr), 1);
    address.sin_port = htons((uint16_t)port);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

bool scene_ends(int fd)
{
    char bytes[4096];
    struct pollfd item = {.fd = fd, .events = POLLIN};
    while (poll(&item, 1, PATIENCE_MS * (int)pw_test_slow_factor()) > 0) {
        if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
            return true;
        }
    }
    return false;
}

bool scene_speaks_tls12(int fd)
{
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION), 1);
    SSL *const ssl = SSL_new(ctx);
    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    const bool speaks = SSL_connect(ssl) == 1;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return speaks;
}

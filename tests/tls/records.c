/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A client's connection to a server of OpenSSL's own, which sends records as our orchestrator never
 * does. The server's thread makes them all before it sends the first byte.
 */
#include "tls/conn.h"
#include "transport/tls.h"

#include "scene.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000
};

struct server {
    void (*write)(SSL *ssl); /* makes the records */
    int listener;
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    char url[64];
    pthread_t thread;
    size_t sent; /* once the thread is over */
};

struct scenario {
    struct server server;
    struct pywatt_tls *tls;
    struct pw_conn *conn;
};

/* Swallows what OpenSSL writes, and then sends it in one go. */
static void send_records(struct server *server)
{
    char *bytes = NULL;
    BIO *const out = BIO_new(BIO_s_mem());
    SSL_set_bio(server->ssl, BIO_new(BIO_s_mem()), out);
    server->write(server->ssl);
    const size_t len = (size_t)BIO_get_mem_data(out, &bytes);
    while (server->sent < len) {
        const ssize_t sent =
            send(server->fd, bytes + server->sent, len - server->sent, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        server->sent += (size_t)sent;
    }
}

static void *serve(void *user)
{
    struct server *const server = user;
    char byte;
    server->fd = accept(server->listener, NULL, NULL);
    server->ssl = SSL_new(server->ctx);
    if (server->ssl != NULL && SSL_set_fd(server->ssl, server->fd) == 1 &&
        SSL_accept(server->ssl) == 1 && SSL_read(server->ssl, &byte, 1) == 1) {
        send_records(server);
    }
    return NULL;
}

static void listen_at(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server->listener, 1), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(server->url, sizeof(server->url), "tls://127.0.0.1:%u", ntohs(address.sin_port));
    server->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(
        SSL_CTX_use_certificate_file(server->ctx, scene.hub.cert_file, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(server->ctx, scene.hub.key_file, SSL_FILETYPE_PEM),
                     1);
    assert_int_equal(SSL_CTX_set_num_tickets(server->ctx, 0), 1);
}

static int bytes_in_kernel(struct pw_conn *conn)
{
    int count = 0;
    assert_int_equal(ioctl(pw_conn_fd(conn), FIONREAD, &count), 0);
    return count;
}

static bool all_has_come(void *user)
{
    struct scenario *const scenario = user;
    return (size_t)bytes_in_kernel(scenario->conn) >= scenario->server.sent;
}

/* Afterwards the kernel has all that the server had to say. */
static void begin_with(struct scenario *scenario, void (*change)(SSL_CTX *ctx),
                       void (*write)(SSL *ssl))
{
    struct pywatt_tls_options options;
    struct pw_endpoint endpoint;
    struct pywatt_error error;
    const int room = 1 << 20;
    const struct iovec go = {.iov_base = (void *)(uintptr_t) "x", .iov_len = 1};
    size_t sent = 0;
    *scenario = (struct scenario){.server = {.write = write, .fd = -1}};
    listen_at(&scenario->server);
    if (change != NULL) {
        change(scenario->server.ctx);
    }
    assert_int_equal(pthread_create(&scenario->server.thread, NULL, serve, &scenario->server), 0);
    scene_client_options(&options);
    scene_show(&options, &scene.module);
    scenario->tls = scene_client(&options);
    assert_int_equal(pw_endpoint_parse(scenario->server.url, false, &endpoint, &error), PYWATT_OK);
    assert_int_equal(pw_endpoint_secure(&endpoint, false, scenario->tls, &error), PYWATT_OK);
    if (pw_transport_connect(&endpoint, (uint64_t)pw_test_deadline_ns(PATIENCE_MS), -1,
                             &scenario->conn, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(
        setsockopt(pw_conn_fd(scenario->conn), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    assert_int_equal(pw_conn_send(scenario->conn, &go, 1, &sent, NULL), PW_IO_OK);
    pthread_join(scenario->server.thread, NULL);
    assert_true(scenario->server.sent > 0);
    assert_true(pw_test_wait_until(all_has_come, scenario, PATIENCE_MS));
}

static void begin(struct scenario *scenario, void (*write)(SSL *ssl))
{
    begin_with(scenario, NULL, write);
}

static void end(struct scenario *scenario)
{
    pw_conn_destroy(scenario->conn);
    pywatt_tls_free(scenario->tls);
    SSL_free(scenario->server.ssl);
    SSL_CTX_free(scenario->server.ctx);
    close(scenario->server.fd);
    close(scenario->server.listener);
}

/* ---- Records that carry nothing ---- */

static void write_new_keys(SSL *ssl)
{
    const size_t record = 27;
    for (size_t i = 0; i < PW_TLS_CALL_BUDGET / record + 200; i++) {
        (void)SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        (void)SSL_do_handshake(ssl);
    }
    (void)SSL_write(ssl, "the word", 8);
}

static void records_that_carry_nothing_keep_nobody_inside_of_one_call(void **state)
{
    (void)state;
    struct scenario scenario;
    char bytes[16];
    size_t got = 0;
    begin(&scenario, write_new_keys);
    assert_int_equal(pw_conn_receive(scenario.conn, bytes, sizeof(bytes), &got, NULL), PW_IO_AGAIN);
    /* What is left is there to be polled for, and nothing of it is lost. */
    assert_true(bytes_in_kernel(scenario.conn) > 0);
    enum pw_io result = PW_IO_AGAIN;
    while (result == PW_IO_AGAIN && bytes_in_kernel(scenario.conn) > 0) {
        result = pw_conn_receive(scenario.conn, bytes, sizeof(bytes), &got, NULL);
    }
    assert_int_equal(result, PW_IO_OK);
    assert_int_equal(got, 8);
    assert_memory_equal(bytes, "the word", 8);
    end(&scenario);
}

/* ---- Records that end where OpenSSL's buffer does ---- */

enum {
    OPENSSL_READS = 16709, /* of ciphertext at once, at most */
    RECORD_COSTS = 22
};

static void write_up_to_the_edge(SSL *ssl)
{
    static const char zeros[2000];
    int left = OPENSSL_READS;
    while (left > 0) {
        const int record = left > 2000 ? 1000 : left;
        (void)SSL_write(ssl, zeros, record - RECORD_COSTS);
        left -= record;
    }
    (void)SSL_write(ssl, "the last", 8);
}

static void what_was_received_patiently_is_given_or_told_of(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    struct scenario scenario;
    size_t len = 0;
    begin(&scenario, write_up_to_the_edge);
    while (len < 8 || memcmp(bytes + len - 8, "the last", 8) != 0) {
        size_t got = 0;
        if (len > 0) {
            assert_true(pw_conn_buffered(scenario.conn) || bytes_in_kernel(scenario.conn) > 0);
        }
        const enum pw_io result =
            pw_conn_receive_patiently(scenario.conn, bytes + len, sizeof(bytes) - len, &got, NULL);
        assert_true(result == PW_IO_OK || result == PW_IO_AGAIN);
        len += got;
    }
    assert_false(pw_conn_buffered(scenario.conn));
    end(&scenario);
}

/* ---- No record where others send one ---- */

static int take_any(int good, X509_STORE_CTX *store)
{
    (void)good;
    (void)store;
    return 1;
}

static void ask_for_a_certificate(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
}

static void write_a_word(SSL *ssl)
{
    (void)SSL_write(ssl, "the word", 8);
}

/* By a ticket it would have said that our certificate is good. */
static void a_server_that_gives_no_tickets_is_not_waited_for(void **state)
{
    (void)state;
    struct scenario scenario;
    begin_with(&scenario, ask_for_a_certificate, write_a_word);
    end(&scenario);
}

/* ---- No record any more ---- */

static void a_reset_is_told_as_one_to_who_is_patient(void **state)
{
    (void)state;
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct scenario scenario;
    struct pywatt_error error;
    char bytes[16];
    size_t got = 0;
    begin(&scenario, write_a_word);
    enum pw_io result;
    do {
        result = pw_conn_receive_patiently(scenario.conn, bytes, sizeof(bytes), &got, &error);
    } while (result == PW_IO_AGAIN);
    assert_int_equal(got, 8);
    assert_int_equal(
        setsockopt(scenario.server.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    assert_int_equal(close(scenario.server.fd), 0);
    scenario.server.fd = -1;
    do {
        result = pw_conn_receive_patiently(scenario.conn, bytes, sizeof(bytes), &got, &error);
    } while (result == PW_IO_AGAIN);
    assert_int_equal(result, PW_IO_ERROR);
    assert_int_equal(error.status, PYWATT_IO);
    assert_non_null(strstr(error.text, "receiving failed: Connection reset"));
    end(&scenario);
}

/* ---- A server without a certificate ---- */

static void *offer_anonymously(void *user)
{
    struct server *const server = user;
    server->fd = accept(server->listener, NULL, NULL);
    server->ssl = SSL_new(server->ctx);
    if (server->ssl != NULL && SSL_set_fd(server->ssl, server->fd) == 1) {
        (void)SSL_accept(server->ssl);
    }
    return NULL;
}

static void whoever_shows_no_certificate_is_nobody(void **state)
{
    (void)state;
    struct server server = {.fd = -1};
    struct host place = {.orchestrator = NULL};
    struct pywatt_tls_options options;
    pthread_t thread;
    listen_at(&server);
    SSL_CTX_free(server.ctx);
    server.ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_set_max_proto_version(server.ctx, TLS1_2_VERSION), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(server.ctx, "aNULL:@SECLEVEL=0"), 1);
    assert_int_equal(SSL_CTX_set_dh_auto(server.ctx, 1), 1);
    assert_int_equal(pthread_create(&thread, NULL, offer_anonymously, &server), 0);
    scene_client_options(&options);
    options.allow_tls12 = true;
    snprintf(place.url, sizeof(place.url), "%s", server.url);
    scene_expect(&place, &options, PYWATT_CONNECTION, "handshake failed");
    pthread_join(thread, NULL);
    SSL_free(server.ssl);
    SSL_CTX_free(server.ctx);
    close(server.fd);
    close(server.listener);
}

/* For a system on which every program may do everything; read once, before anything else of OpenSSL. */
static int make_lax_scene(void **state)
{
    char path[512];
    char *const folder = pw_test_temp_dir();
    snprintf(path, sizeof(path), "%s/openssl.cnf", folder);
    free(folder);
    FILE *const file = fopen(path, "we");
    assert_non_null(file);
    fputs("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n"
          "[all]\nCipherString = ALL:@SECLEVEL=0\n",
          file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(setenv("OPENSSL_CONF", path, 1), 0);
    return scene_make(state);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(records_that_carry_nothing_keep_nobody_inside_of_one_call),
        cmocka_unit_test(what_was_received_patiently_is_given_or_told_of),
        cmocka_unit_test(a_server_that_gives_no_tickets_is_not_waited_for),
        cmocka_unit_test(a_reset_is_told_as_one_to_who_is_patient),
        cmocka_unit_test(whoever_shows_no_certificate_is_nobody),
    };
    return pw_test_run("records", cases, sizeof(cases) / sizeof(cases[0]), make_lax_scene,
                       scene_free);
}

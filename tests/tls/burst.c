/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Many who are in already, and begin their handshakes at the same moment. The only worker is held up
 * where it logs, so that what it finds afterwards came while it could not look.
 */
#include "transport/frame.h"
#include "transport/tls.h"

#include "scene.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SILENT = 40,
    PATIENCE_MS = 20000
};

/* ---- The worker, held up ---- */

static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static unsigned gate_reached;
static unsigned gate_passed;

static void hold_up(void *user, enum pywatt_log_level level, const char *line)
{
    (void)user;
    (void)level;
    if (strstr(line, ": closed: ") == NULL) {
        return;
    }
    pthread_mutex_lock(&gate_mutex);
    const unsigned number = ++gate_reached;
    while (gate_passed < number) {
        pthread_cond_wait(&gate_changed, &gate_mutex);
    }
    pthread_mutex_unlock(&gate_mutex);
}

static bool has_reached(void *user)
{
    pthread_mutex_lock(&gate_mutex);
    const bool reached = gate_reached >= *(const unsigned *)user;
    pthread_mutex_unlock(&gate_mutex);
    return reached;
}

static void await_held_up(unsigned number)
{
    assert_true(pw_test_wait_until(has_reached, &number, PATIENCE_MS));
}

static void let_go(unsigned number)
{
    pthread_mutex_lock(&gate_mutex);
    gate_passed = number;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_mutex);
}

/* ---- Those who come ---- */

static size_t client_hello(unsigned char *out, size_t size)
{
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    SSL *const ssl = SSL_new(ctx);
    BIO *const bio = BIO_new(BIO_s_mem());
    assert_non_null(bio);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), bio);
    (void)SSL_connect(ssl);
    const int len = BIO_read(bio, out, (int)size);
    assert_true(len > 0);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return (size_t)len;
}

static unsigned count_answered(const int *fds)
{
    unsigned answered = 0;
    for (unsigned i = 0; i < SILENT; i++) {
        int bytes = 0;
        assert_int_equal(ioctl(fds[i], FIONREAD, &bytes), 0);
        answered += bytes > 0;
    }
    return answered;
}

static struct pw_conn *connect_to(const struct host *host, struct pywatt_tls *tls)
{
    struct pw_endpoint endpoint;
    struct pw_conn *conn = NULL;
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    assert_int_equal(pw_endpoint_parse(host->url, false, &endpoint, NULL), PYWATT_OK);
    assert_int_equal(pw_endpoint_secure(&endpoint, false, tls, NULL), PYWATT_OK);
    assert_int_equal(pw_transport_connect(&endpoint, deadline_ns, -1, &conn, NULL), PYWATT_OK);
    return conn;
}

/* A beat of somebody unknown, and then what holds the worker up once more. */
static void send_beat_and_nonsense(struct pw_conn *conn)
{
    static const char beat[] =
        "{\"id\":\"6ba7b810-9dad-41d1-80b4-00c04fd430c8\",\"content\":{\"request_type\":"
        "\"heartbeat\",\"module_id\":\"6ba7b810-9dad-41d1-80b4-00c04fd430c8\",\"token\":\"t\","
        "\"status\":\"Healthy\"}}";
    uint8_t bytes[512];
    const size_t len = sizeof(beat) - 1;
    pw_frame_write_header(bytes, (uint32_t)len, 1);
    memcpy(bytes + PW_FRAME_HEADER_SIZE, beat, len);
    memset(bytes + PW_FRAME_HEADER_SIZE + len, 0xff, PW_FRAME_HEADER_SIZE);
    const struct iovec piece = {.iov_base = bytes, .iov_len = len + 2 * PW_FRAME_HEADER_SIZE};
    size_t sent = 0;
    assert_int_equal(pw_conn_send(conn, &piece, 1, &sent, NULL), PW_IO_OK);
    assert_int_equal(sent, piece.iov_len);
}

static void a_beat_does_not_wait_for_all_handshakes_that_begin_at_once(void **state)
{
    (void)state;
    unsigned char hello[2048];
    int fds[SILENT];
    struct host host;
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_prepare(&host, &options);
    host.options.workers = 1;
    host_start(&host);
    scene_client_options(&options);
    struct pywatt_tls *const tls = scene_client(&options);
    const size_t len = client_hello(hello, sizeof(hello));
    struct pw_conn *const healthy = connect_to(&host, tls);
    for (unsigned i = 0; i < SILENT; i++) {
        fds[i] = scene_dial(&host);
    }
    const int in_the_way = scene_dial(&host);
    scene_await_connections(&host, SILENT + 2);
    pywatt_set_log_sink(hold_up, NULL, PYWATT_LOG_DEBUG);
    assert_int_equal(send(in_the_way, "nonsense", 8, MSG_NOSIGNAL), 8);
    await_held_up(1);
    for (unsigned i = 0; i < SILENT; i++) {
        assert_int_equal(send(fds[i], hello, len, MSG_NOSIGNAL), (ssize_t)len);
    }
    send_beat_and_nonsense(healthy);
    let_go(1);
    await_held_up(2);
    /* The beat is served: so many others were before it. */
    assert_true(count_answered(fds) < SILENT / 2);
    let_go(UINT32_MAX);
    for (unsigned i = 0; i < SILENT; i++) {
        struct pollfd item = {.fd = fds[i], .events = POLLIN};
        assert_true(poll(&item, 1, PATIENCE_MS * (int)pw_test_slow_factor()) == 1);
        close(fds[i]);
    }
    close(in_the_way);
    pw_conn_destroy(healthy);
    pywatt_tls_free(tls);
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_beat_does_not_wait_for_all_handshakes_that_begin_at_once),
    };
    return pw_test_run("burst", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bytes that OpenSSL holds and of which no descriptor tells: whoever stops reading in the middle of
 * them, since a buffer is full or the peer takes nothing, goes on with them later.
 */
#include "transport/frame.h"
#include "transport/tls.h"

#include "scene.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REQUESTS = 4000,
    PATIENCE_MS = 20000
};

static struct host host;
static struct pywatt_tls *client_tls;

static void begin_with(uint32_t max_output_bytes, uint32_t write_timeout_ms)
{
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_prepare(&host, &options);
    host.options.workers = 1;
    host.options.max_output_bytes = max_output_bytes;
    host.options.write_timeout_ms = write_timeout_ms;
    host_start(&host);
    scene_client_options(&options);
    client_tls = scene_client(&options);
}

static void begin(uint32_t max_output_bytes)
{
    begin_with(max_output_bytes, 600000);
}

static void end(void)
{
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
    pywatt_tls_free(client_tls);
}

static struct pw_conn *connect_to_host(void)
{
    struct pw_endpoint endpoint;
    struct pw_conn *conn = NULL;
    struct pywatt_error error;
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    assert_int_equal(pw_endpoint_parse(host.url, false, &endpoint, &error), PYWATT_OK);
    assert_int_equal(pw_endpoint_secure(&endpoint, false, client_tls, &error), PYWATT_OK);
    if (pw_transport_connect(&endpoint, deadline_ns, -1, &conn, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return conn;
}

static bool wait_for(struct pw_conn *conn, short events)
{
    struct pollfd item = {.fd = pw_conn_fd(conn), .events = pw_conn_poll_events(conn, events)};
    return poll(&item, 1, PATIENCE_MS * (int)pw_test_slow_factor()) > 0;
}

/* A beat of a module that nobody knows. */
static size_t pack_request(uint8_t *out, size_t size)
{
    const int len = snprintf(
        (char *)out + PW_FRAME_HEADER_SIZE, size - PW_FRAME_HEADER_SIZE,
        "{\"id\":\"6ba7b810-9dad-41d1-80b4-00c04fd430c8\",\"content\":{\"request_type\":"
        "\"heartbeat\",\"module_id\":\"6ba7b810-9dad-41d1-80b4-00c04fd430c8\",\"token\":\"t\","
        "\"status\":\"Healthy\"}}");
    pw_frame_write_header(out, (uint32_t)len, 1);
    return (size_t)len + PW_FRAME_HEADER_SIZE;
}

static unsigned request_count(void)
{
    return pw_test_slow_factor() == 1 ? REQUESTS : 600;
}

/* All requests behind each other; the caller's to free. */
static uint8_t *pack_all(size_t *len)
{
    uint8_t one[512];
    const size_t size = pack_request(one, sizeof(one));
    uint8_t *const all = malloc(size * request_count());
    assert_non_null(all);
    for (unsigned i = 0; i < request_count(); i++) {
        memcpy(all + i * size, one, size);
    }
    *len = size * request_count();
    return all;
}

/* How many whole frames have come, in a buffer that keeps what is left. */
struct counter {
    uint8_t bytes[1 << 16];
    size_t len;
    unsigned frames;
};

static void count_frames(struct counter *counter)
{
    size_t done = 0;
    struct pw_frame frame;
    size_t size;
    while (pw_frame_parse((struct pw_span){counter->bytes + done, counter->len - done}, 4096,
                          &frame, &size) == PW_FRAME_WHOLE) {
        done += size;
        counter->frames++;
    }
    memmove(counter->bytes, counter->bytes + done, counter->len - done);
    counter->len -= done;
}

/* Receives what is there, `at_once` bytes at most. */
static enum pw_io receive(struct pw_conn *conn, struct counter *counter, size_t at_once)
{
    size_t got = 0;
    const enum pw_io result =
        pw_conn_receive(conn, counter->bytes + counter->len, at_once, &got, NULL);
    counter->len += got;
    count_frames(counter);
    return result;
}

/* Sends all, reading nothing; false if it would have to wait for ever. */
static size_t send_what_fits(struct pw_conn *conn, const uint8_t *all, size_t len)
{
    size_t done = 0;
    while (done < len) {
        const struct iovec piece = {.iov_base = (void *)(uintptr_t)(all + done),
                                    .iov_len = len - done};
        size_t sent = 0;
        const enum pw_io result = pw_conn_send(conn, &piece, 1, &sent, NULL);
        assert_true(result == PW_IO_OK || result == PW_IO_AGAIN);
        if (result == PW_IO_AGAIN) {
            break;
        }
        done += sent;
    }
    return done;
}

static void everything_is_answered_however_late_it_is_read(void **state)
{
    (void)state;
    static struct counter counter;
    size_t len;
    begin(4096); /* so that it soon holds back what it has read */
    struct pw_conn *const conn = connect_to_host();
    uint8_t *const all = pack_all(&len);
    counter.len = 0;
    counter.frames = 0;
    size_t done = send_what_fits(conn, all, len);
    while (counter.frames < request_count()) {
        if (done < len) {
            done += send_what_fits(conn, all + done, len - done);
        }
        if (receive(conn, &counter, 1000) == PW_IO_AGAIN) {
            assert_true(wait_for(conn, (short)(POLLIN | (done < len ? POLLOUT : 0))));
        }
    }
    assert_int_equal(counter.frames, request_count());
    assert_int_equal(host_stats(&host).requests, request_count());
    free(all);
    pw_conn_destroy(conn);
    end();
}

/* The other end of a connection, in this process as well, keeps little of what it sends. */
static void let_little_be_unsent(struct pw_conn *conn)
{
    const int little = 4096;
    struct sockaddr_in ours = {.sin_port = 0};
    socklen_t len = sizeof(ours);
    unsigned found = 0;
    assert_int_equal(getsockname(pw_conn_fd(conn), (struct sockaddr *)&ours, &len), 0);
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = {.sin_port = 0};
        len = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
            peer.sin_port == ours.sin_port) {
            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
            found++;
        }
    }
    assert_int_equal(found, 1);
    assert_int_equal(setsockopt(pw_conn_fd(conn), SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)),
                     0);
}

/* The end comes amid a record, of which the socket takes no more. */
static void who_never_reads_is_given_up_after_a_while(void **state)
{
    (void)state;
    static struct counter counter;
    uint8_t one[512];
    size_t len;
    begin_with(4096, 300);
    struct pw_conn *const other = connect_to_host();
    struct pw_conn *const conn = connect_to_host();
    scene_await_connections(&host, 2);
    let_little_be_unsent(conn);
    uint8_t *const all = pack_all(&len);
    (void)send_what_fits(conn, all, len);
    struct pollfd item = {.fd = pw_conn_fd(conn), .events = 0};
    assert_int_equal(poll(&item, 1, PATIENCE_MS * (int)pw_test_slow_factor()), 1);
    scene_await_log("it does not read what it is sent");
    scene_await_connections(&host, 1);
    assert_true(host_stats(&host).requests < request_count());
    /* Who reads is answered. */
    const size_t size = pack_request(one, sizeof(one));
    counter.len = 0;
    counter.frames = 0;
    assert_int_equal(send_what_fits(other, one, size), size);
    while (counter.frames == 0 && receive(other, &counter, 1000) == PW_IO_AGAIN) {
        assert_true(wait_for(other, POLLIN));
    }
    assert_int_equal(counter.frames, 1);
    free(all);
    pw_conn_destroy(conn);
    pw_conn_destroy(other);
    end();
}

/* A reader with a small buffer: poll(2) is told of what OpenSSL holds. */
static void what_is_buffered_can_be_polled_for(void **state)
{
    (void)state;
    static struct counter counter;
    uint8_t one[512];
    begin(1 << 20);
    struct pw_conn *const conn = connect_to_host();
    const size_t size = pack_request(one, sizeof(one));
    counter.len = 0;
    counter.frames = 0;
    assert_int_equal(send_what_fits(conn, one, size), size);
    while (counter.frames == 0) {
        assert_true(wait_for(conn, POLLIN));
        const bool buffered = pw_conn_buffered(conn);
        size_t got = 0;
        /* Who is patient does not wait for what is here. */
        const enum pw_io result =
            buffered ? pw_conn_receive_patiently(conn, counter.bytes + counter.len, 1, &got, NULL)
                     : pw_conn_receive(conn, counter.bytes + counter.len, 1, &got, NULL);
        assert_true(result == PW_IO_OK || (result == PW_IO_AGAIN && !buffered));
        counter.len += got;
        count_frames(&counter);
        if (pw_conn_buffered(conn)) {
            /* The kernel has nothing any more; yet whoever polls goes on. */
            assert_int_equal(pw_conn_poll_events(conn, POLLIN), POLLIN | POLLOUT);
        }
    }
    assert_false(pw_conn_buffered(conn));
    assert_int_equal(pw_conn_poll_events(conn, POLLIN), POLLIN);
    pw_conn_destroy(conn);
    end();
}

/* ---- Against OpenSSL itself ---------------------------------------------------------------- */

/* A server of one connection, which says a word, and then that it ends, but keeps the socket. */
struct last_word {
    int listener;
    int fd;
    char url[64];
    SSL_CTX *ctx;
    SSL *ssl;
    atomic_bool said;
};

static void *say_last_word(void *user)
{
    struct last_word *const last = user;
    last->fd = accept(last->listener, NULL, NULL);
    last->ssl = SSL_new(last->ctx);
    if (last->fd >= 0 && last->ssl != NULL && SSL_set_fd(last->ssl, last->fd) == 1 &&
        SSL_accept(last->ssl) == 1 && SSL_write(last->ssl, "x", 1) == 1) {
        (void)SSL_shutdown(last->ssl);
        atomic_store(&last->said, true);
    }
    return NULL;
}

static void listen_for_last_word(struct last_word *last)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    last->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(last->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(last->listener, 1), 0);
    assert_int_equal(getsockname(last->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(last->url, sizeof(last->url), "tls://127.0.0.1:%u", ntohs(address.sin_port));
    last->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_file(last->ctx, scene.hub.cert_file, SSL_FILETYPE_PEM),
                     1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(last->ctx, scene.hub.key_file, SSL_FILETYPE_PEM),
                     1);
}

static void an_end_behind_bytes_is_told_though_the_socket_stays_open(void **state)
{
    (void)state;
    struct last_word last = {.fd = -1};
    struct pywatt_tls_options options;
    pthread_t thread;
    char bytes[16];
    size_t got = 0;
    scene_client_options(&options);
    client_tls = scene_client(&options);
    listen_for_last_word(&last);
    snprintf(host.url, sizeof(host.url), "%s", last.url);
    assert_int_equal(pthread_create(&thread, NULL, say_last_word, &last), 0);
    struct pw_conn *const conn = connect_to_host();
    pthread_join(thread, NULL);
    assert_true(atomic_load(&last.said));
    enum pw_io result;
    do {
        assert_true(wait_for(conn, POLLIN));
        result = pw_conn_receive(conn, bytes, sizeof(bytes), &got, NULL);
    } while (result == PW_IO_AGAIN);
    assert_int_equal(result, PW_IO_OK);
    assert_int_equal(got, 1);
    /* There is nothing in the socket that poll(2) could tell of. */
    assert_true(pw_conn_buffered(conn));
    assert_true(wait_for(conn, POLLIN));
    assert_int_equal(pw_conn_receive(conn, bytes, sizeof(bytes), &got, NULL), PW_IO_EOF);
    assert_false(pw_conn_buffered(conn));
    pw_conn_destroy(conn);
    SSL_free(last.ssl);
    SSL_CTX_free(last.ctx);
    close(last.fd);
    close(last.listener);
    pywatt_tls_free(client_tls);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(everything_is_answered_however_late_it_is_read),
        cmocka_unit_test(who_never_reads_is_given_up_after_a_while),
        cmocka_unit_test(what_is_buffered_can_be_polled_for),
        cmocka_unit_test(an_end_behind_bytes_is_told_though_the_socket_stays_open),
    };
    return pw_test_run("crowded", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

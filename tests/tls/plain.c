/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where TLS is asked for nothing goes in the clear: what comes to a peer that does not speak it, which
 * answers in all kinds of ways, and what a port with TLS says to who speaks plainly. The peer's thread
 * keeps what it hears in `heard`, which is the main thread's once it was joined.
 */
#include "scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LISTENERS = 2,
    CONNECTIONS_MIN = 14, /* at each: all kinds of answers twice */
    HEARD_MAX = 1 << 22,
    PATIENCE_MS = 20000,
    RECORD_HANDSHAKE = 22,
    RECORD_ALERT = 21
};

struct peer {
    int listeners[LISTENERS];
    int stop[2]; /* closed: the thread ends */
    atomic_uint connections[LISTENERS];
    pthread_t thread;
    /* The thread's. */
    unsigned char *heard;
    size_t len;
    size_t firsts; /* connections that said something */
    bool begins_otherwise;
};

#define ANSWER(bytes)            \
    {                            \
        bytes, sizeof(bytes) - 1 \
    }

static const struct {
    const char *bytes;
    size_t len;
} answers[] = {
    ANSWER(""),                                     /* the end */
    ANSWER("\x15\x03\x03\x00\x02\x02\x46"),         /* an alert: protocol version */
    ANSWER("\x15\x03\x03\x00\x02\x01\x00"),         /* an alert: close notify */
    ANSWER("\x00\x00\x00\x02\x01{}"),               /* a frame */
    ANSWER("HTTP/1.1 400 Bad Request\r\n\r\n"),     /* what a web server says */
    ANSWER("\x16\x03\x03\x00\x04\x0e\x00\x00\x00"), /* a handshake that makes no sense */
    ANSWER("\x17\x03\x03\x00\x08"
           "password"), /* data before any handshake */
};

#define KINDS (sizeof(answers) / sizeof(answers[0]))

/* Until the other side has gone, or this test is over. */
static void hear(struct peer *peer, int fd, unsigned kind)
{
    struct pollfd items[] = {{.fd = fd, .events = POLLIN}, {.fd = peer->stop[0], .events = 0}};
    bool first = true;
    while (poll(items, 2, -1) > 0 && items[1].revents == 0) {
        const ssize_t got = recv(fd, peer->heard + peer->len, HEARD_MAX - peer->len, 0);
        if (got <= 0) {
            return;
        }
        if (first) {
            peer->firsts++;
            peer->begins_otherwise |= peer->heard[peer->len] != RECORD_HANDSHAKE;
            (void)send(fd, answers[kind].bytes, answers[kind].len, MSG_NOSIGNAL);
            (void)shutdown(fd, SHUT_WR);
        }
        first = false;
        peer->len += (size_t)got;
    }
}

static void *listen_to_all(void *user)
{
    struct peer *const peer = user;
    struct pollfd items[LISTENERS + 1] = {{.fd = peer->stop[0], .events = 0}};
    for (unsigned i = 0; i < LISTENERS; i++) {
        items[i + 1] = (struct pollfd){.fd = peer->listeners[i], .events = POLLIN};
    }
    while (poll(items, LISTENERS + 1, -1) > 0 && items[0].revents == 0) {
        for (unsigned i = 0; i < LISTENERS; i++) {
            const int fd = items[i + 1].revents == 0 ? -1 : accept(peer->listeners[i], NULL, NULL);
            if (fd >= 0) {
                hear(peer, fd, atomic_load(&peer->connections[i]) % KINDS);
                close(fd);
                atomic_fetch_add(&peer->connections[i], 1);
            }
        }
    }
    return NULL;
}

static uint16_t listen_somewhere(int *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    *out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*out, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(*out, 64), 0);
    assert_int_equal(getsockname(*out, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

/* `urls` has the real one's, and gets ours behind it. */
static void begin_peer(struct peer *peer, char *urls, size_t size)
{
    *peer = (struct peer){.heard = malloc(HEARD_MAX)};
    assert_non_null(peer->heard);
    assert_int_equal(pipe(peer->stop), 0);
    for (unsigned i = 0; i < LISTENERS; i++) {
        const uint16_t port = listen_somewhere(&peer->listeners[i]);
        const size_t len = strlen(urls);
        snprintf(urls + len, size - len, ",tls://127.0.0.1:%u", port);
    }
    assert_int_equal(pthread_create(&peer->thread, NULL, listen_to_all, peer), 0);
}

static void end_peer(struct peer *peer)
{
    close(peer->stop[1]);
    pthread_join(peer->thread, NULL);
    close(peer->stop[0]);
    for (unsigned i = 0; i < LISTENERS; i++) {
        close(peer->listeners[i]);
    }
}

static bool has_heard_enough(void *user)
{
    struct peer *const peer = user;
    return atomic_load(&peer->connections[0]) >= CONNECTIONS_MIN &&
           atomic_load(&peer->connections[1]) >= CONNECTIONS_MIN;
}

static void must_not_have(const struct peer *peer, const void *secret, size_t len)
{
    assert_true(len > 0);
    if (memmem(peer->heard, peer->len, secret, len) != NULL) {
        fail_msg("the peer was told \"%.*s\"", (int)len, (const char *)secret);
    }
}

static void must_not_have_text(const struct peer *peer, const char *secret)
{
    must_not_have(peer, secret, strlen(secret));
}

/* All that a module may have to say, while nobody is there who speaks TLS. */
static void say_all(struct pywatt_client *client, struct pywatt_module *module)
{
    struct pywatt_beat beat = {.module = module, .health = PYWATT_DEGRADED};
    struct pywatt_capabilities *const capabilities = pywatt_capabilities_new();
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "job"), PYWATT_OK);
    assert_int_not_equal(pywatt_heartbeat(module, PYWATT_DEGRADED, NULL, NULL, NULL), PYWATT_OK);
    assert_int_not_equal(pywatt_heartbeat_batch(client, &beat, 1, NULL), PYWATT_OK);
    assert_int_not_equal(pywatt_advertise_capabilities(module, capabilities, NULL), PYWATT_OK);
    pywatt_capabilities_free(capabilities);
}

static void check_client(const char *codec)
{
    struct host host;
    struct peer peer;
    char urls[512];
    char id[PYWATT_UUID_TEXT_SIZE];
    struct pywatt_tls_options options;
    struct pywatt_client_options settings;
    struct pywatt_heartbeat_loop *loop = NULL;
    scene_server_options(&options);
    scene_host(&host, &options);
    scene_client_options(&options);
    struct pywatt_tls *const tls = scene_client(&options);
    snprintf(urls, sizeof(urls), "%s", host.url);
    begin_peer(&peer, urls, sizeof(urls));
    client_options(&settings, urls, codec);
    settings.tls = tls;
    settings.reconnect_max_attempts = 3; /* then a call that waits for a connection ends */
    settings.reconnect_max_delay_ms = 2;
    struct pywatt_client *const client = client_open_with(&settings);
    struct pywatt_module *const module = client_register(client, "camera");
    assert_int_equal(pywatt_start_heartbeat_loop(module, 5, NULL, NULL, &loop, NULL), PYWATT_OK);
    client_await_beats(client, 1);
    host_stop(&host);
    say_all(client, module);
    assert_true(pw_test_wait_until(has_heard_enough, &peer, PATIENCE_MS));
    end_peer(&peer);
    assert_true(peer.firsts >= 2 * KINDS);
    assert_false(peer.begins_otherwise);
    struct pywatt_registration *const known = pywatt_module_registration(module);
    pywatt_uuid_format(pywatt_module_id(module), id);
    must_not_have_text(&peer, pywatt_registration_token(known));
    must_not_have_text(&peer, "camera");
    must_not_have_text(&peer, id);
    must_not_have(&peer, pywatt_module_id(module)->bytes, sizeof(pywatt_module_id(module)->bytes));
    pywatt_registration_release(known);
    pywatt_heartbeat_loop_stop(loop);
    pywatt_module_free(module);
    pywatt_client_free(client);
    pywatt_tls_free(tls);
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
    free(peer.heard);
}

static void a_client_says_nothing_in_the_clear_whoever_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < client_codec_count; i++) {
        check_client(client_codecs[i]);
    }
}

/* What a port with TLS has answered until it closed; the length. */
static size_t answer_to(const struct host *host, const char *bytes, size_t len, unsigned char *out,
                        size_t size)
{
    const int fd = scene_dial(host);
    struct pollfd item = {.fd = fd, .events = POLLIN};
    size_t got = 0;
    ssize_t more = 1;
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    (void)shutdown(fd, SHUT_WR);
    while (more > 0) {
        assert_int_equal(poll(&item, 1, PATIENCE_MS * (int)pw_test_slow_factor()), 1);
        more = recv(fd, out + got, size - got, 0);
        assert_true(more >= 0 || errno == ECONNRESET);
        got += more > 0 ? (size_t)more : 0;
    }
    close(fd);
    return got;
}

#define REGISTER "{\"operation\":\"register\",\"request_id\":\"1\"}"

static void a_port_with_tls_answers_plain_bytes_with_an_alert_at_most(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } says[] = {
        ANSWER("\x00\x00\x00\x29\x01" REGISTER), /* a frame */
        ANSWER("\x00\x00\x00\x02\x02\x0a\x00"),  /* one of the other codec */
        ANSWER("GET / HTTP/1.1\r\nHost: hub\r\n\r\n"), ANSWER("\x00"),
        ANSWER("\x16\x03\x01\x00\x29" REGISTER), /* in a record */
        ANSWER("\x17\x03\x03\x00\x29" REGISTER),
    };
    struct host host;
    struct pywatt_tls_options options;
    unsigned char answer[4096];
    scene_server_options(&options);
    scene_host(&host, &options);
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        const size_t len = answer_to(&host, says[i].bytes, says[i].len, answer, sizeof(answer));
        if (len != 0 &&
            (len != 7 || answer[0] != RECORD_ALERT || answer[1] != 3 || answer[4] != 2)) {
            fail_msg("answer %zu: %zu bytes, the first is %u", i, len, answer[0]);
        }
    }
    assert_int_equal(host_stats(&host).modules, 0);
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_client_says_nothing_in_the_clear_whoever_answers),
        cmocka_unit_test(a_port_with_tls_answers_plain_bytes_with_an_alert_at_most),
    };
    return pw_test_run("plain", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handshakes that do not come to an end: each is given up in time, and nobody else notices. */
#include "transport/tls.h"

#include "scene.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STALLED = 12,
    HANDSHAKE_MS = 500
};

static struct host host;

static uint32_t handshake_ms(void)
{
    const unsigned factor = pw_test_slow_factor();
    return HANDSHAKE_MS * (factor > 4 ? factor / 2 : factor);
}

static void begin(void)
{
    struct pywatt_tls_options options;
    scene_server_options(&options);
    options.handshake_timeout_ms = handshake_ms();
    scene_prepare(&host, &options);
    host.options.frame_timeout_ms = 600000;
    host_start(&host);
}

static void end(void)
{
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

/* The first bytes of a ClientHello, and no more. */
static const unsigned char hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0};

static void stalled_handshakes_end_and_beats_go_on(void **state)
{
    (void)state;
    int fds[STALLED];
    struct pywatt_tls_options options;
    struct pywatt_client_options client;
    begin();
    scene_client_options(&options);
    struct pywatt_tls *const tls = scene_client(&options);
    client_options(&client, host.url, "protobuf");
    client.tls = tls;
    struct pywatt_client *const healthy = client_open_with(&client);
    struct pywatt_module *const module = client_register(healthy, "camera");
    for (size_t i = 0; i < STALLED; i++) {
        fds[i] = scene_dial(&host);
        assert_int_equal(send(fds[i], hello, i, MSG_NOSIGNAL), (ssize_t)i);
    }
    scene_await_connections(&host, STALLED + 1);
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    for (size_t i = 0; i < STALLED; i++) {
        assert_true(scene_ends(fds[i]));
        close(fds[i]);
        assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    }
    scene_await_log("its handshake took too long");
    scene_await_connections(&host, 1);
    assert_int_equal(client_stats(healthy).connects, 1);
    assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
    pywatt_module_free(module);
    pywatt_client_free(healthy);
    pywatt_tls_free(tls);
    end();
}

static void await_end(struct pw_conn *conn)
{
    enum pw_io result = PW_IO_AGAIN;
    while (result == PW_IO_AGAIN) {
        char bytes[64];
        size_t got = 0;
        struct pollfd item = {.fd = pw_conn_fd(conn), .events = pw_conn_poll_events(conn, POLLIN)};
        assert_true(poll(&item, 1, 20000 * (int)pw_test_slow_factor()) == 1);
        result = pw_conn_receive(conn, bytes, sizeof(bytes), &got, NULL);
    }
    assert_int_equal(result, PW_IO_EOF);
}

/* A shorter time for frames does not count before there can be any. */
static void the_time_for_the_first_frame_begins_behind_the_handshake(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct pw_endpoint endpoint;
    struct pw_conn *conn = NULL;
    scene_server_options(&options);
    scene_prepare(&host, &options);
    host.options.first_frame_timeout_ms = 300;
    host_start(&host);
    scene_client_options(&options);
    struct pywatt_tls *const tls = scene_client(&options);
    const int silent = scene_dial(&host);
    scene_await_connections(&host, 1);
    assert_int_equal(pw_endpoint_parse(host.url, false, &endpoint, NULL), PYWATT_OK);
    assert_int_equal(pw_endpoint_secure(&endpoint, false, tls, NULL), PYWATT_OK);
    assert_int_equal(
        pw_transport_connect(&endpoint, (uint64_t)pw_test_deadline_ns(20000), -1, &conn, NULL),
        PYWATT_OK);
    /* Who has come later, and is through, has an end; who came before has none. */
    await_end(conn);
    struct pollfd item = {.fd = silent, .events = POLLIN | POLLRDHUP};
    assert_int_equal(poll(&item, 1, 0), 0);
    scene_await_log("no frame came in time");
    pw_conn_destroy(conn);
    close(silent);
    pywatt_tls_free(tls);
    end();
}

/* Once it is open the time for handshakes does not matter any more. */
static void an_open_connection_may_be_silent_for_longer(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    begin();
    scene_client_options(&options);
    struct pywatt_tls *const tls = scene_client(&options);
    struct pywatt_client *const client = scene_open(&host, tls, "json");
    struct pywatt_module *const module = client_register(client, "camera");
    const int stalled = scene_dial(&host);
    scene_await_connections(&host, 2);
    assert_true(scene_ends(stalled)); /* which has begun later */
    close(stalled);
    assert_int_equal(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, NULL), PYWATT_OK);
    assert_int_equal(client_stats(client).connects, 1);
    pywatt_module_free(module);
    pywatt_client_free(client);
    pywatt_tls_free(tls);
    end();
}

/* A port at which somebody listens who never says anything; its URL. */
static int silent_port(char *url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, size, "tls://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* The beginning of a record that never ends, to one who comes; until he goes. */
static void *say_a_little(void *user)
{
    static const unsigned char record[] = {22, 3, 3, 0, 100, 2};
    const int fd = accept(*(const int *)user, NULL, NULL);
    if (send(fd, record, sizeof(record), MSG_NOSIGNAL) > 0) {
        (void)scene_ends(fd);
    }
    close(fd);
    return NULL;
}

static void a_client_gives_a_server_up_that_does_not_go_on(void **state)
{
    (void)state;
    struct host nowhere = {.orchestrator = NULL};
    struct pywatt_tls_options options;
    pthread_t thread;
    int listener = silent_port(nowhere.url, sizeof(nowhere.url));
    scene_client_options(&options);
    options.handshake_timeout_ms = 50;
    assert_int_equal(pthread_create(&thread, NULL, say_a_little, &listener), 0);
    scene_expect(&nowhere, &options, PYWATT_CONNECTION,
                 "the TLS handshake was not over within 50 ms");
    pthread_join(thread, NULL);
    close(listener);
}

/* So it is in the queue of those who wait to be accepted. */
static void who_hears_nothing_waits_for_longer_than_a_handshake_may_take(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    scene_server_options(&options);
    options.handshakes_per_s = 1; /* not even one at once */
    scene_host(&host, &options);
    const int first = scene_dial(&host);
    scene_await_connections(&host, 1);
    scene_client_options(&options);
    options.handshake_timeout_ms = 200 * pw_test_slow_factor();
    scene_expect(&host, &options, PYWATT_OK, NULL);
    close(first);
    end();
}

static void the_deadline_of_the_call_comes_first_if_it_is_shorter(void **state)
{
    (void)state;
    char url[128];
    struct pywatt_tls_options options;
    struct pywatt_client_options client_settings;
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    const int fd = silent_port(url, sizeof(url));
    scene_client_options(&options);
    struct pywatt_tls *const tls = scene_client(&options);
    client_options(&client_settings, url, "json");
    client_settings.tls = tls;
    client_settings.timeout_ms = 50;
    struct pywatt_client *const client = client_open_with(&client_settings);
    assert_int_equal(pywatt_module_info_new("camera", "1", "looks", &info), PYWATT_OK);
    assert_int_equal(pywatt_register_module(client, info, &module, &error), PYWATT_CONNECTION);
    assert_non_null(strstr(error.text, "amid the TLS handshake"));
    assert_non_null(strstr(error.text, "waits there to be accepted"));
    pywatt_module_info_free(info);
    pywatt_client_free(client);
    pywatt_tls_free(tls);
    close(fd);
}

struct closer {
    struct pywatt_client *client;
    int listener;
};

/* Once somebody is inside of a handshake. */
static void *close_client(void *user)
{
    struct closer *const closer = user;
    const int fd = accept(closer->listener, NULL, NULL);
    char byte;
    const ssize_t got = recv(fd, &byte, 1, 0);
    (void)got;
    pywatt_client_close(closer->client);
    close(fd);
    return NULL;
}

static void closing_the_client_ends_its_handshake(void **state)
{
    (void)state;
    char url[128];
    pthread_t thread;
    struct pywatt_tls_options options;
    struct pywatt_client_options client_settings;
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct closer closer = {.listener = silent_port(url, sizeof(url))};
    scene_client_options(&options);
    struct pywatt_tls *const tls = scene_client(&options);
    client_options(&client_settings, url, "json");
    client_settings.tls = tls;
    closer.client = client_open_with(&client_settings);
    assert_int_equal(pywatt_module_info_new("camera", "1", "looks", &info), PYWATT_OK);
    assert_int_equal(pthread_create(&thread, NULL, close_client, &closer), 0);
    const enum pywatt_status status = pywatt_register_module(closer.client, info, &module, NULL);
    pthread_join(thread, NULL);
    assert_int_equal(status, PYWATT_CLOSED);
    pywatt_module_info_free(info);
    pywatt_client_free(closer.client);
    pywatt_tls_free(tls);
    close(closer.listener);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(stalled_handshakes_end_and_beats_go_on),
        cmocka_unit_test(an_open_connection_may_be_silent_for_longer),
        cmocka_unit_test(the_time_for_the_first_frame_begins_behind_the_handshake),
        cmocka_unit_test(a_client_gives_a_server_up_that_does_not_go_on),
        cmocka_unit_test(who_hears_nothing_waits_for_longer_than_a_handshake_may_take),
        cmocka_unit_test(the_deadline_of_the_call_comes_first_if_it_is_shorter),
        cmocka_unit_test(closing_the_client_ends_its_handshake),
    };
    return pw_test_run("stalls", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

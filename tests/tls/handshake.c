/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who gets in, who does not, and what both sides are told about it. */
#include "scene.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000
};

static struct host host;

static void begin_with(const struct pw_test_certificate *own, bool asks)
{
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_show(&options, own);
    if (asks) {
        scene_ask(&options);
    }
    scene_host(&host, &options);
}

static void end(void)
{
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

static void speaks_to_an_orchestrator_whose_ca_and_name_are_right(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    begin_with(&scene.hub, false);
    scene_client_options(&options);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    assert_int_equal(scene_stats(host.options.tls).handshakes, 1);
    assert_int_equal(scene_stats(host.options.tls).failed, 0);
    end();
}

static void takes_the_name_from_the_url_where_none_is_given(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct pw_test_certificate own;
    char alternatives[64];
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    begin_with(&scene.hub, false);
    scene_client_options(&options);
    options.server_name = NULL;
    scene_expect(&host, &options, PYWATT_CONNECTION,
                 "its certificate is for " SCENE_HUB ", not for 127.");
    /* The same orchestrator with another certificate. */
    assert_int_equal(sscanf(host.url, "tls://127.%u.%u.%u:", &a, &b, &c), 3);
    snprintf(alternatives, sizeof(alternatives), "IP:127.%u.%u.%u", a, b, c);
    pw_test_certificate_make(&scene.ca, scene.folder, "by-address", alternatives, -1, 1, &own);
    end();
    begin_with(&own, false);
    char again[sizeof(host.url)];
    snprintf(again, sizeof(again), "tls://127.%u.%u.%u:0", a, b, c);
    host_stop(&host);
    memcpy(host.url, again, sizeof(again));
    host_start(&host);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    options.server_name = SCENE_HUB;
    scene_expect(&host, &options, PYWATT_CONNECTION, "its certificate is for 127.");
    end();
}

/* A point behind the root and the zone of an address say where to look, and stand in no certificate. */
static void looks_for_the_bare_name(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct pw_test_certificate own;
    pw_test_certificate_make(&scene.ca, scene.folder, "zoned", "DNS:" SCENE_HUB ",IP:fe80::1", -1,
                             1, &own);
    begin_with(&own, false);
    scene_client_options(&options);
    options.server_name = SCENE_HUB ".";
    scene_expect(&host, &options, PYWATT_OK, NULL);
    options.server_name = "fe80::1%lo";
    scene_expect(&host, &options, PYWATT_OK, NULL);
    options.server_name = "fe80::2%lo";
    scene_expect(&host, &options, PYWATT_CONNECTION, "its certificate is for");
    end();
}

/* Such a thing can stand there, and would do as it likes with a terminal. */
static void shows_no_byte_of_a_certificate_that_is_no_letter(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct pw_test_certificate own;
    pw_test_certificate_make(&scene.ca, scene.folder, "odd", "DNS:a\033[31mb\377.example", -1, 1,
                             &own);
    begin_with(&own, false);
    scene_client_options(&options);
    scene_expect(&host, &options, PYWATT_CONNECTION,
                 "its certificate is for a?[31mb?.example, not");
    end();
}

static void refuses_another_name(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    begin_with(&scene.hub, false);
    scene_client_options(&options);
    options.server_name = "other.example";
    scene_expect(&host, &options, PYWATT_CONNECTION,
                 "its certificate is for " SCENE_HUB ", not for other.example");
    assert_int_equal(host_stats(&host).requests, 0);
    end();
}

/* A common name is no name: nothing but the alternative names counts. */
static void refuses_a_certificate_without_alternative_names(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    begin_with(&scene.nameless, false);
    scene_client_options(&options);
    options.server_name = "nameless";
    scene_expect(&host, &options, PYWATT_CONNECTION,
                 "its certificate is for no host, not for nameless");
    end();
}

static void refuses_an_unknown_ca_and_both_sides_say_so(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    begin_with(&scene.stranger, false);
    scene_client_options(&options);
    scene_expect(&host, &options, PYWATT_CONNECTION, "its certificate comes from an unknown CA");
    scene_await_log("it does not know the CA of our certificate");
    assert_int_equal(host_stats(&host).requests, 0);
    end();
}

static void refuses_certificates_that_are_out_of_their_time(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    scene_client_options(&options);
    begin_with(&scene.old, false);
    scene_expect(&host, &options, PYWATT_CONNECTION, "its certificate has expired on 20");
    end();
    begin_with(&scene.unborn, false);
    scene_expect(&host, &options, PYWATT_CONNECTION, "its certificate is not valid before 20");
    end();
}

static void an_orchestrator_that_asks_for_certificates_lets_in_who_has_one(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    begin_with(&scene.hub, true);
    scene_client_options(&options);
    scene_show(&options, &scene.module);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    end();
}

static void nobody_else(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    begin_with(&scene.hub, true);
    scene_client_options(&options);
    scene_expect(&host, &options, PYWATT_CONNECTION,
                 "it wants a certificate from us, and got none");
    scene_await_log("it showed no certificate");
    scene_show(&options, &scene.stranger);
    scene_expect(&host, &options, PYWATT_CONNECTION, "it does not know the CA of our certificate");
    scene_await_log("its certificate comes from an unknown CA");
    scene_show(&options, &scene.old);
    scene_expect(&host, &options, PYWATT_CONNECTION, "it says that our certificate has expired");
    scene_await_log("its certificate has expired on 20");
    assert_int_equal(host_stats(&host).requests, 0);
    assert_int_equal(scene_stats(host.options.tls).failed, 3);
    end();
}

static void speaks_an_older_version_only_where_it_is_allowed(void **state)
{
    (void)state;
    struct pywatt_tls_options server;
    struct pywatt_tls_options client;
    scene_server_options(&server);
    scene_client_options(&client);
    client.allow_tls12 = true;
    for (int allowed = 0; allowed < 2; allowed++) {
        server.allow_tls12 = allowed;
        scene_host(&host, &server);
        scene_expect(&host, &client, PYWATT_OK, NULL);
        const int fd = scene_dial(&host);
        assert_int_equal(scene_speaks_tls12(fd), allowed);
        close(fd);
        end();
    }
}

static void a_plain_client_at_a_tls_port_is_turned_away(void **state)
{
    (void)state;
    struct pywatt_client_options options;
    char url[sizeof(host.url)];
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    begin_with(&scene.hub, false);
    memcpy(url, host.url, sizeof(url));
    memcpy(url, "tcp", 3);
    client_options(&options, url, "json");
    options.reconnect = PYWATT_RECONNECT_NONE;
    struct pywatt_client *const client = client_open_with(&options);
    assert_int_equal(pywatt_module_info_new("camera", "1", "looks", &info), PYWATT_OK);
    assert_int_not_equal(pywatt_register_module(client, info, &module, &error), PYWATT_OK);
    assert_non_null(strstr(error.text, "closed by the peer"));
    scene_await_log(": closed: the TLS handshake failed: it does not speak TLS");
    pywatt_module_info_free(info);
    pywatt_client_free(client);
    end();
}

static void a_tls_client_at_a_plain_port_is_told_so(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    host_begin(&host, "tcp");
    memcpy(host.url, "tls", 3);
    scene_client_options(&options);
    scene_expect(&host, &options, PYWATT_CONNECTION, "the TLS handshake failed: ");
    host_destroy(&host);
}

/* ---- What is never done, whatever the other side says ---- */

static SSL *dial(SSL_CTX *ctx, SSL_SESSION *session)
{
    SSL *const ssl = SSL_new(ctx);
    assert_int_equal(SSL_set_fd(ssl, scene_dial(&host)), 1);
    assert_true(session == NULL || SSL_set_session(ssl, session) == 1);
    SSL_set_connect_state(ssl);
    return ssl;
}

static void hang_up(SSL *ssl)
{
    const int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION_free(SSL_get_app_data(ssl));
    SSL_set_app_data(ssl, session);
    return 1;
}

#define FRAME_TOO_LONG "\xff\xff\xff\xff\xff"
#define FRAME_LEN 5

/* A frame that ends the connection; what the other side has sent before that is read. */
static void say_nonsense(SSL *ssl)
{
    char bytes[64];
    assert_int_equal(SSL_write(ssl, FRAME_TOO_LONG, FRAME_LEN), FRAME_LEN);
    while (SSL_read(ssl, bytes, sizeof(bytes)) > 0) {
    }
}

/* A session, as those have that come again. */
static SSL_SESSION *get_ticket(SSL_CTX *ctx)
{
    SSL *const ssl = dial(ctx, NULL);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    say_nonsense(ssl);
    SSL_SESSION *const session = SSL_get_app_data(ssl);
    assert_non_null(session);
    SSL_SESSION *const copy = SSL_SESSION_dup(session); /* that may be resumed, whatever the end */
    SSL_SESSION_free(session);
    hang_up(ssl);
    return copy;
}

static void takes_no_data_before_the_handshake_is_over(void **state)
{
    (void)state;
    size_t sent = 0;
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    begin_with(&scene.hub, false);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_SESSION *const session = get_ticket(ctx);
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
    /* Who sends some all the same is told that nobody has heard it. */
    assert_int_equal(SSL_SESSION_set_max_early_data(session, 1000), 1);
    SSL *const ssl = dial(ctx, session);
    assert_int_equal(SSL_write_early_data(ssl, FRAME_TOO_LONG, FRAME_LEN, &sent), 1);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    assert_int_equal(SSL_session_reused(ssl), 1);
    assert_int_equal(SSL_get_early_data_status(ssl), SSL_EARLY_DATA_REJECTED);
    say_nonsense(ssl);
    scene_await_connections(&host, 0);
    assert_int_equal(host_stats(&host).bytes_received, 2 * FRAME_LEN);
    SSL_SESSION_free(SSL_get_app_data(ssl));
    hang_up(ssl);
    SSL_SESSION_free(session);
    SSL_CTX_free(ctx);
    end();
}

/* Else both might come to it in one call, which would be one handshake that failed. */
static bool has_made_one(void *user)
{
    (void)user;
    return scene_stats(host.options.tls).handshakes == 1;
}

static void makes_no_second_handshake_on_a_connection(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    scene_server_options(&options);
    options.allow_tls12 = true;
    scene_host(&host, &options);
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION), 1);
    SSL *const ssl = dial(ctx, NULL);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    assert_true(pw_test_wait_until(has_made_one, NULL, PATIENCE_MS));
    assert_int_equal(SSL_renegotiate(ssl), 1);
    assert_int_not_equal(SSL_do_handshake(ssl), 1);
    hang_up(ssl);
    scene_client_options(&options);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    assert_int_equal(scene_stats(host.options.tls).handshakes, 2);
    SSL_CTX_free(ctx);
    end();
}

static void garbage_ends_its_own_connection_only(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    unsigned char bytes[4096];
    begin_with(&scene.hub, false);
    scene_client_options(&options);
    for (unsigned kind = 0; kind < 6; kind++) {
        const int fd = scene_dial(&host);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (unsigned char)(i * 37 + kind * 101);
        }
        /* The first bytes look ever better. */
        static const unsigned char head[] = {22, 3, 1, 15, 251, 1};
        memcpy(bytes, head, kind);
        (void)send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
        assert_true(scene_ends(fd));
        close(fd);
        scene_expect(&host, &options, PYWATT_OK, NULL);
    }
    scene_await_connections(&host, 0);
    end();
}

static void who_says_nothing_and_goes_is_no_failure(void **state)
{
    (void)state;
    begin_with(&scene.hub, false);
    const int fd = scene_dial(&host);
    (void)shutdown(fd, SHUT_WR);
    assert_true(scene_ends(fd));
    close(fd);
    scene_await_connections(&host, 0);
    assert_int_equal(scene_stats(host.options.tls).failed, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(speaks_to_an_orchestrator_whose_ca_and_name_are_right),
        cmocka_unit_test(takes_the_name_from_the_url_where_none_is_given),
        cmocka_unit_test(looks_for_the_bare_name),
        cmocka_unit_test(shows_no_byte_of_a_certificate_that_is_no_letter),
        cmocka_unit_test(refuses_another_name),
        cmocka_unit_test(refuses_a_certificate_without_alternative_names),
        cmocka_unit_test(refuses_an_unknown_ca_and_both_sides_say_so),
        cmocka_unit_test(refuses_certificates_that_are_out_of_their_time),
        cmocka_unit_test(an_orchestrator_that_asks_for_certificates_lets_in_who_has_one),
        cmocka_unit_test(nobody_else),
        cmocka_unit_test(speaks_an_older_version_only_where_it_is_allowed),
        cmocka_unit_test(a_plain_client_at_a_tls_port_is_turned_away),
        cmocka_unit_test(a_tls_client_at_a_plain_port_is_told_so),
        cmocka_unit_test(takes_no_data_before_the_handshake_is_over),
        cmocka_unit_test(makes_no_second_handshake_on_a_connection),
        cmocka_unit_test(garbage_ends_its_own_connection_only),
        cmocka_unit_test(who_says_nothing_and_goes_is_no_failure),
    };
    return pw_test_run("handshake", cases, sizeof(cases) / sizeof(cases[0]), scene_make,
                       scene_free);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who comes again takes up the session that it had, until certificates are read anew. */
#include "tls/sessions.h"
#include "transport/tls.h"

#include "scene.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct host host;
static struct pywatt_tls *client_tls;

static void begin(bool asks, bool tls12)
{
    struct pywatt_tls_options options;
    scene_server_options(&options);
    options.allow_tls12 = tls12;
    if (asks) {
        scene_ask(&options);
    }
    scene_host(&host, &options);
    scene_client_options(&options);
    options.allow_tls12 = tls12;
    scene_show(&options, &scene.module);
    client_tls = scene_client(&options);
}

static void end(void)
{
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
    pywatt_tls_free(client_tls);
}

/* One connection, with a request on it, so that what the server sends behind the handshake is read. */
static void come(const char *codec)
{
    struct pywatt_client *const client = scene_open(&host, client_tls, codec);
    struct pywatt_module *const module = client_register(client, "camera");
    assert_int_equal(pywatt_unregister_module(module, NULL), PYWATT_OK);
    pywatt_module_free(module);
    pywatt_client_free(client);
}

static void expect_counts(uint64_t handshakes, uint64_t resumed)
{
    const struct pywatt_tls_stats ours = scene_stats(client_tls);
    const struct pywatt_tls_stats theirs = scene_stats(host.options.tls);
    assert_int_equal(ours.handshakes, handshakes);
    assert_int_equal(ours.resumed, resumed);
    assert_int_equal(theirs.handshakes, handshakes);
    assert_int_equal(theirs.resumed, resumed);
    assert_int_equal(ours.failed + theirs.failed, 0);
}

static void the_second_connection_resumes_the_session_of_the_first(void **state)
{
    (void)state;
    begin(false, false);
    come("json");
    expect_counts(1, 0);
    come("protobuf");
    expect_counts(2, 1);
    come("json");
    expect_counts(3, 2);
    end();
}

static void so_it_is_where_clients_show_certificates_and_they_still_count(void **state)
{
    (void)state;
    begin(true, false);
    come("json");
    come("json");
    come("json");
    expect_counts(3, 2);
    /* The certificate came with the first connection only. */
    struct pywatt_client *const client = scene_open(&host, client_tls, "json");
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error;
    assert_int_equal(pywatt_module_info_new("other", "1", "not in it", &info), PYWATT_OK);
    assert_int_equal(pywatt_register_module(client, info, &module, &error), PYWATT_REJECTED);
    expect_counts(4, 3);
    pywatt_module_info_free(info);
    pywatt_client_free(client);
    end();
}

static void the_sessions_of_another_orchestrator_are_no_use_and_no_harm(void **state)
{
    (void)state;
    begin(true, false);
    come("json");
    struct pywatt_tls *const old = host.options.tls;
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_ask(&options);
    /* At the same address, with other keys for its tickets. */
    host_stop(&host);
    host.options.tls = scene_server(&options);
    host_start(&host);
    come("json");
    assert_int_equal(scene_stats(host.options.tls).handshakes, 1);
    assert_int_equal(scene_stats(host.options.tls).resumed, 0);
    come("json");
    assert_int_equal(scene_stats(host.options.tls).resumed, 1);
    pywatt_tls_free(old);
    end();
}

static void reading_the_certificates_again_ends_them_on_either_side(void **state)
{
    (void)state;
    begin(true, false);
    come("json");
    come("json");
    expect_counts(2, 1);
    assert_int_equal(pywatt_tls_reload(host.options.tls, NULL), PYWATT_OK);
    come("json");
    expect_counts(3, 1);
    come("json");
    expect_counts(4, 2);
    assert_int_equal(pywatt_tls_reload(client_tls, NULL), PYWATT_OK);
    come("json");
    expect_counts(5, 2);
    come("json");
    expect_counts(6, 3);
    end();
}

static void the_older_version_has_them_too(void **state)
{
    (void)state;
    begin(true, true);
    come("json");
    come("json");
    expect_counts(2, 1);
    end();
}

static struct pw_conn *connect_alone(void)
{
    struct pw_endpoint endpoint;
    struct pw_conn *conn = NULL;
    struct pywatt_error error;
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(20000);
    assert_int_equal(pw_endpoint_parse(host.url, false, &endpoint, &error), PYWATT_OK);
    assert_int_equal(pw_endpoint_secure(&endpoint, false, client_tls, &error), PYWATT_OK);
    if (pw_transport_connect(&endpoint, deadline_ns, -1, &conn, &error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
    return conn;
}

/* It comes on a connection of before, and is a promise made to who trusted other CAs. */
static void a_ticket_that_comes_after_a_reload_is_not_kept(void **state)
{
    (void)state;
    begin(false, false);
    for (int reloads = 0; reloads < 2; reloads++) {
        struct pw_conn *const first = connect_alone();
        struct pollfd item = {.fd = pw_conn_fd(first), .events = POLLIN};
        uint8_t byte;
        size_t got;
        assert_true(poll(&item, 1, -1) == 1); /* the ticket is there, and nobody has read it */
        if (reloads > 0) {
            assert_int_equal(pywatt_tls_reload(client_tls, NULL), PYWATT_OK);
        }
        assert_int_equal(pw_conn_receive(first, &byte, 1, &got, NULL), PW_IO_AGAIN);
        struct pw_conn *const second = connect_alone();
        assert_int_equal(scene_stats(client_tls).resumed, 1);
        pw_conn_destroy(first);
        pw_conn_destroy(second);
        assert_int_equal(pywatt_tls_reload(client_tls, NULL), PYWATT_OK);
    }
    end();
}

/* ---- Certificates that end ---- */

/* An orchestrator and a client, one of which has a certificate that does not last. */
struct brief {
    struct host host;
    struct pywatt_tls *client;
};

static void brief_begin(struct brief *brief, const struct pw_test_certificate *hub,
                        const struct pw_test_certificate *module)
{
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_ask(&options);
    scene_show(&options, hub);
    scene_host(&brief->host, &options);
    scene_client_options(&options);
    scene_show(&options, module);
    brief->client = scene_client(&options);
}

static void brief_end(struct brief *brief)
{
    host_destroy(&brief->host);
    pywatt_tls_free(brief->host.options.tls);
    pywatt_tls_free(brief->client);
}

static enum pywatt_status brief_come(struct brief *brief, struct pywatt_error *error)
{
    struct pywatt_client *const client = scene_open(&brief->host, brief->client, "json");
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    assert_int_equal(pywatt_module_info_new("camera", "1", "looks", &info), PYWATT_OK);
    const enum pywatt_status status = pywatt_register_module(client, info, &module, error);
    if (module != NULL) {
        (void)pywatt_unregister_module(module, NULL);
    }
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    pywatt_client_free(client);
    return status;
}

static bool is_past(void *user)
{
    return time(NULL) > *(const time_t *)user;
}

/* False if the machine was too slow for certificates that last so long. */
static bool try_past_the_end(unsigned life_s)
{
    struct pw_test_certificate hub;
    struct pw_test_certificate module;
    struct brief sides[2];
    struct pywatt_error error = {PYWATT_OK, ""};
    bool good = true;
    pw_test_certificate_make_s(&scene.ca, scene.folder, "brief-hub", "DNS:" SCENE_HUB, -60,
                               (long)life_s, &hub);
    pw_test_certificate_make_s(&scene.ca, scene.folder, "brief-module", "DNS:camera", -60,
                               (long)life_s, &module);
    const time_t end_s = time(NULL) + life_s;
    brief_begin(&sides[0], &hub, &scene.module);
    brief_begin(&sides[1], &scene.hub, &module);
    for (int i = 0; i < 2 && good; i++) {
        /* The second time it is a session that is resumed. */
        good = brief_come(&sides[i], &error) == PYWATT_OK &&
               brief_come(&sides[i], &error) == PYWATT_OK;
    }
    if (good) {
        assert_int_equal(scene_stats(sides[0].client).resumed, 1);
        assert_int_equal(scene_stats(sides[1].client).resumed, 1);
        assert_true(pw_test_wait_until(is_past, (void *)(uintptr_t)&end_s, 1000 * (life_s + 20)));
    }
    for (int i = 0; i < 2; i++) {
        if (good && (brief_come(&sides[i], &error) != PYWATT_CONNECTION ||
                     strstr(error.text, "expired") == NULL)) {
            fail_msg("%d: %s", i, error.text);
        }
        brief_end(&sides[i]);
    }
    return good;
}

static void no_session_outlasts_the_certificates(void **state)
{
    (void)state;
    unsigned life_s = 2;
    while (!try_past_the_end(life_s)) {
        life_s *= 2;
        assert_true(life_s < 1000);
    }
}

/* ---- What a client keeps ---- */

static SSL_SESSION *numbered_session(unsigned char number)
{
    const unsigned char id[] = {number};
    SSL_SESSION *const session = SSL_SESSION_new();
    assert_non_null(session);
    assert_int_equal(SSL_SESSION_set1_id(session, id, sizeof(id)), 1);
    return session;
}

static void put(struct pw_tls_sessions *sessions, const char *peer, unsigned char number)
{
    SSL_SESSION *const session = numbered_session(number);
    pw_tls_sessions_put(sessions, peer, session);
    SSL_SESSION_free(session);
}

/* The number of the session that is kept, or -1. */
static int kept(const struct pw_tls_sessions *sessions, const char *peer)
{
    unsigned len = 0;
    SSL_SESSION *const found = pw_tls_sessions_get(sessions, peer);
    const int number = found == NULL ? -1 : SSL_SESSION_get_id(found, &len)[0];
    SSL_SESSION_free(found);
    return number;
}

/* More orchestrators than sessions are kept. */
static void keeps_the_last_one_of_the_last_orchestrators(void **state)
{
    (void)state;
    static struct pw_tls_sessions sessions;
    const int peers = 3 * PW_TLS_SESSIONS_MAX;
    char peer[32];
    for (int i = 0; i < peers; i++) {
        snprintf(peer, sizeof(peer), "h:%d", i);
        assert_int_equal(kept(&sessions, peer), -1);
        put(&sessions, peer, 1);
        assert_int_equal(kept(&sessions, peer), 1);
        put(&sessions, peer, 2);
        assert_int_equal(kept(&sessions, peer), 2);
    }
    for (int i = 0; i < peers; i++) {
        snprintf(peer, sizeof(peer), "h:%d", i);
        assert_int_equal(kept(&sessions, peer), i < peers - PW_TLS_SESSIONS_MAX ? -1 : 2);
    }
    pw_tls_sessions_clear(&sessions);
    assert_int_equal(kept(&sessions, peer), -1);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_second_connection_resumes_the_session_of_the_first),
        cmocka_unit_test(so_it_is_where_clients_show_certificates_and_they_still_count),
        cmocka_unit_test(the_sessions_of_another_orchestrator_are_no_use_and_no_harm),
        cmocka_unit_test(reading_the_certificates_again_ends_them_on_either_side),
        cmocka_unit_test(the_older_version_has_them_too),
        cmocka_unit_test(a_ticket_that_comes_after_a_reload_is_not_kept),
        cmocka_unit_test(no_session_outlasts_the_certificates),
        cmocka_unit_test(keeps_the_last_one_of_the_last_orchestrators),
    };
    return pw_test_run("sessions", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is wrong with settings and files is said when the object is made, not later. */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct want {
    const char *ca;
    const char *cert;
    const char *key;
    bool server;
    enum pywatt_status status;
    const char *words;
};

static enum pywatt_status make(const struct pywatt_tls_options *options, bool server,
                               struct pywatt_error *error)
{
    struct pywatt_tls *tls = NULL;
    const enum pywatt_status status = server ? pywatt_tls_server_new(options, &tls, error)
                                             : pywatt_tls_client_new(options, &tls, error);
    assert_int_equal(tls != NULL, status == PYWATT_OK);
    pywatt_tls_free(tls);
    return status;
}

static void check(const struct want *want)
{
    struct pywatt_tls_options options;
    struct pywatt_error error = {PYWATT_OK, ""};
    pywatt_tls_options_init(&options);
    options.ca_file = want->ca;
    options.cert_file = want->cert;
    options.key_file = want->key;
    const enum pywatt_status status = make(&options, want->server, &error);
    if (status != want->status || strstr(error.text, want->words) == NULL) {
        fail_msg("%s: \"%s\", not %s: \"%s\"", pywatt_status_name(status), error.text,
                 pywatt_status_name(want->status), want->words);
    }
    assert_int_equal(make(&options, want->server, NULL), want->status);
}

/* In the scene's folder; the name is the caller's until the next call but three. */
static const char *write_file(const char *name, const char *text)
{
    static char paths[4][PW_TEST_FILE_MAX];
    static unsigned next;
    char *const path = paths[next++ % 4];
    snprintf(path, PW_TEST_FILE_MAX, "%s/%s", scene.folder, name);
    FILE *const file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static void says_what_is_wrong_with_a_file(void **state)
{
    (void)state;
    const char *const cert = scene.hub.cert_file;
    const char *const key = scene.hub.key_file;
    const char *const text = write_file("text", "no certificate at all\n");
    const char *const empty = write_file("empty", "");
    const char *const cut = write_file("cut", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    const struct want wants[] = {
        {NULL, "/nowhere/cert", key, true, PYWATT_IO,
         "cert_file '/nowhere/cert': No such file or directory"},
        {NULL, cert, "/nowhere/key", true, PYWATT_IO,
         "key_file '/nowhere/key': No such file or directory"},
        {"/nowhere/ca", NULL, NULL, false, PYWATT_IO,
         "ca_file '/nowhere/ca': No such file or directory"},
        {scene.folder, NULL, NULL, false, PYWATT_IO, "Is a directory"},
        {text, NULL, NULL, false, PYWATT_INVALID_ARGUMENT, "there is no certificate in it"},
        {empty, cert, key, true, PYWATT_INVALID_ARGUMENT, "there is no certificate in it"},
        {NULL, text, key, true, PYWATT_INVALID_ARGUMENT, "there is no certificate in it"},
        {NULL, cut, key, true, PYWATT_INVALID_ARGUMENT, "there is no certificate in it"},
        {NULL, cert, text, true, PYWATT_INVALID_ARGUMENT, "there is no private key in it"},
        {NULL, cert, cert, true, PYWATT_INVALID_ARGUMENT, "there is no private key in it"},
        {NULL, cert, scene.module.key_file, true, PYWATT_INVALID_ARGUMENT,
         "is not the key of the certificate in"},
        {scene.ca.file, cert, scene.module.key_file, false, PYWATT_INVALID_ARGUMENT,
         "is not the key of the certificate in"},
    };
    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        check(&wants[i]);
    }
}

/* Encrypted with the passphrase "secret". */
static void refuses_a_key_with_a_passphrase_and_asks_nobody(void **state)
{
    (void)state;
    static const char path[] = "locked.key";
    char file[PW_TEST_FILE_MAX];
    snprintf(file, sizeof(file), "%s/%s", scene.folder, path);
    pw_test_lock_key(scene.hub.key_file, file, "secret");
    const struct want want = {NULL, scene.hub.cert_file,     file,
                              true, PYWATT_INVALID_ARGUMENT, "asks for a passphrase"};
    check(&want);
}

static void says_which_option_is_missing_or_out_of_range(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct pywatt_error error;
    pywatt_tls_options_init(&options);
    assert_int_equal(make(&options, true, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "cert_file and key_file are not set"));
    options.cert_file = scene.hub.cert_file;
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "no key_file"));
    options.cert_file = NULL;
    options.key_file = scene.hub.key_file;
    assert_int_equal(make(&options, true, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "no cert_file"));
    options.key_file = NULL;
    options.server_name = "";
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "server_name"));
    options.server_name = ".example"; /* every host there, says OpenSSL */
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "server_name begins with a point"));
    char long_name[300];
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    options.server_name = long_name;
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "server_name is too long"));
    options.server_name = NULL;
    options.handshake_timeout_ms = 0;
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "handshake_timeout_ms is 0"));
    options.handshake_timeout_ms = 600001;
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    options.handshake_timeout_ms = 600000;
    options.handshakes_per_s = 1000001;
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "handshakes_per_s"));
    options.handshakes_per_s = 1000000;
    assert_int_equal(make(&options, false, &error), PYWATT_OK);
    options.size = 8;
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "pywatt_tls_options_init"));
    options.size = sizeof(options) + 8;
    assert_int_equal(make(&options, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(make(NULL, false, &error), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_tls_client_new(&options, NULL, &error), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_tls_reload(NULL, &error), PYWATT_INVALID_ARGUMENT);
    pywatt_tls_options_init(NULL);
    pywatt_tls_free(NULL);
}

static void warns_of_a_certificate_of_ours_that_is_out_of_its_time(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_show(&options, &scene.old);
    pywatt_tls_free(scene_server(&options));
    scene_await_log("our own certificate has expired");
    scene_show(&options, &scene.unborn);
    pywatt_tls_free(scene_server(&options));
    scene_await_log("our own certificate is not valid yet");
}

static void warns_of_a_key_that_everybody_may_read(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct pywatt_error error;
    scene_server_options(&options);
    assert_int_equal(chmod(scene.hub.key_file, 0604), 0);
    assert_int_equal(make(&options, true, &error), PYWATT_OK);
    assert_int_equal(chmod(scene.hub.key_file, 0600), 0);
    scene_await_log("everybody on this machine may use our key");
}

static void trusts_the_system_where_no_ca_is_named(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    struct host host;
    scene_server_options(&options);
    scene_host(&host, &options);
    scene_client_options(&options);
    options.ca_file = NULL;
    scene_expect(&host, &options, PYWATT_CONNECTION, "unknown CA");
    /* The system's are where OpenSSL looks for them. */
    assert_int_equal(setenv("SSL_CERT_FILE", scene.ca.file, 1), 0);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    unsetenv("SSL_CERT_FILE");
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

static void expect_client(const char *endpoints, struct pywatt_tls *tls, const char *words)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    pywatt_client_options_init(&options);
    options.endpoints = endpoints;
    options.tls = tls;
    const enum pywatt_status status = pywatt_client_open(&options, &client, &error);
    if (words == NULL) {
        assert_int_equal(status, PYWATT_OK);
    } else if (status != PYWATT_INVALID_ARGUMENT || strstr(error.text, words) == NULL) {
        fail_msg("%s: %s: \"%s\"", endpoints, pywatt_status_name(status), error.text);
    }
    pywatt_client_free(client);
}

static void a_client_never_goes_without_tls_where_it_is_asked_for(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    scene_client_options(&options);
    struct pywatt_tls *const client = scene_client(&options);
    scene_server_options(&options);
    struct pywatt_tls *const server = scene_server(&options);
    expect_client("tls://h:1", NULL, "pywatt_tls_client_new");
    expect_client("unix:/x,tls://h:1", NULL, "\"tls://h:1\"");
    expect_client("tls://h:1", server, "options.tls is a server's");
    expect_client("tls://h:1,tcp://h:2", client, "\"tcp://h:2\": options.tls is set");
    expect_client("tls://h:1,unix:/x,memory:x", client, NULL);
    pywatt_tls_free(client);
    pywatt_tls_free(server);
}

static void expect_listener(struct pywatt_tls *tls, const char *words)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    pywatt_orchestrator_options_init(&options);
    options.tls = tls;
    assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, &error), PYWATT_OK);
    const enum pywatt_status status =
        pywatt_orchestrator_listen(orchestrator, "tls://127.0.0.1:0", NULL, 0, &error);
    if (words == NULL) {
        assert_int_equal(status, PYWATT_OK);
    } else {
        assert_int_equal(status, PYWATT_INVALID_ARGUMENT);
        assert_non_null(strstr(error.text, words));
    }
    /* Beside it others may listen as they are. */
    assert_int_equal(pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", NULL, 0, &error),
                     PYWATT_OK);
    pywatt_orchestrator_free(orchestrator);
}

static void an_orchestrator_does_not_listen_at_tls_without_a_certificate(void **state)
{
    (void)state;
    struct pywatt_tls_options options;
    scene_client_options(&options);
    struct pywatt_tls *const client = scene_client(&options);
    scene_server_options(&options);
    struct pywatt_tls *const server = scene_server(&options);
    expect_listener(NULL, "pywatt_tls_server_new");
    expect_listener(client, "options.tls is a client's");
    expect_listener(server, NULL);
    pywatt_tls_free(client);
    pywatt_tls_free(server);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(says_what_is_wrong_with_a_file),
        cmocka_unit_test(refuses_a_key_with_a_passphrase_and_asks_nobody),
        cmocka_unit_test(says_which_option_is_missing_or_out_of_range),
        cmocka_unit_test(warns_of_a_certificate_of_ours_that_is_out_of_its_time),
        cmocka_unit_test(warns_of_a_key_that_everybody_may_read),
        cmocka_unit_test(trusts_the_system_where_no_ca_is_named),
        cmocka_unit_test(a_client_never_goes_without_tls_where_it_is_asked_for),
        cmocka_unit_test(an_orchestrator_does_not_listen_at_tls_without_a_certificate),
    };
    return pw_test_run("files", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

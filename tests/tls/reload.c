/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Certificates that are read again while connections stand. What OpenSSL opens itself is not made to
 * fail: each file has been opened and read by us just before.
 */
#include "call_fail.h"
#include "scene.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct pywatt_error error;

/* For each test: an orchestrator that shows a certificate of files of its own, and who may come in. */
static struct pw_test_certificate own;
static struct host host;
static struct pywatt_tls_options options; /* of a client that trusts it */

/* A module that has connected before the test goes on. */
struct standing {
    struct pywatt_tls *tls;
    struct pywatt_client *client;
    struct pywatt_module *module;
};

static void copy_file(const char *from, const char *to)
{
    char bytes[8192];
    FILE *const in = fopen(from, "re");
    FILE *const out = fopen(to, "we");
    assert_non_null(in);
    assert_non_null(out);
    const size_t len = fread(bytes, 1, sizeof(bytes), in);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(in);
    fclose(out);
}

static int begin(void **state)
{
    struct pywatt_tls_options shown;
    (void)state;
    error = (struct pywatt_error){PYWATT_OK, ""};
    pw_test_certificate_make(&scene.ca, scene.folder, "own", "DNS:" SCENE_HUB, -1, 1, &own);
    scene_server_options(&shown);
    scene_show(&shown, &own);
    scene_host(&host, &shown);
    scene_client_options(&options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
    return 0;
}

static void stand(struct standing *standing)
{
    standing->tls = scene_client(&options);
    standing->client = scene_open(&host, standing->tls, "json");
    standing->module = client_register(standing->client, "lamp");
}

static enum pywatt_status beat(struct standing *standing)
{
    return pywatt_heartbeat(standing->module, PYWATT_HEALTHY, NULL, NULL, &error);
}

static void leave(struct standing *standing)
{
    pywatt_module_free(standing->module);
    pywatt_client_free(standing->client);
    pywatt_tls_free(standing->tls);
}

static void new_connections_see_the_new_certificate_and_old_ones_stand(void **state)
{
    (void)state;
    struct standing standing;
    stand(&standing);
    pw_test_certificate_make(&scene.ca, scene.folder, "own", "DNS:new.example", -1, 1, &own);
    scene_expect(&host, &options, PYWATT_OK, NULL); /* nobody has read it yet */
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_OK);
    scene_expect(&host, &options, PYWATT_CONNECTION, "its certificate is for new.example");
    options.server_name = "new.example";
    scene_expect(&host, &options, PYWATT_OK, NULL);
    assert_int_equal(beat(&standing), PYWATT_OK);
    assert_int_equal(client_stats(standing.client).connects, 1);
    leave(&standing);
}

static void a_bad_file_changes_nothing_and_is_named(void **state)
{
    (void)state;
    copy_file(scene.module.key_file, own.key_file);
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "is not the key of the certificate"));
    scene_expect(&host, &options, PYWATT_OK, NULL);
    assert_int_equal(remove(own.cert_file), 0);
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, own.cert_file));
    scene_expect(&host, &options, PYWATT_OK, NULL);
    pw_test_certificate_make(&scene.ca, scene.folder, "own", "DNS:" SCENE_HUB, -1, 1, &own);
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_OK);
    scene_expect(&host, &options, PYWATT_OK, NULL);
}

static void a_file_that_cannot_be_read_for_now_changes_nothing(void **state)
{
    (void)state;
    static const int numbers[] = {EMFILE, ENFILE, EIO, EACCES};
    const char *const files[] = {own.cert_file, own.key_file};
    for (unsigned long n = 1; n <= 2; n++) {
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            call_fail_at(CALL_FOPEN, n, numbers[i]);
            assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_IO);
            assert_true(call_fail_disarm());
            assert_non_null(strstr(error.text, files[n - 1]));
            assert_non_null(strstr(error.text, strerror(numbers[i])));
        }
    }
    assert_int_equal(remove(own.cert_file), 0);
    assert_int_equal(symlink("/proc/self/mem", own.cert_file), 0); /* opened, and not read */
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, own.cert_file));
    assert_non_null(strstr(error.text, strerror(EIO)));
    scene_expect(&host, &options, PYWATT_OK, NULL);
    assert_int_equal(remove(own.cert_file), 0);
    pw_test_certificate_make(&scene.ca, scene.folder, "own", "DNS:" SCENE_HUB, -1, 1, &own);
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_OK);
    scene_expect(&host, &options, PYWATT_OK, NULL);
}

static void a_client_may_change_its_own_and_whom_it_trusts(void **state)
{
    (void)state;
    struct standing standing;
    char trusted[PW_TEST_FILE_MAX];
    snprintf(trusted, sizeof(trusted), "%s/trusted.pem", scene.folder);
    copy_file(scene.ca.file, trusted);
    options.ca_file = trusted;
    stand(&standing);
    copy_file(scene.other_ca.file, trusted);
    assert_int_equal(pywatt_tls_reload(standing.tls, &error), PYWATT_OK);
    assert_int_equal(beat(&standing), PYWATT_OK);
    host_stop(&host);
    host_start(&host);
    /* However the end of the old connection is noticed: there is no new one. */
    enum pywatt_status status;
    do {
        status = beat(&standing);
    } while (status == PYWATT_CHANNEL);
    assert_int_equal(status, PYWATT_CONNECTION);
    assert_non_null(strstr(error.text, "unknown CA"));
    leave(&standing);
}

/* What the orchestrator would have with the certificate of `shown`, asking for one of clients. */
static void other_options(struct pywatt_tls_options *given, const struct pw_test_certificate *shown)
{
    scene_server_options(given);
    scene_show(given, shown);
    scene_ask(given);
    given->handshake_timeout_ms = 300000;
}

static void other_files_are_put_in_force_and_old_connections_stand(void **state)
{
    (void)state;
    struct standing standing;
    struct pywatt_tls_options given;
    stand(&standing);
    other_options(&given, &scene.hub);
    assert_int_equal(pywatt_tls_reconfigure(host.options.tls, &given, &error), PYWATT_OK);
    scene_expect(&host, &options, PYWATT_CONNECTION, "wants a certificate from us");
    scene_show(&options, &scene.module);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    assert_int_equal(beat(&standing), PYWATT_OK);
    /* From now on these are the files that are read again. */
    assert_int_equal(remove(own.cert_file), 0);
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_OK);
    leave(&standing);
}

static void other_options_that_are_wrong_change_nothing(void **state)
{
    (void)state;
    struct pywatt_tls_options given;
    other_options(&given, &scene.hub);
    given.key_file = scene.module.key_file;
    assert_int_equal(pywatt_tls_reconfigure(host.options.tls, &given, &error),
                     PYWATT_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "is not the key of the certificate"));
    other_options(&given, &scene.hub);
    assert_int_equal(pywatt_tls_reload(host.options.tls, &error), PYWATT_OK);
    given.handshakes_per_s = 1000001;
    assert_int_equal(pywatt_tls_reconfigure(host.options.tls, &given, &error),
                     PYWATT_INVALID_ARGUMENT);
    scene_expect(&host, &options, PYWATT_OK, NULL);
    struct pywatt_tls *const tls = scene_client(&options);
    assert_int_equal(pywatt_tls_reconfigure(tls, &options, &error), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_tls_reconfigure(NULL, &given, &error), PYWATT_INVALID_ARGUMENT);
    pywatt_tls_free(tls);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(new_connections_see_the_new_certificate_and_old_ones_stand,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_bad_file_changes_nothing_and_is_named, begin, end),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_for_now_changes_nothing, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_client_may_change_its_own_and_whom_it_trusts, begin, end),
        cmocka_unit_test_setup_teardown(other_files_are_put_in_force_and_old_connections_stand,
                                        begin, end),
        cmocka_unit_test_setup_teardown(other_options_that_are_wrong_change_nothing, begin, end),
    };
    return pw_test_run("reload", cases, sizeof(cases) / sizeof(cases[0]), scene_make, scene_free);
}

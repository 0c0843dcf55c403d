/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every allocation in turn fails, first those of the library, then those of OpenSSL as well: whatever
 * comes of it is said, nothing leaks, and the next attempt works. The allocations of the main thread,
 * that is: the client's, and those that make the objects; the orchestrator's are taken in turn where
 * it is told to fail in any thread. PYWATT_TEST_LONG is for every allocation; without it of the
 * orchestrator's and of OpenSSL's there is a choice.
 */
#include "scene.h"

#include <malloc_fail.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);

/* From one that fails to the next. */
static unsigned long step(unsigned long plain, unsigned long slow)
{
    return getenv("PYWATT_TEST_LONG") != NULL ? 1 : pw_test_slow_factor() == 1 ? plain : slow;
}

/* Whether OpenSSL's allocations can be made to fail. */
static atomic_bool openssl_too;

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return atomic_load(&openssl_too) ? malloc(size) : __real_malloc(size);
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return atomic_load(&openssl_too) ? realloc(old, size) : __real_realloc(old, size);
}

static void openssl_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

static enum pywatt_status make_both(struct pywatt_error *error)
{
    struct pywatt_tls_options options;
    struct pywatt_tls *tls = NULL;
    scene_server_options(&options);
    scene_ask(&options);
    enum pywatt_status status = pywatt_tls_server_new(&options, &tls, error);
    if (status != PYWATT_OK) {
        return status;
    }
    status = pywatt_tls_reload(tls, error);
    pywatt_tls_free(tls);
    if (status != PYWATT_OK) {
        return status;
    }
    scene_client_options(&options);
    scene_show(&options, &scene.module);
    status = pywatt_tls_client_new(&options, &tls, error);
    if (status == PYWATT_OK) {
        pywatt_tls_free(tls);
    }
    return status;
}

static void making_one_says_that_memory_is_out(void **state)
{
    (void)state;
    for (unsigned long n = 1;; n++) {
        struct pywatt_error error = {PYWATT_OK, ""};
        pw_malloc_fail_at(n);
        const enum pywatt_status status = make_both(&error);
        if (!pw_malloc_fail_disarm()) {
            assert_int_equal(status, PYWATT_OK);
            assert_true(n > 5);
            break;
        }
        assert_int_equal(status, PYWATT_NO_MEMORY);
        assert_int_equal(error.status, PYWATT_NO_MEMORY);
    }
}

static struct host host;

enum {
    ALLOCATIONS_MAX = 100000
};

static void begin(void)
{
    struct pywatt_tls_options options;
    scene_server_options(&options);
    scene_ask(&options);
    scene_host(&host, &options);
}

static void end(void)
{
    host_destroy(&host);
    pywatt_tls_free(host.options.tls);
}

/* From the first file to the last beat. */
static enum pywatt_status live(struct pywatt_error *error)
{
    struct pywatt_tls_options settings;
    struct pywatt_client_options options;
    struct pywatt_tls *tls = NULL;
    struct pywatt_client *client = NULL;
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    scene_client_options(&settings);
    scene_show(&settings, &scene.module);
    client_options(&options, host.url, "json");
    options.reconnect = PYWATT_RECONNECT_NONE;
    options.reregister = false;
    enum pywatt_status status = pywatt_tls_client_new(&settings, &tls, error);
    if (status == PYWATT_OK) {
        options.tls = tls;
        status = pywatt_client_open(&options, &client, error);
    }
    if (status == PYWATT_OK) {
        status = pywatt_module_info_new("camera", "1", "looks", &info);
    }
    if (status == PYWATT_OK) {
        status = pywatt_register_module(client, info, &module, error);
    }
    if (status == PYWATT_OK) {
        status = pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, error);
    }
    if (module != NULL) {
        (void)pywatt_unregister_module(module, NULL);
    }
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    pywatt_client_free(client);
    pywatt_tls_free(tls);
    return status;
}

static void expect_life(void)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    if (live(&error) != PYWATT_OK) {
        fail_msg("%s", error.text);
    }
}

static void a_client_says_that_memory_is_out_and_can_try_again(void **state)
{
    (void)state;
    begin();
    for (unsigned long n = 1;; n++) {
        struct pywatt_error error = {PYWATT_OK, ""};
        pw_malloc_fail_at(n);
        const enum pywatt_status status = live(&error);
        if (!pw_malloc_fail_disarm()) {
            assert_int_equal(status, PYWATT_OK);
            assert_true(n > 15);
            break;
        }
        if (status != PYWATT_OK) { /* unregistering may have met it */
            assert_int_equal(status, PYWATT_NO_MEMORY);
        }
    }
    expect_life();
    end();
}

/* Until there are no more: on whichever thread, of the library alone or of OpenSSL as well. */
static void fail_in_any_thread(unsigned long each)
{
    unsigned long failed = 0;
    unsigned quiet = 0;
    /* The last ones are of threads that go on when the client has gone: not each time as many. */
    for (unsigned long n = 1; quiet < (each == 1 ? 3 : 1); n += each) {
        struct pywatt_error error = {PYWATT_OK, ""};
        assert_in_range(n, 1, ALLOCATIONS_MAX);
        pw_malloc_fail_at_any_thread(n);
        (void)live(&error);
        if (pw_malloc_fail_disarm()) {
            failed++;
            quiet = 0;
        } else {
            quiet++;
        }
        if (n / each % 16 == 0) {
            expect_life();
        }
    }
    print_message("%lu allocations failed\n", failed);
    assert_true(failed > 0);
    expect_life();
    scene_await_connections(&host, 0);
}

static void an_orchestrator_loses_a_connection_at_most(void **state)
{
    (void)state;
    begin();
    expect_life();
    fail_in_any_thread(step(3, 29));
    end();
}

/* Its words may be others than ours; but there are some, and nothing is left behind. */
static void neither_side_falls_when_openssl_gets_no_memory(void **state)
{
    (void)state;
    unsigned long failed = 0;
    begin();
    expect_life();
    atomic_store(&openssl_too, true);
    for (unsigned long n = 1;; n += step(53, 997)) {
        struct pywatt_error error = {PYWATT_OK, ""};
        pw_malloc_fail_at(n);
        const enum pywatt_status status = live(&error);
        if (!pw_malloc_fail_disarm()) {
            assert_int_equal(status, PYWATT_OK);
            assert_true(n > 1000);
            break;
        }
        failed++;
        if (status != PYWATT_OK) {
            assert_true(error.text[0] != '\0' || status == PYWATT_NO_MEMORY);
        }
    }
    print_message("%lu allocations failed\n", failed);
    fail_in_any_thread(step(1643, 30907));
    atomic_store(&openssl_too, false);
    expect_life();
    end();
}

int main(void)
{
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) {
        return 1;
    }
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(making_one_says_that_memory_is_out),
        cmocka_unit_test(a_client_says_that_memory_is_out_and_can_try_again),
        cmocka_unit_test(an_orchestrator_loses_a_connection_at_most),
        cmocka_unit_test(neither_side_falls_when_openssl_gets_no_memory),
    };
    return pw_test_run("no_memory", cases, sizeof(cases) / sizeof(cases[0]), scene_make,
                       scene_free);
}

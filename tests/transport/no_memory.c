/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every allocation in turn fails: the status says so, nothing leaks, and what listens goes on. */
#include "net.h"

#include "transport/memory.h"

#include <malloc_fail.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *folder;

struct ends {
    struct pw_listener *listener;
    struct pw_conn *client;
    struct pw_conn *server;
};

static void ends_destroy(struct ends *ends)
{
    pw_conn_destroy(ends->client);
    pw_conn_destroy(ends->server);
    pw_listener_destroy(ends->listener);
}

/* Listens, connects and accepts; PYWATT_OK, or the first status that is not. */
static enum pywatt_status listen_and_connect(const char *url, struct ends *ends)
{
    struct pywatt_error error = {.status = PYWATT_OK};
    char told[PW_ENDPOINT_URL_MAX];
    struct pw_endpoint endpoint = net_endpoint(url, true);
    enum pywatt_status status = pw_transport_listen(&endpoint, &ends->listener, &error);
    if (status != PYWATT_OK) {
        return status;
    }
    pw_listener_url(ends->listener, told, sizeof(told));
    endpoint = net_endpoint(told, false);
    status = pw_transport_connect(&endpoint, net_deadline_ns(), -1, &ends->client, &error);
    if (status != PYWATT_OK) {
        assert_int_equal(error.status, status);
        return status;
    }
    enum pw_io result;
    do {
        (void)net_wait(pw_listener_fd(ends->listener), POLLIN);
        result = pw_listener_accept(ends->listener, &ends->server, &error);
    } while (result == PW_IO_AGAIN);
    return result == PW_IO_OK ? PYWATT_OK : error.status;
}

static void every_transport_survives_it(void **state)
{
    (void)state;
    char unix_url[PW_ENDPOINT_URL_MAX];
    snprintf(unix_url, sizeof(unix_url), "unix:%s/s", folder);
    const char *const urls[] = {"tcp://127.0.0.1:0", unix_url, "memory:no-memory"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        const size_t fds = pw_test_open_fds();
        unsigned long n = 1;
        for (;; n++) {
            struct ends ends = {.listener = NULL};
            pw_malloc_fail_at(n);
            const enum pywatt_status status = listen_and_connect(urls[i], &ends);
            const bool failed = pw_malloc_fail_disarm();
            assert_int_equal(status, failed ? PYWATT_NO_MEMORY : PYWATT_OK);
            ends_destroy(&ends);
            assert_int_equal(pw_test_open_fds(), fds);
            if (!failed) {
                break;
            }
        }
        assert_true(n > 3);
    }
}

static void accepting_again_works(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    struct pw_conn *const lost = net_connect(listener);
    assert_true(net_wait(pw_listener_fd(listener), POLLIN) != 0);
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    pw_malloc_fail_at(1);
    const enum pw_io result = pw_listener_accept(listener, &conn, &error);
    assert_true(pw_malloc_fail_disarm());
    assert_int_equal(result, PW_IO_ERROR);
    assert_int_equal(error.status, PYWATT_NO_MEMORY);
    assert_null(conn);
    net_expect_eof(lost);
    pw_conn_destroy(lost);
    struct pw_conn *client;
    net_pair(listener, &client, &conn);
    pw_conn_destroy(client);
    pw_conn_destroy(conn);
    pw_listener_destroy(listener);
}

static void looking_a_name_up_survives_it(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    char url[PW_ENDPOINT_URL_MAX];
    snprintf(url, sizeof(url), "tcp://localhost:%u", net_endpoint_of(listener).port);
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    unsigned long n = 1;
    for (;; n++) {
        struct pw_conn *conn = NULL;
        pw_malloc_fail_at(n);
        const enum pywatt_status status =
            pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, NULL);
        const bool failed = pw_malloc_fail_disarm();
        assert_int_equal(status, failed ? PYWATT_NO_MEMORY : PYWATT_OK);
        pw_conn_destroy(conn);
        if (!failed) {
            break;
        }
    }
    assert_true(n > 3);
    pw_listener_destroy(listener);
}

static void a_pair_and_a_list_survive_it(void **state)
{
    (void)state;
    for (unsigned long n = 1; n <= 3; n++) {
        struct pw_conn *a = NULL;
        struct pw_conn *b = NULL;
        pw_malloc_fail_at(n);
        const enum pywatt_status status = pw_memory_pair(&a, &b, NULL);
        assert_true(pw_malloc_fail_disarm() == (n < 3));
        assert_int_equal(status, n < 3 ? PYWATT_NO_MEMORY : PYWATT_OK);
        if (status == PYWATT_OK) {
            pw_conn_destroy(a);
            pw_conn_destroy(b);
        }
    }
    struct pw_endpoint *list = NULL;
    size_t count = 0;
    struct pywatt_error error;
    pw_malloc_fail_at(1);
    assert_int_equal(pw_endpoint_parse_list("tcp://a:1,memory:b", &list, &count, &error),
                     PYWATT_NO_MEMORY);
    assert_true(pw_malloc_fail_disarm());
    assert_null(list);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, net_count_fds, net_compare_fds)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(every_transport_survives_it),
        CASE(accepting_again_works),
        CASE(looking_a_name_up_survives_it),
        CASE(a_pair_and_a_list_survive_it),
    };
    folder = pw_test_temp_dir();
    const int result = PW_TEST_RUN(cases);
    free(folder);
    return result;
}

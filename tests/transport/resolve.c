/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Looking names up: the linker puts a resolver of the test's own in the place of getaddrinfo(3), for
 * names only; literals go to the system's. It can be made to hang until it is released.
 */
#include "net.h"

#include "base/clock.h"
#include "transport/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
/* Under the lock. */
static bool hangs;
static unsigned asked;
static unsigned inside;
static int answer;
static int answer_errno;
static const char *addresses[3]; /* literals, up to a NULL */

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    if ((hints->ai_flags & AI_NUMERICHOST) != 0) {
        return __real_getaddrinfo(host, port, hints, out);
    }
    pthread_mutex_lock(&lock);
    asked++;
    inside++;
    while (hangs) {
        pthread_cond_wait(&released, &lock);
    }
    inside--;
    int result = answer;
    const char *literals[3];
    memcpy(literals, addresses, sizeof(literals));
    const int number = answer_errno;
    pthread_mutex_unlock(&lock);

    struct addrinfo **tail = out;
    for (size_t i = 0; result == 0 && i < 3 && literals[i] != NULL; i++) {
        struct addrinfo numeric = *hints;
        numeric.ai_flags |= AI_NUMERICHOST;
        result = __real_getaddrinfo(literals[i], port, &numeric, tail);
        tail = &(*tail)->ai_next;
    }
    errno = number;
    return result;
}

static void set_answer(int code, const char *first, const char *second)
{
    pthread_mutex_lock(&lock);
    answer = code;
    addresses[0] = first;
    addresses[1] = second;
    asked = 0;
    pthread_mutex_unlock(&lock);
}

static unsigned times_asked(void)
{
    pthread_mutex_lock(&lock);
    const unsigned count = asked;
    pthread_mutex_unlock(&lock);
    return count;
}

static void hang(bool on)
{
    pthread_mutex_lock(&lock);
    hangs = on;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&lock);
}

static bool is_helper_inside(void *user)
{
    (void)user;
    pthread_mutex_lock(&lock);
    const bool yes = inside > 0;
    pthread_mutex_unlock(&lock);
    return yes;
}

static int begin(void **state)
{
    set_answer(0, "127.0.0.1", NULL);
    return net_count_fds(state);
}

static int end(void **state)
{
    hang(false);
    return net_compare_fds(state);
}

static enum pywatt_status resolve(const char *host, uint64_t deadline_ns, int cancel_fd,
                                  struct addrinfo **out, struct pywatt_error *error)
{
    error->status = PYWATT_OK;
    error->text[0] = '\0';
    const enum pywatt_status status = pw_resolve(host, 7000, deadline_ns, cancel_fd, out, error);
    assert_int_equal(error->status, status);
    return status;
}

static void a_literal_needs_no_look_up(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int family;
    } literals[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}, {"::ffff:1.2.3.4", AF_INET6}};
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        struct addrinfo *result = NULL;
        struct pywatt_error error;
        assert_int_equal(resolve(literals[i].host, net_deadline_ns(), -1, &result, &error),
                         PYWATT_OK);
        assert_int_equal(result->ai_family, literals[i].family);
        assert_int_equal(result->ai_socktype, SOCK_STREAM);
        assert_null(result->ai_next);
        struct sockaddr_in6 address;
        memcpy(&address, result->ai_addr,
               result->ai_addrlen < sizeof(address) ? result->ai_addrlen : sizeof(address));
        assert_int_equal(ntohs(address.sin6_port), 7000);
        freeaddrinfo(result);
    }
    assert_int_equal(times_asked(), 0);
}

static void a_name_gives_all_its_addresses_in_order(void **state)
{
    (void)state;
    struct addrinfo *result = NULL;
    struct pywatt_error error;
    set_answer(0, "127.0.0.2", "127.0.0.1");
    assert_int_equal(resolve("name.example", net_deadline_ns(), -1, &result, &error), PYWATT_OK);
    struct sockaddr_in first;
    struct sockaddr_in second;
    memcpy(&first, result->ai_addr, sizeof(first));
    assert_non_null(result->ai_next);
    memcpy(&second, result->ai_next->ai_addr, sizeof(second));
    assert_int_equal(ntohl(first.sin_addr.s_addr), INADDR_LOOPBACK + 1);
    assert_int_equal(ntohl(second.sin_addr.s_addr), INADDR_LOOPBACK);
    freeaddrinfo(result);
    assert_int_equal(times_asked(), 1);
}

static void failures_are_told_in_words(void **state)
{
    (void)state;
    struct addrinfo *result = NULL;
    struct pywatt_error error;
    set_answer(EAI_NONAME, NULL, NULL);
    assert_int_equal(resolve("unknown.example", net_deadline_ns(), -1, &result, &error),
                     PYWATT_CONNECTION);
    assert_string_equal(error.text,
                        "unknown.example cannot be resolved: Name or service not known");
    set_answer(EAI_AGAIN, NULL, NULL);
    assert_int_equal(resolve("unknown.example", PW_DEADLINE_NEVER, -1, &result, &error),
                     PYWATT_CONNECTION);
    net_expect_text(&error, "Temporary failure in name resolution");
    answer_errno = EMFILE;
    set_answer(EAI_SYSTEM, NULL, NULL);
    assert_int_equal(resolve("unknown.example", net_deadline_ns(), -1, &result, &error),
                     PYWATT_CONNECTION);
    net_expect_text(&error, "Too many open files");
    set_answer(EAI_MEMORY, NULL, NULL);
    assert_int_equal(resolve("unknown.example", net_deadline_ns(), -1, &result, &error),
                     PYWATT_NO_MEMORY);
    assert_null(result);
    set_answer(EAI_NONAME, NULL, NULL);
    assert_int_equal(pw_resolve("unknown.example", 1, net_deadline_ns(), -1, &result, NULL),
                     PYWATT_CONNECTION);
}

static void a_hanging_look_up_is_left_behind_at_the_deadline(void **state)
{
    (void)state;
    struct addrinfo *result = NULL;
    struct pywatt_error error;
    hang(true);
    const size_t fds = pw_test_open_fds();
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(50);
    assert_int_equal(resolve("slow.example", deadline_ns, -1, &result, &error), PYWATT_TIMEOUT);
    assert_true(pw_clock_now_ns(&pw_clock_monotonic) >= deadline_ns);
    assert_null(result);
    assert_string_equal(error.text, "slow.example was not resolved: no answer in time");
    /* What it holds is memory alone. Its answer comes late, and is given back: leak checkers tell. */
    assert_int_equal(pw_test_open_fds(), fds);
    assert_true(pw_test_wait_until(is_helper_inside, NULL, NET_PATIENCE_MS));
}

struct caller {
    int cancel_fd;
    enum pywatt_status status;
};

static void *caller_main(void *arg)
{
    struct caller *const caller = arg;
    struct addrinfo *result = NULL;
    caller->status =
        pw_resolve("slow.example", 7000, PW_DEADLINE_NEVER, caller->cancel_fd, &result, NULL);
    return NULL;
}

static void a_hanging_look_up_can_be_cancelled(void **state)
{
    (void)state;
    hang(true);
    struct caller caller = {.cancel_fd = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, caller_main, &caller), 0);
    const bool inside_now = pw_test_wait_until(is_helper_inside, NULL, NET_PATIENCE_MS);
    assert_int_equal(eventfd_write(caller.cancel_fd, 1), 0);
    pthread_join(thread, NULL);
    assert_true(inside_now);
    assert_int_equal(caller.status, PYWATT_CLOSED);
    close(caller.cancel_fd);
}

static void nothing_is_asked_after_the_deadline_or_a_cancel(void **state)
{
    (void)state;
    struct addrinfo *result = NULL;
    struct pywatt_error error;
    const uint64_t now_ns = pw_clock_now_ns(&pw_clock_monotonic);
    assert_int_equal(resolve("name.example", now_ns, -1, &result, &error), PYWATT_TIMEOUT);
    const int cancel_fd = eventfd(1, EFD_CLOEXEC);
    assert_int_equal(resolve("name.example", net_deadline_ns(), cancel_fd, &result, &error),
                     PYWATT_CLOSED);
    assert_string_equal(error.text, "name.example was not resolved: cancelled");
    close(cancel_fd);
    assert_null(result);
    assert_int_equal(times_asked(), 0);
}

static void hanging_look_ups_are_bounded(void **state)
{
    (void)state;
    struct addrinfo *result = NULL;
    struct pywatt_error error;
    hang(true);
    for (int i = 0; i < 32; i++) {
        const uint64_t soon_ns = pw_clock_now_ns(&pw_clock_monotonic) + PW_NS_PER_MS;
        const enum pywatt_status status = resolve("slow.example", soon_ns, -1, &result, &error);
        assert_int_equal(status, PYWATT_TIMEOUT);
    }
    /* Fewer were started if a deadline had passed before: fill up what is left. */
    const uint64_t patience_ns = net_deadline_ns();
    enum pywatt_status status;
    do {
        const uint64_t soon_ns = pw_clock_now_ns(&pw_clock_monotonic) + PW_NS_PER_MS;
        status = resolve("slow.example", soon_ns, -1, &result, &error);
    } while (status == PYWATT_TIMEOUT && pw_clock_now_ns(&pw_clock_monotonic) < patience_ns);
    assert_int_equal(status, PYWATT_CONNECTION);
    net_expect_text(&error, "32 look-ups are under way");
    hang(false);
    assert_true(pw_test_wait_until(net_threads_are_gone, NULL, NET_PATIENCE_MS));
    assert_int_equal(resolve("name.example", net_deadline_ns(), -1, &result, &error), PYWATT_OK);
    freeaddrinfo(result);
}

/* ---- The same through a connection --------------------------------------------------------- */

static void connects_to_the_second_address_of_a_name(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    char url[PW_ENDPOINT_URL_MAX];
    snprintf(url, sizeof(url), "tcp://name.example:%u", net_endpoint_of(listener).port);
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    set_answer(0, "127.0.0.2", "127.0.0.1");
    struct pw_conn *conn = NULL;
    struct pywatt_error error;
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error),
                     PYWATT_OK);
    char peer[64];
    pw_conn_peer_name(conn, peer, sizeof(peer));
    assert_memory_equal(peer, "127.0.0.1:", strlen("127.0.0.1:"));
    pw_conn_destroy(conn);
    /* And names are looked up again for each connection. */
    conn = NULL;
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error),
                     PYWATT_OK);
    assert_int_equal(times_asked(), 2);
    pw_conn_destroy(conn);
    pw_listener_destroy(listener);
}

static void a_failure_names_the_url_and_each_address(void **state)
{
    (void)state;
    uint16_t port;
    const int silent = net_silent_port(&port);
    char url[64];
    char expected[512];
    snprintf(url, sizeof(url), "tcp://name.example:%u", port);
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    set_answer(0, "127.0.0.2", "127.0.0.1");
    struct pw_conn *conn = NULL;
    struct pywatt_error error;
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error),
                     PYWATT_CONNECTION);
    snprintf(expected, sizeof(expected),
             "cannot connect to \"%s\": 127.0.0.2:%u: Connection refused; "
             "127.0.0.1:%u: Connection refused",
             url, port, port);
    assert_string_equal(error.text, expected);

    set_answer(EAI_NONAME, NULL, NULL);
    assert_int_equal(pw_transport_connect(&endpoint, net_deadline_ns(), -1, &conn, &error),
                     PYWATT_CONNECTION);
    snprintf(expected, sizeof(expected),
             "cannot connect to \"%s\": name.example cannot be resolved: "
             "Name or service not known",
             url);
    assert_string_equal(error.text, expected);
    net_refused_to_listen("tcp://name.example:0", &error);
    net_expect_text(&error, "name.example cannot be resolved: Name or service not known");
    close(silent);
}

static void listens_at_the_address_that_this_machine_has(void **state)
{
    (void)state;
    set_answer(0, "192.0.2.1", "127.0.0.1");
    struct pw_listener *const listener = net_listen("tcp://name.example:0");
    assert_string_equal(net_endpoint_of(listener).host, "127.0.0.1");
    pw_listener_destroy(listener);
}

static void does_not_go_round_an_address_that_is_busy(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen("tcp://127.0.0.1:0");
    char url[64];
    struct pywatt_error error;
    snprintf(url, sizeof(url), "tcp://name.example:%u", net_endpoint_of(listener).port);
    set_answer(0, "127.0.0.1", "127.0.0.2");
    net_refused_to_listen(url, &error);
    net_expect_text(&error, "Address already in use");
    pw_listener_destroy(listener);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_literal_needs_no_look_up),
        CASE(a_name_gives_all_its_addresses_in_order),
        CASE(failures_are_told_in_words),
        CASE(a_hanging_look_up_is_left_behind_at_the_deadline),
        CASE(a_hanging_look_up_can_be_cancelled),
        CASE(nothing_is_asked_after_the_deadline_or_a_cancel),
        CASE(hanging_look_ups_are_bounded),
        CASE(connects_to_the_second_address_of_a_name),
        CASE(a_failure_names_the_url_and_each_address),
        CASE(listens_at_the_address_that_this_machine_has),
        CASE(does_not_go_round_an_address_that_is_busy),
    };
    return PW_TEST_RUN(cases);
}

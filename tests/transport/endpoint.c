/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* URLs of endpoints: what is read, and what a refusal says. */
#include "transport/endpoint.h"

#include "base/utf8.h"
#include "transport/transport.h"

#include <pw_test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_text(const struct pywatt_error *error, const char *fragment)
{
    if (strstr(error->text, fragment) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", fragment, error->text);
    }
}

/* A string of `len` bytes `c` between two others. Free it. */
static char *long_text(const char *before, char c, size_t len, const char *after)
{
    const size_t before_len = strlen(before);
    char *const text = malloc(before_len + len + strlen(after) + 1);
    assert_non_null(text);
    memcpy(text, before, before_len);
    memset(text + before_len, c, len);
    strcpy(text + before_len + len, after);
    return text;
}

static void reads_good_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool for_listening;
        const char *scheme;
        const char *host;
        uint16_t port;
        const char *path;
    } good[] = {
        {"tcp://localhost:7000", false, "tcp", "localhost", 7000, ""},
        {"TCP://localhost:7000", false, "tcp", "localhost", 7000, ""},
        {"tcp://10.0.0.1:1", false, "tcp", "10.0.0.1", 1, ""},
        {"tcp://my_host-1.example.org:65535", false, "tcp", "my_host-1.example.org", 65535, ""},
        {"tcp://h:00080", false, "tcp", "h", 80, ""},
        {"tcp://[::1]:7000", false, "tcp", "::1", 7000, ""},
        {"tcp://[fe80::1%eth0]:7000", false, "tcp", "fe80::1%eth0", 7000, ""},
        {"tcp://[::ffff:1.2.3.4]:7000", false, "tcp", "::ffff:1.2.3.4", 7000, ""},
        {"tcp://127.0.0.1:0", true, "tcp", "127.0.0.1", 0, ""},
        {"tcp://:0", true, "tcp", "", 0, ""},
        {"tcp://:7000", true, "tcp", "", 7000, ""},
        {"tcp://[::]:0", true, "tcp", "::", 0, ""},
        {"unix:/run/pywatt.sock", false, "unix", "", 0, "/run/pywatt.sock"},
        {"unix:///run/pywatt.sock", false, "unix", "", 0, "/run/pywatt.sock"},
        {"unix:/with space:and:colons%20", true, "unix", "", 0, "/with space:and:colons%20"},
        {"unix:@name", false, "unix", "", 0, "@name"},
        {"memory:bus", false, "memory", "", 0, "bus"},
        {"memory:1234", false, "memory", "", 0, "1234"},
        {"memory:\xc3\xa9", true, "memory", "", 0, "\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct pw_endpoint endpoint;
        struct pywatt_error error = {.status = PYWATT_OK};
        if (pw_endpoint_parse(good[i].url, good[i].for_listening, &endpoint, &error) != PYWATT_OK) {
            fail_msg("%s: %s", good[i].url, error.text);
        }
        assert_string_equal(endpoint.transport->scheme, good[i].scheme);
        assert_string_equal(endpoint.host, good[i].host);
        assert_int_equal(endpoint.port, good[i].port);
        assert_string_equal(endpoint.path, good[i].path);
        assert_string_equal(endpoint.url, good[i].url);
        assert_int_equal(error.status, PYWATT_OK);
    }
}

static void refuses_bad_urls_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum pywatt_status status;
        const char *says;
    } bad[] = {
        {"", PYWATT_INVALID_ARGUMENT, "empty"},
        {"localhost", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {"localhost:7000", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {"10.0.0.1:7000", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {"//localhost:7000", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {"/run/pywatt.sock", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {"://localhost:7000", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {"t cp://localhost:7000", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {" tcp://localhost:7000", PYWATT_INVALID_ARGUMENT, "no scheme"},
        {"http://localhost:7000", PYWATT_UNSUPPORTED, "scheme http"},
        {"http://localhost:7000", PYWATT_UNSUPPORTED, "tcp, unix, memory"},
        {"tcpx://localhost:7000", PYWATT_UNSUPPORTED, "scheme tcpx"},
        {"tc://localhost:7000", PYWATT_UNSUPPORTED, "scheme tc "},
        {"tcp:", PYWATT_INVALID_ARGUMENT, "//"},
        {"tcp:7000", PYWATT_INVALID_ARGUMENT, "//"},
        {"tcp:localhost:7000", PYWATT_INVALID_ARGUMENT, "//"},
        {"tcp:/localhost:7000", PYWATT_INVALID_ARGUMENT, "//"},
        {"tcp://", PYWATT_INVALID_ARGUMENT, "the host is missing"},
        {"tcp://:7000", PYWATT_INVALID_ARGUMENT, "the host is missing"},
        {"tcp://localhost", PYWATT_INVALID_ARGUMENT, "the port is missing"},
        {"tcp://localhost:", PYWATT_INVALID_ARGUMENT, "the port is missing"},
        {"tcp://localhost:x", PYWATT_INVALID_ARGUMENT, "the port is not a number: x"},
        {"tcp://localhost:7000/", PYWATT_INVALID_ARGUMENT, "the port is not a number: 7000/"},
        {"tcp://localhost:-1", PYWATT_INVALID_ARGUMENT, "the port is not a number: -1"},
        {"tcp://localhost: 80", PYWATT_INVALID_ARGUMENT, "the port is not a number:  80"},
        {"tcp://localhost:65536", PYWATT_INVALID_ARGUMENT, "out of range, 1 to 65535: 65536"},
        {"tcp://localhost:000080", PYWATT_INVALID_ARGUMENT, "out of range"},
        {"tcp://localhost:4294967376", PYWATT_INVALID_ARGUMENT, "out of range"},
        {"tcp://localhost:99999999999999999999", PYWATT_INVALID_ARGUMENT, "out of range"},
        {"tcp://localhost:0", PYWATT_INVALID_ARGUMENT, "port 0 is for listening only"},
        {"tcp://::1:7000", PYWATT_INVALID_ARGUMENT, "stands in brackets"},
        {"tcp://user@host:7000", PYWATT_INVALID_ARGUMENT, "'@' cannot stand in a host"},
        {"tcp://a b:7000", PYWATT_INVALID_ARGUMENT, "' ' cannot stand in a host"},
        {"tcp://*:7000", PYWATT_INVALID_ARGUMENT, "'*' cannot stand in a host"},
        {"tcp://\xc3\xa9.example:7000", PYWATT_INVALID_ARGUMENT, "xn--"},
        {"tcp://[::1:7000", PYWATT_INVALID_ARGUMENT, "bracket around the address is not closed"},
        {"tcp://[::1]", PYWATT_INVALID_ARGUMENT, "the port is missing"},
        {"tcp://[::1]7000", PYWATT_INVALID_ARGUMENT, "must follow the closing bracket"},
        {"tcp://[]:7000", PYWATT_INVALID_ARGUMENT, "not an IPv6 address"},
        {"tcp://[localhost]:7000", PYWATT_INVALID_ARGUMENT, "not an IPv6 address"},
        {"tcp://[1.2.3.4]:7000", PYWATT_INVALID_ARGUMENT, "not an IPv6 address"},
        {"tcp://[1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8]:7", PYWATT_INVALID_ARGUMENT,
         "not an IPv6 address"},
        {"unix:", PYWATT_INVALID_ARGUMENT, "the path is missing"},
        {"unix:@", PYWATT_INVALID_ARGUMENT, "the path is missing"},
        {"unix:run/pywatt.sock", PYWATT_INVALID_ARGUMENT, "must begin with /"},
        {"unix://run/pywatt.sock", PYWATT_INVALID_ARGUMENT, "a host cannot stand in it"},
        {"memory:", PYWATT_INVALID_ARGUMENT, "the name is missing"},
        {"unix:/a\nb", PYWATT_INVALID_ARGUMENT, "control character"},
        {"memory:\x7f", PYWATT_INVALID_ARGUMENT, "control character"},
        {"unix:/\xff", PYWATT_INVALID_ARGUMENT, "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pw_endpoint endpoint;
        struct pywatt_error error = {.status = PYWATT_OK};
        assert_int_equal(pw_endpoint_parse(bad[i].url, false, &endpoint, &error), bad[i].status);
        assert_int_equal(error.status, bad[i].status);
        expect_text(&error, bad[i].says);
        /* Without somebody to tell, the verdict is the same. */
        assert_int_equal(pw_endpoint_parse(bad[i].url, false, &endpoint, NULL), bad[i].status);
    }
}

static void quotes_the_url(void **state)
{
    (void)state;
    struct pw_endpoint endpoint;
    struct pywatt_error error;
    pw_endpoint_parse("tcp://localhost:x", false, &endpoint, &error);
    expect_text(&error, "\"tcp://localhost:x\": ");
    pw_endpoint_parse("http://localhost", false, &endpoint, &error);
    expect_text(&error, "\"http://localhost\": ");
    pw_endpoint_parse("localhost", false, &endpoint, &error);
    expect_text(&error, "\"localhost\": ");
    pw_endpoint_parse("unix:/a\nb", false, &endpoint, &error);
    expect_text(&error, "\"unix:/a?b\": ");
    pw_endpoint_parse("unix:/\xff\xc3\xa9", false, &endpoint, &error);
    expect_text(&error, "\"unix:/???\": ");
}

static void refuses_what_is_too_long(void **state)
{
    (void)state;
    struct pw_endpoint endpoint;
    struct pywatt_error error;

    char *url = long_text("tcp://", 'h', PW_ENDPOINT_HOST_MAX, ":7000");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_OK);
    assert_int_equal(strlen(endpoint.host), PW_ENDPOINT_HOST_MAX);
    free(url);
    url = long_text("tcp://", 'h', PW_ENDPOINT_HOST_MAX + 1, ":7000");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_INVALID_ARGUMENT);
    expect_text(&error, "the host has 256 bytes");
    free(url);

    url = long_text("unix:/", 'p', PW_ENDPOINT_PATH_MAX - 1, "");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_OK);
    assert_int_equal(strlen(endpoint.path), PW_ENDPOINT_PATH_MAX);
    free(url);
    url = long_text("unix:/", 'p', PW_ENDPOINT_PATH_MAX, "");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_INVALID_ARGUMENT);
    expect_text(&error, "the path is too long: 108 bytes");
    free(url);

    url = long_text("memory:", 'm', PW_ENDPOINT_PATH_MAX, "");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_OK);
    free(url);
    url = long_text("memory:", 'm', PW_ENDPOINT_PATH_MAX + 1, "");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_INVALID_ARGUMENT);
    expect_text(&error, "the name is too long: 108 bytes");
    free(url);

    url = long_text("tcp://", 'h', 100000, ":7000");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_INVALID_ARGUMENT);
    expect_text(&error, "\"tcp://hhhhh");
    expect_text(&error, "...\": the URL is too long");
    free(url);
    url = long_text("tcp://", '\xff', 100000, ":7000");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_INVALID_ARGUMENT);
    expect_text(&error, "\"tcp://?????");
    expect_text(&error, "...\": the URL is too long");
    free(url);
}

static void a_scheme_of_any_length_is_named_in_part(void **state)
{
    (void)state;
    struct pw_endpoint endpoint;
    struct pywatt_error error;
    char *const url = long_text("", 's', 250, "://host:1");
    assert_int_equal(pw_endpoint_parse(url, false, &endpoint, &error), PYWATT_UNSUPPORTED);
    expect_text(&error, "tcp, unix, memory");
    free(url);
}

static void cuts_a_quoted_url_between_characters(void **state)
{
    (void)state;
    char path[PW_ENDPOINT_URL_MAX];
    for (size_t shift = 0; shift < 4; shift++) {
        size_t len = (size_t)snprintf(path, sizeof(path), "unix:/%.*s", (int)shift, "abc");
        while (len < 200) {
            len += (size_t)snprintf(path + len, sizeof(path) - len, "\xe2\x82\xac");
        }
        struct pw_endpoint endpoint;
        struct pywatt_error error;
        assert_int_equal(pw_endpoint_parse(path, false, &endpoint, &error),
                         PYWATT_INVALID_ARGUMENT);
        expect_text(&error, "...\": the path is too long");
        assert_true(pw_utf8_valid(pw_str_from(error.text)));
        assert_null(strchr(error.text, '?'));
    }
}

static void refuses_a_null_url(void **state)
{
    (void)state;
    struct pw_endpoint endpoint;
    struct pywatt_error error;
    assert_int_equal(pw_endpoint_parse(NULL, false, &endpoint, &error), PYWATT_INVALID_ARGUMENT);
    expect_text(&error, "no URL");
}

static void reads_a_list(void **state)
{
    (void)state;
    struct pw_endpoint *list = NULL;
    size_t count = 0;
    struct pywatt_error error;
    assert_int_equal(pw_endpoint_parse_list("tcp://a:1", &list, &count, &error), PYWATT_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].host, "a");
    free(list);
    assert_int_equal(
        pw_endpoint_parse_list("  tcp://a:1 ,unix:/b c ,  memory:d", &list, &count, &error),
        PYWATT_OK);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].url, "tcp://a:1");
    assert_string_equal(list[1].path, "/b c");
    assert_string_equal(list[2].url, "memory:d");
    free(list);
}

static void refuses_bad_lists(void **state)
{
    (void)state;
    static const struct {
        const char *urls;
        enum pywatt_status status;
        const char *says;
    } bad[] = {
        {NULL, PYWATT_INVALID_ARGUMENT, "no endpoint is given"},
        {"", PYWATT_INVALID_ARGUMENT, "no endpoint is given"},
        {"   ", PYWATT_INVALID_ARGUMENT, "no endpoint is given"},
        {",", PYWATT_INVALID_ARGUMENT, "entry 1 of the list \",\" is empty"},
        {"tcp://a:1,", PYWATT_INVALID_ARGUMENT, "entry 2 of the list \"tcp://a:1,\" is empty"},
        {"tcp://a:1, ,tcp://b:1", PYWATT_INVALID_ARGUMENT, "entry 2 of"},
        {"tcp://a:1,tcp://b", PYWATT_INVALID_ARGUMENT, "\"tcp://b\": the port is missing"},
        {"tcp://a:1 tcp://b:1", PYWATT_INVALID_ARGUMENT, "more than one colon"},
        {"tcp://a:1,tcp://b:0", PYWATT_INVALID_ARGUMENT, "port 0"},
        {"tcp://a:1,gopher://b:1,x", PYWATT_UNSUPPORTED, "scheme gopher"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pw_endpoint *list = NULL;
        size_t count = 0;
        struct pywatt_error error = {.status = PYWATT_OK};
        assert_int_equal(pw_endpoint_parse_list(bad[i].urls, &list, &count, &error), bad[i].status);
        assert_int_equal(error.status, bad[i].status);
        assert_null(list);
        expect_text(&error, bad[i].says);
    }
}

static void bounds_the_length_of_a_list(void **state)
{
    (void)state;
    char urls[65 * 10 + 1] = "";
    for (int i = 0; i < 64; i++) {
        strcat(urls, i == 0 ? "tcp://a:1" : ",tcp://a:1");
    }
    struct pw_endpoint *list = NULL;
    size_t count = 0;
    struct pywatt_error error;
    assert_int_equal(pw_endpoint_parse_list(urls, &list, &count, &error), PYWATT_OK);
    assert_int_equal(count, 64);
    free(list);
    list = NULL;
    strcat(urls, ",tcp://a:1");
    assert_int_equal(pw_endpoint_parse_list(urls, &list, &count, &error), PYWATT_LIMIT);
    expect_text(&error, "65 endpoints, at most are 64");
    assert_null(list);
}

static void a_list_entry_too_long_for_a_url_is_refused(void **state)
{
    (void)state;
    struct pw_endpoint *list = NULL;
    size_t count = 0;
    struct pywatt_error error;
    char *const urls = long_text("tcp://a:1, tcp://", 'h', 100000, ":7000 ");
    assert_int_equal(pw_endpoint_parse_list(urls, &list, &count, &error), PYWATT_INVALID_ARGUMENT);
    expect_text(&error, "the URL is too long");
    assert_null(list);
    free(urls);
}

static void every_transport_is_found_by_its_scheme(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct pw_transport_ops *const *ops = pw_transport_all(); *ops != NULL; ops++) {
        const char *const scheme = (*ops)->scheme;
        assert_ptr_equal(pw_transport_by_scheme(scheme, strlen(scheme)), *ops);
        assert_null(pw_transport_by_scheme(scheme, strlen(scheme) - 1));
        count++;
    }
    assert_true(count >= 3);
    assert_null(pw_transport_by_scheme("", 0));
    assert_ptr_equal(pw_transport_by_scheme("tcp://x", 3), pw_transport_by_scheme("TCP", 3));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(reads_good_urls),
        cmocka_unit_test(refuses_bad_urls_and_says_why),
        cmocka_unit_test(quotes_the_url),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(a_scheme_of_any_length_is_named_in_part),
        cmocka_unit_test(cuts_a_quoted_url_between_characters),
        cmocka_unit_test(refuses_a_null_url),
        cmocka_unit_test(reads_a_list),
        cmocka_unit_test(refuses_bad_lists),
        cmocka_unit_test(bounds_the_length_of_a_list),
        cmocka_unit_test(a_list_entry_too_long_for_a_url_is_refused),
        cmocka_unit_test(every_transport_is_found_by_its_scheme),
    };
    return PW_TEST_RUN(cases);
}

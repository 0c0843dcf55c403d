/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * url.c - any text as the URL of an endpoint, and as a list of them. The input is the text.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "transport/endpoint.h"
#include "transport/transport.h"

#include <pywatt/status.h>

#include <string.h>

static void check_refusal(enum pywatt_status status, const struct pywatt_error *error)
{
    FUZZ_CHECK(status == PYWATT_INVALID_ARGUMENT || status == PYWATT_UNSUPPORTED ||
                   status == PYWATT_LIMIT,
               "%s", pywatt_status_name(status));
    FUZZ_CHECK(error->status == status && error->text[0] != '\0', "no words");
    const size_t len = strlen(error->text);
    FUZZ_CHECK(pw_utf8_valid((struct pw_str){error->text, len}), "words that are not UTF-8");
    for (size_t i = 0; i < len; i++) {
        FUZZ_CHECK((unsigned char)error->text[i] >= 0x20, "a control character in the words");
    }
}

static bool same(const struct pw_endpoint *a, const struct pw_endpoint *b)
{
    return a->transport == b->transport && strcmp(a->host, b->host) == 0 && a->port == b->port &&
           strcmp(a->path, b->path) == 0;
}

/* What was understood, written down again, is understood in the same way. */
static void check_accepted(const char *text, bool for_listening, const struct pw_endpoint *endpoint)
{
    char again[PW_ENDPOINT_URL_MAX + 16];
    FUZZ_CHECK(strcmp(endpoint->url, text) == 0, "%s", endpoint->url);
    FUZZ_CHECK(endpoint->tls == NULL, "%s", text);
    if (endpoint->path[0] != '\0') {
        FUZZ_CHECK(endpoint->host[0] == '\0' && endpoint->port == 0, "%s", text);
        /* Behind "unix:" two slashes may stand before the path. */
        const bool slashes = strcmp(endpoint->transport->scheme, "unix") == 0 &&
                             strncmp(endpoint->path, "//", 2) == 0;
        snprintf(again, sizeof(again), slashes ? "%s://%s" : "%s:%s", endpoint->transport->scheme,
                 endpoint->path);
    } else {
        FUZZ_CHECK(for_listening || (endpoint->host[0] != '\0' && endpoint->port != 0), "%s", text);
        const bool bare = strchr(endpoint->host, ':') == NULL;
        snprintf(again, sizeof(again), bare ? "%s://%s:%u" : "%s://[%s]:%u",
                 endpoint->transport->scheme, endpoint->host, endpoint->port);
    }
    struct pw_endpoint copy;
    struct pywatt_error error;
    const enum pywatt_status status = pw_endpoint_parse(again, for_listening, &copy, &error);
    FUZZ_CHECK(status == PYWATT_OK, "%s became %s: %s", text, again, error.text);
    FUZZ_CHECK(same(endpoint, &copy), "%s became %s", text, again);
}

static bool parse(const char *text, bool for_listening, struct pw_endpoint *out)
{
    struct pywatt_error error = {.status = PYWATT_OK};
    const enum pywatt_status status = pw_endpoint_parse(text, for_listening, out, &error);
    if (status != PYWATT_OK) {
        check_refusal(status, &error);
        return false;
    }
    check_accepted(text, for_listening, out);
    return true;
}

/* A list is right if each of its entries is. */
static void parse_list(const char *text)
{
    struct pw_endpoint *list = NULL;
    size_t count = 0;
    struct pywatt_error error = {.status = PYWATT_OK};
    const enum pywatt_status status = pw_endpoint_parse_list(text, &list, &count, &error);
    if (status != PYWATT_OK) {
        check_refusal(status, &error);
        return;
    }
    const char *at = text;
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(at != NULL, "more endpoints than entries");
        at += strspn(at, " ");
        const size_t len = strlen(list[i].url);
        FUZZ_CHECK(strncmp(at, list[i].url, len) == 0, "%s", list[i].url);
        struct pw_endpoint alone;
        FUZZ_CHECK(parse(list[i].url, false, &alone) && same(&alone, &list[i]), "%s", list[i].url);
        at += len;
        at += strspn(at, " ");
        FUZZ_CHECK(*at == (i + 1 < count ? ',' : '\0'), "something behind %s", list[i].url);
        at++;
    }
    free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    struct pw_endpoint to_listen;
    struct pw_endpoint to_connect;
    const bool listens = parse(text, true, &to_listen);
    const bool connects = parse(text, false, &to_connect);
    FUZZ_CHECK(!connects || (listens && same(&to_listen, &to_connect)), "%s", text);
    parse_list(text);
    free(text);
    return 0;
}

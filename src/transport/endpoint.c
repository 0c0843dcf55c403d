/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * endpoint.c - reads URLs of endpoints, and lists of them. What stands behind the scheme is the
 * transport's to read. No state; any thread.
 */
#include "transport/endpoint.h"

#include "base/error.h"
#include "base/utf8.h"
#include "transport/transport.h"
#include "transport/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 64
#define SCHEMES_TEXT_MAX 80

static enum pywatt_status refuse(struct pywatt_error *error, const char *url, const char *fault)
{
    char quoted[PW_WORDS_URL_MAX];
    return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s: %s", pw_words_url(url, quoted), fault);
}

/* Why `url` cannot be any endpoint, or NULL. */
static const char *fault_of_text(const char *url)
{
    if (url[0] == '\0') {
        return "the URL is empty";
    }
    const size_t len = strnlen(url, PW_ENDPOINT_URL_MAX);
    if (len == PW_ENDPOINT_URL_MAX) {
        return "the URL is too long";
    }
    if (!pw_utf8_valid((struct pw_str){url, len})) {
        return "the URL is not UTF-8";
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)url[i] < 0x20 || url[i] == 0x7f) {
            return "there is a control character in the URL";
        }
    }
    return NULL;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * The length of the scheme, or 0 if there is none. A port number behind the first colon tells
 * "localhost:7000" from a URL.
 */
static size_t scheme_len(const char *url)
{
    const size_t len = strcspn(url, ":");
    if (url[len] == '\0' || !is_letter(url[0])) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        const bool is_digit = url[i] >= '0' && url[i] <= '9';
        if (!is_letter(url[i]) && !is_digit && strchr("+-.", url[i]) == NULL) {
            return 0;
        }
    }
    const char *const rest = url + len + 1;
    const bool is_port = rest[0] != '\0' && rest[strspn(rest, "0123456789")] == '\0';
    return is_port && pw_transport_by_scheme(url, len) == NULL ? 0 : len;
}

/* "tcp, unix, memory" */
static const char *known_schemes(char text[SCHEMES_TEXT_MAX])
{
    size_t len = 0;
    text[0] = '\0';
    for (const struct pw_transport_ops *const *ops = pw_transport_all(); *ops != NULL; ops++) {
        const int wanted = snprintf(text + len, SCHEMES_TEXT_MAX - len, "%s%s",
                                    len == 0 ? "" : ", ", (*ops)->scheme);
        if (wanted < 0 || (size_t)wanted >= SCHEMES_TEXT_MAX - len) {
            break;
        }
        len += (size_t)wanted;
    }
    return text;
}

static enum pywatt_status refuse_scheme(const char *url, size_t len, struct pywatt_error *error)
{
    char quoted[PW_WORDS_URL_MAX];
    char known[SCHEMES_TEXT_MAX];
    pw_words_url(url, quoted);
    known_schemes(known);
    if (len == 0) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "%s: there is no scheme in front, such as tcp: (known: %s)", quoted,
                            known);
    }
    return pw_error_set(error, PYWATT_UNSUPPORTED,
                        "%s: the scheme %.*s is not one that this build has: %s", quoted,
                        len > 20 ? 20 : (int)len, url, known);
}

enum pywatt_status pw_endpoint_parse(const char *url, bool for_listening, struct pw_endpoint *out,
                                     struct pywatt_error *error)
{
    if (url == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "there is no URL");
    }
    const char *const fault = fault_of_text(url);
    if (fault != NULL) {
        return refuse(error, url, fault);
    }
    const size_t len = scheme_len(url);
    const struct pw_transport_ops *const transport = pw_transport_by_scheme(url, len);
    if (transport == NULL) {
        return refuse_scheme(url, len, error);
    }
    memset(out, 0, sizeof(*out));
    out->transport = transport;
    strcpy(out->url, url); /* its length was checked */
    const enum pywatt_status status = transport->parse(url + len + 1, for_listening, out, error);
    if (status != PYWATT_OK) {
        char quoted[PW_WORDS_URL_MAX];
        pw_error_prefix(error, "%s", pw_words_url(url, quoted));
    }
    return status;
}

/* Copies the entry without the spaces around it; false if it is too long for a URL. */
static bool copy_entry(const char *begin, const char *end, char out[PW_ENDPOINT_URL_MAX])
{
    while (begin < end && *begin == ' ') {
        begin++;
    }
    while (begin < end && end[-1] == ' ') {
        end--;
    }
    const size_t len = (size_t)(end - begin);
    const bool fits = len < PW_ENDPOINT_URL_MAX;
    const size_t copied = fits ? len : PW_ENDPOINT_URL_MAX - 1;
    memcpy(out, begin, copied);
    out[copied] = '\0';
    return fits;
}

static enum pywatt_status parse_entry(const char *urls, size_t number, const char *begin,
                                      const char *end, struct pw_endpoint *out,
                                      struct pywatt_error *error)
{
    char entry[PW_ENDPOINT_URL_MAX];
    if (!copy_entry(begin, end, entry)) {
        return refuse(error, entry, "the URL is too long");
    }
    if (entry[0] == '\0') {
        char quoted[PW_WORDS_URL_MAX];
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "entry %zu of the list %s is empty",
                            number, pw_words_url(urls, quoted));
    }
    return pw_endpoint_parse(entry, false, out, error);
}

static size_t count_entries(const char *urls)
{
    size_t count = 1;
    for (const char *at = urls; *at != '\0'; at++) {
        count += *at == ',';
    }
    return count;
}

enum pywatt_status pw_endpoint_parse_list(const char *urls, struct pw_endpoint **out, size_t *count,
                                          struct pywatt_error *error)
{
    if (urls == NULL || urls[strspn(urls, " ")] == '\0') {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "no endpoint is given");
    }
    const size_t entries = count_entries(urls);
    if (entries > LIST_MAX) {
        return pw_error_set(error, PYWATT_LIMIT, "the list has %zu endpoints, at most are %d",
                            entries, LIST_MAX);
    }
    struct pw_endpoint *const list = calloc(entries, sizeof(*list));
    if (list == NULL) {
        return pw_error_no_memory(error);
    }
    const char *begin = urls;
    for (size_t i = 0; i < entries; i++) {
        const char *const end = begin + strcspn(begin, ",");
        const enum pywatt_status status = parse_entry(urls, i + 1, begin, end, &list[i], error);
        if (status != PYWATT_OK) {
            free(list);
            return status;
        }
        begin = end + 1;
    }
    *out = list;
    *count = entries;
    return PYWATT_OK;
}

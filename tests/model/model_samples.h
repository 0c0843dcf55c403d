/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * model_samples.h - texts of an exact length and filled objects for the tests of the model. Called
 * from the main thread of a test.
 */
#ifndef PW_MODEL_SAMPLES_H
#define PW_MODEL_SAMPLES_H

#include "pw_test.h"

#include <pywatt/model.h>

#include <stdio.h>
#include <string.h>

/* `len` letters and a NUL; lasts until four more were made. */
static inline const char *text_of(size_t len)
{
    static char texts[4][20000];
    static unsigned next;
    char *text = texts[next++ % 4];
    assert_in_range(len, 0, sizeof(texts[0]) - 1);
    memset(text, 'a', len);
    text[len] = '\0';
    return text;
}

/* A different text for each number; lasts until four more were made. */
static inline const char *numbered(const char *prefix, unsigned number)
{
    static char texts[4][64];
    static unsigned next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof(texts[0]), "%s%u", prefix, number);
    return text;
}

/* Texts that no setter takes, as they are no UTF-8. */
#define BAD_UTF8 \
    "abc\xff"    \
    "def"

static inline struct pywatt_module_info *sample_info(void)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new("sensor", "1.2.3", "reads things", &info), PYWATT_OK);
    const struct pywatt_uuid id = {{1, 2, 3}};
    assert_int_equal(pywatt_module_info_set_id(info, &id), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(info, "team", "red"), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(info, "site", "north"), PYWATT_OK);
    return info;
}

static inline struct pywatt_endpoint *sample_endpoint(void)
{
    struct pywatt_endpoint *endpoint = NULL;
    const char *methods[] = {"GET", "POST"};
    assert_int_equal(pywatt_endpoint_new("/status", methods, 2, &endpoint), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, "Bearer"), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_metadata(endpoint, "rate", "10/s"), PYWATT_OK);
    return endpoint;
}

static inline struct pywatt_capabilities *sample_capabilities(void)
{
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    assert_non_null(capabilities);
    struct pywatt_endpoint *endpoint = sample_endpoint();
    assert_int_equal(pywatt_capabilities_add_endpoint(capabilities, endpoint), PYWATT_OK);
    pywatt_endpoint_free(endpoint);
    const char *methods[] = {"DELETE"};
    assert_int_equal(pywatt_capabilities_add_http_endpoint(capabilities, "/x", methods, 1),
                     PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "ping"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_add_message_type(capabilities, "pong"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "gpu", "true"), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_set_capability(capabilities, "sizes", "[1, 2]"),
                     PYWATT_OK);
    return capabilities;
}

#endif

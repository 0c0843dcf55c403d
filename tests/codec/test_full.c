/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The fullest capabilities that the model allows: in number, they always fit into a message of every
 * codec; in bytes, what a decoder has no memory for is refused with a text that says so. One thread.
 */
#include "pw_test.h"

#include "samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH_CODEC(codec)                                     \
    const struct pw_codec_ops *const *codec = pw_codec_all(); \
    *codec != NULL;                                           \
    codec++

/* ---- In number ---------------------------------------------------------------------------- */

static enum pywatt_status add_endpoint(struct pywatt_capabilities *to, size_t methods, size_t pairs)
{
    const char *list[PYWATT_METHODS_MAX] = {NULL};
    struct pywatt_endpoint *endpoint = NULL;
    for (size_t i = 0; i < methods; i++) {
        list[i] = "GET";
    }
    assert_int_equal(pywatt_endpoint_new("/", list, methods, &endpoint), PYWATT_OK);
    assert_int_equal(pywatt_endpoint_set_auth(endpoint, "x"), PYWATT_OK);
    for (size_t i = 0; i < pairs; i++) {
        char key[24];
        snprintf(key, sizeof(key), "%zu", i);
        assert_int_equal(pywatt_endpoint_set_metadata(endpoint, key, ""), PYWATT_OK);
    }
    const enum pywatt_status status = pywatt_capabilities_add_endpoint(to, endpoint);
    pywatt_endpoint_free(endpoint);
    return status;
}

/* An additional capability with `values` values in an array, which is one more. */
static enum pywatt_status add_array(struct pywatt_capabilities *to, size_t index, size_t values)
{
    static char text[PYWATT_JSON_VALUE_MAX + 1];
    char key[24];
    size_t len = 0;
    text[len++] = '[';
    for (size_t i = 0; i < values; i++) {
        text[len++] = '0';
        text[len++] = ',';
    }
    text[values == 0 ? len : len - 1] = ']';
    text[values == 0 ? len + 1 : len] = '\0';
    snprintf(key, sizeof(key), "%zu", index);
    return pywatt_capabilities_set_capability(to, key, text);
}

static void fill_with_methods(struct pywatt_capabilities *to)
{
    for (size_t i = 0; i < PYWATT_ENDPOINTS_MAX; i++) {
        assert_int_equal(add_endpoint(to, PYWATT_METHODS_MAX, 0), PYWATT_OK);
    }
    for (size_t i = 0; i < PYWATT_MESSAGE_TYPES_MAX; i++) {
        assert_int_equal(pywatt_capabilities_add_message_type(to, "t"), PYWATT_OK);
    }
}

static void fill_with_metadata(struct pywatt_capabilities *to)
{
    while (add_endpoint(to, 0, PYWATT_MAP_ITEMS_MAX) == PYWATT_OK) {
    }
}

static void fill_with_values(struct pywatt_capabilities *to)
{
    for (size_t i = 0; add_array(to, i, 8000) == PYWATT_OK; i++) {
    }
}

/* With what is left: values as large as will go. */
static void fill_the_rest(struct pywatt_capabilities *to)
{
    size_t index = 1000;
    for (size_t values = 4096; values > 0; values /= 2) {
        while (add_array(to, index, values) == PYWATT_OK) {
            index++;
        }
    }
    assert_int_equal(add_array(to, index, 1), PYWATT_LIMIT);
    assert_int_equal(add_endpoint(to, 1, 0), PYWATT_LIMIT);
}

static struct pw_span encode(const struct pw_codec_ops *codec, struct pywatt_capabilities *of)
{
    struct pw_request request;
    struct pw_buffer out;
    struct pywatt_error error = {.text = ""};
    pw_request_init(&request);
    pw_sample_request("capabilities", &request);
    pywatt_capabilities_free(request.capabilities);
    request.capabilities = of;
    pw_buffer_init(&out, (size_t)4 << 20);
    if (pw_codec_encode_request(codec, &request, &out, &error) != PYWATT_OK) {
        fail_msg("%s: %s", codec->name, error.text);
    }
    const struct pw_span bytes = pw_copy_bytes(pw_buffer_bytes(&out), pw_buffer_len(&out));
    pw_buffer_destroy(&out);
    request.capabilities = NULL;
    pw_request_clear(&request);
    return bytes;
}

static void as_many_as_the_model_allows_fit_into_a_message(void **state)
{
    (void)state;
    static void (*const fill[])(struct pywatt_capabilities *
                                to) = {fill_with_methods, fill_with_metadata, fill_with_values};
    for (size_t i = 0; i < sizeof(fill) / sizeof(fill[0]); i++) {
        struct pywatt_capabilities *full = pywatt_capabilities_new();
        fill[i](full);
        fill_the_rest(full);
        for (EACH_CODEC(codec)) {
            struct pw_reader reader;
            struct pw_span bytes = encode(*codec, full);
            pw_reader_init(&reader);
            if (pw_read_request(&reader, *codec, bytes) != PYWATT_OK) {
                fail_msg("%s, %zu bytes: %s", (*codec)->name, bytes.len, reader.error.text);
            }
            assert_true(pywatt_capabilities_equal(reader.request.capabilities, full));
            pw_reader_destroy(&reader);
            pw_free_bytes(bytes);
        }
        pywatt_capabilities_free(full);
    }
}

/* ---- In bytes ----------------------------------------------------------------------------- */

/* Values of four thousand characters until the message has nearly `size` bytes. */
static struct pywatt_capabilities *long_capabilities(size_t size)
{
    static char text[PYWATT_VALUE_MAX + 1];
    struct pywatt_capabilities *made = pywatt_capabilities_new();
    memset(text, 'x', PYWATT_VALUE_MAX);
    size_t left = size / (PYWATT_VALUE_MAX + 50);
    while (left > 0) {
        struct pywatt_endpoint *endpoint = NULL;
        assert_int_equal(pywatt_endpoint_new("/", NULL, 0, &endpoint), PYWATT_OK);
        for (size_t i = 0; i < PYWATT_MAP_ITEMS_MAX && left > 0; i++, left--) {
            char key[24];
            snprintf(key, sizeof(key), "%zu", i);
            assert_int_equal(pywatt_endpoint_set_metadata(endpoint, key, text), PYWATT_OK);
        }
        assert_int_equal(pywatt_capabilities_add_endpoint(made, endpoint), PYWATT_OK);
        pywatt_endpoint_free(endpoint);
    }
    return made;
}

/* If not, the error says how much memory it may take. */
static bool is_read(const struct pw_codec_ops *codec, struct pw_span bytes)
{
    char budget[32];
    struct pw_reader reader;
    pw_reader_init(&reader);
    const enum pywatt_status status = pw_read_request(&reader, codec, bytes);
    snprintf(budget, sizeof(budget), "%zu bytes of memory", PW_CODEC_ARENA_BUDGET);
    if (status != PYWATT_OK &&
        (status != PYWATT_LIMIT || strstr(reader.error.text, budget) == NULL)) {
        fail_msg("%s, %zu bytes: %s", codec->name, bytes.len, reader.error.text);
    }
    /* So that an orchestrator can say it to the one who asked. */
    assert_true(reader.recognised);
    pw_reader_destroy(&reader);
    return status == PYWATT_OK;
}

static void up_to_the_length_of_a_frame_they_are_read_or_refused_in_words(void **state)
{
    (void)state;
    const size_t max = pw_codec_default_limits.max_bytes;
    for (size_t size = max / 2; size < max; size += max / 16) {
        struct pywatt_capabilities *full = long_capabilities(size);
        for (EACH_CODEC(codec)) {
            struct pw_span bytes = encode(*codec, full);
            assert_in_range(bytes.len, size - max / 16, max);
            /* JSON is read where it lies; protobuf-c copies every text. */
            if (!is_read(*codec, bytes) &&
                (bytes.len < max / 8 * 7 || (*codec)->format_code < 16)) {
                fail_msg("%s, %zu bytes: refused", (*codec)->name, bytes.len);
            }
            pw_free_bytes(bytes);
        }
        pywatt_capabilities_free(full);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(as_many_as_the_model_allows_fit_into_a_message),
        cmocka_unit_test(up_to_the_length_of_a_frame_they_are_read_or_refused_in_words),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The golden payloads, which were made without the library: every message is written to exactly
 * those bytes, and read from them. One thread.
 */
#include "pw_test.h"

#include "samples.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct pw_span read_file(const char *codec, const char *kind, const char *name)
{
    char path[512];
    uint8_t bytes[8192];
    snprintf(path, sizeof(path), "%s/corpus/golden/%s/%s-%s", PW_TESTS_DIR, codec, kind, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("cannot read %s", path);
        return (struct pw_span){NULL, 0};
    }
    const size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_in_range(len, 1, sizeof(bytes) - 1);
    return pw_copy_bytes(bytes, len);
}

static void assert_same_bytes(const char *codec, const char *name, struct pw_span written,
                              struct pw_span golden)
{
    if (written.len != golden.len || memcmp(written.data, golden.data, golden.len) != 0) {
        print_error("written: %.*s\ngolden:  %.*s\n", (int)written.len, (const char *)written.data,
                    (int)golden.len, (const char *)golden.data);
        fail_msg("%s, %s: other bytes than the golden ones", codec, name);
    }
}

static void check_request(const struct pw_codec_ops *codec, const char *name)
{
    struct pw_span golden = read_file(codec->name, "request", name);
    struct pw_span written = pw_sample_request_bytes(codec, name);
    struct pw_request expected;
    struct pw_reader reader;
    assert_same_bytes(codec->name, name, written, golden);
    pw_request_init(&expected);
    pw_sample_request(name, &expected);
    pw_reader_init(&reader);
    if (pw_read_request(&reader, codec, golden) != PYWATT_OK) {
        fail_msg("%s cannot read request %s: %s", codec->name, name, reader.error.text);
    }
    assert_true(reader.recognised);
    if (!pw_same_request(&reader.request, &expected)) {
        fail_msg("%s reads another request %s", codec->name, name);
    }
    pw_reader_destroy(&reader);
    pw_request_clear(&expected);
    pw_free_bytes(written);
    pw_free_bytes(golden);
}

static void check_response(const struct pw_codec_ops *codec, const char *name)
{
    struct pw_span golden = read_file(codec->name, "reply", name);
    struct pw_span written = pw_sample_response_bytes(codec, name);
    struct pw_response expected;
    struct pw_reader reader;
    assert_same_bytes(codec->name, name, written, golden);
    pw_response_init(&expected);
    pw_sample_response(name, &expected);
    pw_reader_init(&reader);
    if (pw_read_response(&reader, codec, golden) != PYWATT_OK) {
        fail_msg("%s cannot read reply %s: %s", codec->name, name, reader.error.text);
    }
    if (!pw_same_response(&reader.response, &expected)) {
        fail_msg("%s reads another reply %s", codec->name, name);
    }
    pw_reader_destroy(&reader);
    pw_response_clear(&expected);
    pw_free_bytes(written);
    pw_free_bytes(golden);
}

static void writes_and_reads_every_golden_request(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_request *at = pw_sample_requests;
             pw_sample_fits(*codec, at->name); at++) {
            check_request(*codec, at->name);
        }
    }
}

static void writes_and_reads_every_golden_reply(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (const struct pw_sample_response *at = pw_sample_responses;
             pw_sample_fits(*codec, at->name); at++) {
            check_response(*codec, at->name);
        }
    }
}

/* A file without a sample would be golden for nobody. */
static void has_a_sample_for_every_golden_file(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        size_t samples = 0;
        for (const struct pw_sample_request *at = pw_sample_requests;
             pw_sample_fits(*codec, at->name); at++) {
            samples++;
        }
        for (const struct pw_sample_response *at = pw_sample_responses;
             pw_sample_fits(*codec, at->name); at++) {
            samples++;
        }
        char path[512];
        size_t files = 0;
        snprintf(path, sizeof(path), "%s/corpus/golden/%s", PW_TESTS_DIR, (*codec)->name);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
            files += entry->d_name[0] != '.';
        }
        closedir(dir);
        assert_int_equal(files, samples);
    }
}

/* Requests as they were captured from the SDKs, with the ids of the samples. */
static void writes_what_was_captured(void **state)
{
    (void)state;
    static const struct {
        const char *sample;
        const char *rust;
        const char *python;
    } captured[] = {
        {"register",
         "{\"request_type\":\"register\",\"module_info\":{\"name\":\"a\",\"version\":\"1\","
         "\"description\":\"d\"}}",
         "{\"request_type\": \"registration\", \"module_info\": {\"name\": \"a\", \"version\": "
         "\"1\", \"description\": \"d\", \"id\": null, \"metadata\": null}}"},
        {"heartbeat-details",
         "{\"request_type\":\"heartbeat\",\"module_id\":\"M\",\"token\":\"tok\",\"status\":"
         "\"Degraded\",\"details\":{\"k\":\"v\"}}",
         "{\"request_type\": \"heartbeat\", \"module_id\": \"M\", \"token\": \"tok\", \"status\": "
         "\"degraded\", \"details\": {\"k\": \"v\"}}"},
        {"heartbeat",
         "{\"request_type\":\"heartbeat\",\"module_id\":\"M\",\"token\":\"tok\",\"status\":"
         "\"Healthy\"}",
         "{\"request_type\": \"heartbeat\", \"module_id\": \"M\", \"token\": \"tok\", \"status\": "
         "\"healthy\", \"details\": null}"},
        {"capabilities",
         "{\"request_type\":\"capabilities\",\"module_id\":\"M\",\"token\":\"tok\","
         "\"capabilities\":{\"endpoints\":[{\"path\":\"/x\",\"methods\":[\"GET\"]}]}}",
         "{\"request_type\": \"capabilities\", \"module_id\": \"M\", \"token\": \"tok\", "
         "\"capabilities\": {\"endpoints\": [{\"path\": \"/x\", \"methods\": [\"GET\"], \"auth\": "
         "null, \"metadata\": null}], \"message_types\": null, \"additional_capabilities\": "
         "null}}"},
        {"unregister", "{\"request_type\":\"unregister\",\"module_id\":\"M\",\"token\":\"tok\"}",
         "{\"request_type\": \"unregistration\", \"module_id\": \"M\", \"token\": \"tok\"}"},
    };
    static const char request_id[] = "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34";
    static const char module_id[] = "a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90";
    for (size_t i = 0; i < sizeof(captured) / sizeof(captured[0]); i++) {
        for (int python = 0; python < 2; python++) {
            char content[512];
            char expected[1024];
            const char *form = python ? captured[i].python : captured[i].rust;
            const char *gap = strstr(form, "\"M\"");
            const int before = gap == NULL ? (int)strlen(form) : (int)(gap - form) + 1;
            snprintf(content, sizeof(content), "%.*s%s%s", before, form,
                     gap == NULL ? "" : module_id, gap == NULL ? "" : gap + 2);
            if (python) {
                snprintf(expected, sizeof(expected),
                         "{\"id\": \"%s\", \"content\": %s, \"metadata\": {\"id\": null, "
                         "\"timestamp\": null, \"source\": null, \"destination\": null, "
                         "\"properties\": null}}",
                         request_id, content);
            } else {
                snprintf(expected, sizeof(expected),
                         "{\"id\":\"6e%s\",\"content\":%s,\"metadata\":{\"id\":\"%s\"}}",
                         request_id + 2, content, request_id);
            }
            const struct pw_codec_ops *codec =
                pw_codec_by_frame(python ? 0 : 1, (struct pw_span){(const uint8_t *)"{", 1});
            struct pw_span written = pw_sample_request_bytes(codec, captured[i].sample);
            assert_same_bytes(codec->name, captured[i].sample, written,
                              (struct pw_span){(const uint8_t *)expected, strlen(expected)});
            pw_free_bytes(written);
        }
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(writes_and_reads_every_golden_request),
        cmocka_unit_test(writes_and_reads_every_golden_reply),
        cmocka_unit_test(has_a_sample_for_every_golden_file),
        cmocka_unit_test(writes_what_was_captured),
    };
    return PW_TEST_RUN(cases);
}

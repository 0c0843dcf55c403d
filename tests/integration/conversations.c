/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every conversation of tests/corpus/conversations is a case of its own, named after its file; and
 * the language that they are written in notices when something else is said.
 */
#include "conversation.h"
#include "placeholders.h"
#include "pw_test.h"
#include "sdk_rules.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER PW_TESTS_DIR "/corpus/conversations"

enum {
    FILES_MAX = 64
};

static bool same(struct bindings *bindings, const char *pattern, const char *text)
{
    size_t agreed;
    return bindings_match(bindings, pattern, (const uint8_t *)text, strlen(text), &agreed);
}

static void names_stand_for_one_value(void **state)
{
    (void)state;
    struct bindings bindings = {.count = 0};
    assert_true(same(&bindings, "a ${id} b", "a 6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34 b"));
    assert_true(same(&bindings, "${id}", "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34"));
    assert_false(same(&bindings, "${id}", "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e35"));
    assert_false(same(&bindings, "${uuid1}", "6F1D3C1E-52A7-4D0B-9B60-0C6F5A1D2E34"));
    assert_false(same(&bindings, "${uuid1}", "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34 "));
    assert_false(same(&bindings, "${uuid1}!", "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34?"));
    /* Two names never stand for the same. */
    assert_false(same(&bindings, "${uuid1}", "6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34"));
    assert_true(same(&bindings, "${uuid1}", "00000000-52a7-4d0b-9b60-0c6f5a1d2e34"));
    assert_false(same(&bindings, "${token}", "short"));
    assert_true(same(&bindings, "\\x00\\xfe", "") == false);
    assert_false(same(&bindings, "", "x"));
    assert_false(same(&bindings, "xy", "x"));
    assert_false(same(&bindings, "${other}", "x"));
}

static const char *rust_fault(const char *text)
{
    return rust_sdk_stumbles_over((struct pw_span){(const uint8_t *)text, strlen(text)});
}

static const char *python_fault(const char *text)
{
    return python_sdk_stumbles_over((struct pw_span){(const uint8_t *)text, strlen(text)});
}

static void rules_of_the_sdks_find_what_is_missing(void **state)
{
    (void)state;
    const char *const good = "{\"response_type\":\"heartbeat\",\"success\":true,\"status\":"
                             "\"Healthy\",\"context\":{\"a\":\"b\"},\"more\":[]}";
    assert_null(rust_fault(good));
    assert_string_equal(rust_fault("{\"response_type\":\"heartbeat\",\"success\":false}"),
                        "status");
    assert_string_equal(rust_fault("{\"response_type\":\"heartbeat\",\"success\":true,\"status\":"
                                   "\"healthy\"}"),
                        "status");
    assert_string_equal(rust_fault("{\"response_type\":\"beat\",\"success\":true}"),
                        "response_type");
    assert_string_equal(rust_fault("{\"response_type\":\"register\",\"success\":1}"), "success");
    assert_string_equal(rust_fault("{\"response_type\":\"register\",\"success\":true}"), "module");
    assert_string_equal(
        rust_fault(
            "{\"response_type\":\"register\",\"success\":true,\"module\":{\"info\":{\"name\":"
            "\"a\",\"version\":\"1\",\"description\":\"d\"},\"id\":\"6f1d3c1e-52a7-4d0b-9b60-"
            "0c6f5a1d2e34\",\"token\":\"t\",\"orchestrator_host\":\"localhost\"}}"),
        "module.orchestrator_host");
    assert_string_equal(python_fault(good), "id");
    assert_string_equal(python_fault("{\"id\":\"1\",\"content\":{},\"metadata\":null}"),
                        "metadata");
    assert_string_equal(python_fault("{\"id\":\"1\",\"metadata\":{},\"content\":{\"response_type\":"
                                     "\"register\",\"success\":true}}"),
                        "response_type");
}

/* ---- The files -------------------------------------------------------------------------------- */

static void plays(void **state)
{
    conversation_play(*state);
}

static int is_conversation(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".txt") == 0;
}

int main(void)
{
    const struct CMUnitTest itself[] = {
        cmocka_unit_test(names_stand_for_one_value),
        cmocka_unit_test(rules_of_the_sdks_find_what_is_missing),
    };
    static char paths[FILES_MAX][512];
    struct CMUnitTest cases[FILES_MAX] = {{.name = NULL}};
    struct dirent **entries = NULL;
    const int count = scandir(FOLDER, &entries, is_conversation, alphasort);
    if (count < 10 || count > FILES_MAX) {
        fprintf(stderr, "%d conversations in %s\n", count, FOLDER);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", FOLDER, entries[i]->d_name);
        cases[i].name = strrchr(paths[i], '/') + 1;
        cases[i].test_func = plays;
        cases[i].initial_state = paths[i];
        free(entries[i]);
    }
    free(entries);
    const int failed = PW_TEST_RUN(itself);
    return pw_test_run("conversations", cases, (size_t)count, NULL, NULL) + failed;
}

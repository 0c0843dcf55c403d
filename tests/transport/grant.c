/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which module names a grant allows. */
#include "transport/grant.h"

#include <malloc_fail.h>
#include <pw_test.h>

static struct pw_grant *grant_of(const char *a, const char *b)
{
    const struct pw_str patterns[] = {pw_str_from(a), pw_str_from(b)};
    struct pw_grant *grant = NULL;
    assert_int_equal(pw_grant_new(patterns, b == NULL ? 1 : 2, &grant), PYWATT_OK);
    return grant;
}

static void allows_what_it_names_byte_by_byte(void **state)
{
    (void)state;
    struct pw_grant *const grant = grant_of("camera", "Messung 7");
    assert_true(pw_grant_allows(grant, "camera"));
    assert_true(pw_grant_allows(grant, "Messung 7"));
    static const char *const others[] = {"",        "camer",   "cameras",   "Camera",
                                         "camera ", "Messung", "messung 7", "x.camera"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(pw_grant_allows(grant, others[i]));
    }
    pw_grant_release(grant);
}

static void a_star_stands_for_all_that_ends_so_and_is_longer(void **state)
{
    (void)state;
    struct pw_grant *const grant = grant_of("*.floor2.example", NULL);
    assert_true(pw_grant_allows(grant, "a.floor2.example"));
    assert_true(pw_grant_allows(grant, "a.b.floor2.example"));
    static const char *const others[] = {"floor2.example",
                                         ".floor2.example",
                                         "xfloor2.example",
                                         "a.floor2.example.",
                                         "a.floor3.example",
                                         "*",
                                         ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(pw_grant_allows(grant, others[i]));
    }
    pw_grant_release(grant);
}

static void a_star_elsewhere_is_a_star(void **state)
{
    (void)state;
    static const char *const stars[] = {"*", "*.", "a*b", "**.x", "*x"};
    for (size_t i = 0; i < sizeof(stars) / sizeof(stars[0]); i++) {
        struct pw_grant *const grant = grant_of(stars[i], NULL);
        assert_true(pw_grant_allows(grant, stars[i]));
        assert_false(pw_grant_allows(grant, "a"));
        assert_false(pw_grant_allows(grant, "a.b"));
        assert_false(pw_grant_allows(grant, "a.x"));
        pw_grant_release(grant);
    }
}

static void a_star_at_the_end_stands_for_all_that_begins_so(void **state)
{
    (void)state;
    struct pw_grant *const grant = grant_of("cam-*", "*.b*");
    static const char *const good[] = {"cam-", "cam-7", "cam-*", "cam-a.b", "a.b*"};
    static const char *const bad[] = {"cam", "Cam-7", "acam-7", "", "a.b", "a.bc"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(pw_grant_allows(grant, good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(pw_grant_allows(grant, bad[i]));
    }
    pw_grant_release(grant);
}

static void no_pattern_allows_nothing_and_no_grant_everything(void **state)
{
    (void)state;
    struct pw_grant *grant = NULL;
    assert_int_equal(pw_grant_new(NULL, 0, &grant), PYWATT_OK);
    assert_false(pw_grant_allows(grant, "a"));
    assert_false(pw_grant_allows(grant, ""));
    assert_true(pw_grant_allows(NULL, "a"));
    pw_grant_release(grant);
}

static void lives_until_its_last_reference_is_gone(void **state)
{
    (void)state;
    struct pw_grant *const grant = grant_of("a", "b");
    assert_ptr_equal(pw_grant_acquire(grant), grant);
    pw_grant_release(grant);
    assert_true(pw_grant_allows(grant, "b"));
    pw_grant_release(grant);
    assert_null(pw_grant_acquire(NULL));
    pw_grant_release(NULL);
}

static void says_when_memory_is_out(void **state)
{
    (void)state;
    const struct pw_str pattern = PW_STR_LITERAL("a");
    struct pw_grant *grant = NULL;
    pw_malloc_fail_at(1);
    const enum pywatt_status status = pw_grant_new(&pattern, 1, &grant);
    assert_true(pw_malloc_fail_disarm());
    assert_int_equal(status, PYWATT_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(allows_what_it_names_byte_by_byte),
        cmocka_unit_test(a_star_stands_for_all_that_ends_so_and_is_longer),
        cmocka_unit_test(a_star_at_the_end_stands_for_all_that_begins_so),
        cmocka_unit_test(a_star_elsewhere_is_a_star),
        cmocka_unit_test(no_pattern_allows_nothing_and_no_grant_everything),
        cmocka_unit_test(lives_until_its_last_reference_is_gone),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return pw_test_run("grant", cases, sizeof(cases) / sizeof(cases[0]), NULL, NULL);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The string map: order, bounds, replacing, its own texts as arguments, memory. One thread.
 */
#include "malloc_fail.h"
#include "model/string_map.h"
#include "model_samples.h"

#include <stdlib.h>

#define COUNT_ONLY ((unsigned long)-1)

static void assert_pair(const struct pywatt_string_map *map, size_t index, const char *key,
                        const char *value)
{
    const char *found_key = NULL;
    const char *found_value = NULL;
    assert_true(pywatt_string_map_at(map, index, &found_key, &found_value));
    assert_string_equal(found_key, key);
    assert_string_equal(found_value, value);
    assert_string_equal(pywatt_string_map_get(map, key), value);
}

static void set(struct pywatt_string_map *map, const char *key, const char *value)
{
    assert_int_equal(pywatt_string_map_set(map, key, value), PYWATT_OK);
}

static void keeps_pairs_in_the_order_of_first_setting(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    set(map, "b", "1");
    set(map, "a", "2");
    set(map, "", "empty key");
    set(map, "empty value", "");
    set(map, "b", "a value that is longer than the first");
    assert_int_equal(pywatt_string_map_count(map), 4);
    assert_pair(map, 0, "b", "a value that is longer than the first");
    assert_pair(map, 1, "a", "2");
    assert_pair(map, 2, "", "empty key");
    assert_pair(map, 3, "empty value", "");
    assert_null(pywatt_string_map_get(map, "c"));
    assert_null(pywatt_string_map_get(map, "B"));
    pywatt_string_map_free(map);
}

static void gives_nothing_beyond_its_end(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    set(map, "k", "v");
    const char *key = "untouched";
    const char *value = "untouched";
    assert_false(pywatt_string_map_at(map, 1, &key, &value));
    assert_false(pywatt_string_map_at(map, SIZE_MAX, &key, &value));
    assert_false(pywatt_string_map_at(NULL, 0, &key, &value));
    assert_string_equal(key, "untouched");
    assert_string_equal(value, "untouched");
    assert_true(pywatt_string_map_at(map, 0, NULL, NULL));
    pywatt_string_map_free(map);
}

static void accepts_its_bounds_and_refuses_a_byte_more(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    set(map, text_of(PYWATT_KEY_MAX), text_of(PYWATT_VALUE_MAX));
    assert_int_equal(pywatt_string_map_set(map, text_of(PYWATT_KEY_MAX + 1), "v"), PYWATT_LIMIT);
    assert_int_equal(pywatt_string_map_set(map, "k", text_of(PYWATT_VALUE_MAX + 1)), PYWATT_LIMIT);
    assert_int_equal(
        pywatt_string_map_set(map, text_of(PYWATT_KEY_MAX), text_of(PYWATT_VALUE_MAX + 1)),
        PYWATT_LIMIT);
    assert_int_equal(pywatt_string_map_count(map), 1);
    assert_pair(map, 0, text_of(PYWATT_KEY_MAX), text_of(PYWATT_VALUE_MAX));
    pywatt_string_map_free(map);
}

static void holds_as_many_keys_as_its_bound(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    for (unsigned i = 0; i < PYWATT_MAP_ITEMS_MAX; i++) {
        set(map, numbered("key", i), numbered("value", i));
    }
    assert_int_equal(pywatt_string_map_set(map, "one more", "v"), PYWATT_LIMIT);
    assert_int_equal(pywatt_string_map_count(map), PYWATT_MAP_ITEMS_MAX);
    set(map, "key5", "a key that is there may still be set");
    pywatt_string_map_remove(map, "key7");
    set(map, "one more", "v");
    assert_int_equal(pywatt_string_map_set(map, "two more", "v"), PYWATT_LIMIT);
    assert_pair(map, 5, "key5", "a key that is there may still be set");
    assert_pair(map, 7, "key8", "value8");
    assert_pair(map, 127, "one more", "v");
    pywatt_string_map_free(map);
}

static void holds_its_largest_content(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < PYWATT_MAP_ITEMS_MAX; i++) {
            char key[PYWATT_KEY_MAX + 1];
            memset(key, 'k', sizeof(key));
            key[i] = '#';
            key[PYWATT_KEY_MAX] = '\0';
            set(map, key, text_of(PYWATT_VALUE_MAX - (i + (unsigned)round) % 2));
        }
    }
    const size_t content = PYWATT_MAP_ITEMS_MAX * (PYWATT_KEY_MAX + PYWATT_VALUE_MAX + 2);
    assert_in_range(pw_string_map_footprint(map), content - 200, 3 * content);
    pywatt_string_map_free(map);
}

static void refuses_what_is_no_text(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    set(map, "k", "v");
    assert_int_equal(pywatt_string_map_set(NULL, "k", "v"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_string_map_set(map, NULL, "v"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_string_map_set(map, "k", NULL), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_string_map_set(map, BAD_UTF8, "v"), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_string_map_set(map, "k", BAD_UTF8), PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pw_string_map_set(map, PW_STR_LITERAL("a\0b"), PW_STR_LITERAL("v")),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pw_string_map_set(map, PW_STR_LITERAL("k"), PW_STR_LITERAL("a\0b")),
                     PYWATT_INVALID_ARGUMENT);
    assert_int_equal(pywatt_string_map_count(map), 1);
    assert_pair(map, 0, "k", "v");
    pywatt_string_map_free(map);
}

static void takes_null_where_there_is_nothing_to_do(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    pywatt_string_map_free(NULL);
    pywatt_string_map_clear(NULL);
    pywatt_string_map_remove(NULL, "k");
    pywatt_string_map_remove(map, NULL);
    assert_null(pywatt_string_map_get(NULL, "k"));
    assert_null(pywatt_string_map_get(map, NULL));
    assert_int_equal(pywatt_string_map_count(NULL), 0);
    assert_int_equal(pw_string_map_footprint(NULL), 0);
    pywatt_string_map_free(map);
}

static void removes_a_key_and_keeps_the_order_of_the_others(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    for (unsigned i = 0; i < 5; i++) {
        set(map, numbered("k", i), numbered("v", i));
    }
    pywatt_string_map_remove(map, "k2");
    pywatt_string_map_remove(map, "k2");
    pywatt_string_map_remove(map, "nothing");
    pywatt_string_map_remove(map, "k4");
    assert_int_equal(pywatt_string_map_count(map), 3);
    assert_pair(map, 0, "k0", "v0");
    assert_pair(map, 1, "k1", "v1");
    assert_pair(map, 2, "k3", "v3");
    assert_null(pywatt_string_map_get(map, "k2"));
    set(map, "k2", "again");
    assert_pair(map, 3, "k2", "again");
    pywatt_string_map_free(map);
}

static void a_removed_secret_does_not_stay_in_memory(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    set(map, "token", "a very secret text");
    const char *secret = pywatt_string_map_get(map, "token");
    pywatt_string_map_remove(map, "token");
    for (size_t i = 0; i < 18; i++) {
        assert_int_equal(secret[i], 0);
    }
    pywatt_string_map_free(map);
}

static void replaces_values_of_any_length(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    set(map, "before", "b");
    set(map, "after", "a");
    const size_t lengths[] = {0, 1, 50, 49, 50, 0, 51, 4096, 4095, 1, 4096, 7, 4096};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        set(map, "before", text_of(lengths[i]));
        assert_pair(map, 0, "before", text_of(lengths[i]));
        assert_pair(map, 1, "after", "a");
    }
    pywatt_string_map_free(map);
}

static void may_be_given_its_own_texts(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    set(map, "first", "some text that is long enough to make the map grow soon");
    for (unsigned i = 0; i < 100; i++) {
        set(map, numbered("copy", i), pywatt_string_map_get(map, "first"));
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_pair(map, i + 1, numbered("copy", i), pywatt_string_map_get(map, "first"));
    }
    /* The tail of a value over the value itself, and a value under its own name. */
    set(map, "first", pywatt_string_map_get(map, "first") + 5);
    assert_pair(map, 0, "first", "text that is long enough to make the map grow soon");
    set(map, pywatt_string_map_get(map, "first"), pywatt_string_map_get(map, "first"));
    assert_pair(map, 101, pywatt_string_map_get(map, "first"), pywatt_string_map_get(map, "first"));
    pywatt_string_map_free(map);
}

static void refilling_allocates_nothing(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    for (int round = 0; round < 20; round++) {
        if (round == 1) {
            pw_malloc_fail_at(COUNT_ONLY);
        }
        pywatt_string_map_clear(map);
        assert_int_equal(pywatt_string_map_count(map), 0);
        assert_null(pywatt_string_map_get(map, "k1"));
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(pywatt_string_map_set(map, numbered("k", i), text_of(i * 10)),
                             PYWATT_OK);
        }
    }
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
    pywatt_string_map_free(map);
}

static void growing_takes_few_allocations(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    pw_malloc_fail_at(COUNT_ONLY);
    for (unsigned i = 0; i < PYWATT_MAP_ITEMS_MAX; i++) {
        set(map, numbered("k", i), text_of(40));
    }
    pw_malloc_fail_disarm();
    assert_in_range(pw_malloc_fail_count(), 1, 20);
    /* Nearly full of what is alive, values that move still do not close the holes each time. */
    pw_malloc_fail_at(COUNT_ONLY);
    for (unsigned i = 0; i < PYWATT_MAP_ITEMS_MAX; i++) {
        set(map, numbered("k", i), text_of(42));
    }
    pw_malloc_fail_disarm();
    assert_in_range(pw_malloc_fail_count(), 0, 5);
    pywatt_string_map_free(map);
}

static void replacing_with_lengths_that_come_again_allocates_nothing(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    for (unsigned round = 0; round < 200; round++) {
        if (round == 20) {
            pw_malloc_fail_at(COUNT_ONLY);
        }
        set(map, "load", text_of(round % 7));
        set(map, "queue", text_of((round * 5) % 11u));
    }
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
    pywatt_string_map_free(map);
}

static void holes_do_not_make_it_grow_for_ever(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    for (unsigned round = 0; round < 3000; round++) {
        const unsigned key = round % 10;
        pywatt_string_map_remove(map, numbered("k", key));
        set(map, numbered("k", key), text_of(100));
    }
    assert_int_equal(pywatt_string_map_count(map), 10);
    for (size_t i = 0; i < 10; i++) {
        assert_pair(map, i, numbered("k", (unsigned)i), text_of(100));
    }
    assert_in_range(pw_string_map_footprint(map), 1000, 4000);
    pywatt_string_map_free(map);
}

static void equal_maps_have_the_same_pairs_in_any_order(void **state)
{
    (void)state;
    struct pywatt_string_map *a = pywatt_string_map_new();
    struct pywatt_string_map *b = pywatt_string_map_new();
    assert_true(pywatt_string_map_equal(a, b));
    assert_true(pywatt_string_map_equal(NULL, b));
    assert_true(pywatt_string_map_equal(a, NULL));
    assert_true(pywatt_string_map_equal(NULL, NULL));
    set(a, "1", "x");
    assert_false(pywatt_string_map_equal(a, b));
    assert_false(pywatt_string_map_equal(a, NULL));
    assert_false(pywatt_string_map_equal(NULL, a));
    set(a, "2", "y");
    set(b, "2", "y");
    set(b, "1", "z");
    assert_false(pywatt_string_map_equal(a, b));
    set(b, "1", "x");
    assert_true(pywatt_string_map_equal(a, b));
    set(b, "2", "Y");
    assert_false(pywatt_string_map_equal(a, b));
    assert_false(pywatt_string_map_equal(b, a));
    set(b, "2", "y");
    pywatt_string_map_remove(b, "1");
    set(b, "3", "x");
    assert_false(pywatt_string_map_equal(a, b));
    pywatt_string_map_free(a);
    pywatt_string_map_free(b);
}

static void a_copy_is_deep_and_exact(void **state)
{
    (void)state;
    struct pywatt_string_map *map = pywatt_string_map_new();
    struct pywatt_string_map *copy = (struct pywatt_string_map *)map;
    assert_int_equal(pw_string_map_copy(NULL, &copy), PYWATT_OK);
    assert_null(copy);
    assert_int_equal(pw_string_map_copy(map, &copy), PYWATT_OK);
    assert_null(copy);
    for (unsigned i = 0; i < 30; i++) {
        set(map, numbered("k", i), numbered("v", i));
    }
    set(map, "k3", "longer than it was");
    pywatt_string_map_remove(map, "k9");
    assert_int_equal(pw_string_map_copy(map, &copy), PYWATT_OK);
    assert_true(pywatt_string_map_equal(map, copy));
    assert_pair(copy, 3, "k3", "longer than it was");
    assert_true(pw_string_map_footprint(copy) < pw_string_map_footprint(map));
    set(copy, "k0", "changed");
    set(copy, "new", "changed");
    assert_pair(map, 0, "k0", "v0");
    pywatt_string_map_free(map);
    assert_pair(copy, 0, "k0", "changed");
    pywatt_string_map_free(copy);
}

static void assign_makes_it_the_same_and_reuses_its_memory(void **state)
{
    (void)state;
    struct pywatt_string_map *to = pywatt_string_map_new();
    struct pywatt_string_map *from = pywatt_string_map_new();
    set(to, "old", "gone");
    for (unsigned i = 0; i < 10; i++) {
        set(from, numbered("k", i), text_of(i * 5));
    }
    assert_int_equal(pw_string_map_assign(to, from), PYWATT_OK);
    assert_true(pywatt_string_map_equal(to, from));
    assert_null(pywatt_string_map_get(to, "old"));
    pw_malloc_fail_at(COUNT_ONLY);
    set(from, "k9", "short");
    assert_int_equal(pw_string_map_assign(to, from), PYWATT_OK);
    assert_int_equal(pw_string_map_assign(to, to), PYWATT_OK);
    assert_true(pywatt_string_map_equal(to, from));
    assert_int_equal(pw_string_map_assign(to, NULL), PYWATT_OK);
    assert_int_equal(pywatt_string_map_count(to), 0);
    assert_int_equal(pw_string_map_assign(to, from), PYWATT_OK);
    pywatt_string_map_clear(from);
    assert_int_equal(pw_string_map_assign(to, from), PYWATT_OK);
    assert_int_equal(pywatt_string_map_count(to), 0);
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
    pywatt_string_map_free(to);
    pywatt_string_map_free(from);
}

static void put_makes_the_map_only_if_the_pair_is_taken(void **state)
{
    (void)state;
    struct pywatt_string_map *map = NULL;
    assert_int_equal(pw_string_map_put(&map, PW_STR_LITERAL("k"), PW_STR_LITERAL("\xff")),
                     PYWATT_INVALID_ARGUMENT);
    assert_null(map);
    assert_int_equal(pw_string_map_put(&map, PW_STR_LITERAL("k"), PW_STR_LITERAL("v")), PYWATT_OK);
    assert_int_equal(pw_string_map_put(&map, PW_STR_LITERAL("l"), PW_STR_LITERAL("w")), PYWATT_OK);
    assert_pair(map, 0, "k", "v");
    assert_pair(map, 1, "l", "w");
    pywatt_string_map_free(map);
}

/* A copy takes what the pairs take, whatever was done to the map before. */
static void assert_copy_is_exact(const struct pywatt_string_map *map)
{
    struct pywatt_string_map *copy = NULL;
    struct pywatt_string_map *fresh = pywatt_string_map_new();
    struct pywatt_string_map *fresh_copy = NULL;
    const char *key = NULL;
    const char *value = NULL;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        set(fresh, key, value);
    }
    assert_int_equal(pw_string_map_copy(map, &copy), PYWATT_OK);
    assert_int_equal(pw_string_map_copy(fresh, &fresh_copy), PYWATT_OK);
    assert_true(pywatt_string_map_equal(copy, fresh_copy));
    assert_int_equal(pw_string_map_footprint(copy), pw_string_map_footprint(fresh_copy));
    pywatt_string_map_free(copy);
    pywatt_string_map_free(fresh);
    pywatt_string_map_free(fresh_copy);
}

/* Some thousand steps chosen by a seeded generator, each compared with an array of pairs. */
static void behaves_as_a_plain_list_of_pairs(void **state)
{
    (void)state;
    enum {
        KEYS = 24
    };
    struct pywatt_string_map *map = pywatt_string_map_new();
    char expected[KEYS][300] = {""};
    bool present[KEYS] = {false};
    uint32_t random = 99;
    for (int step = 0; step < 5000; step++) {
        random = random * 1664525u + 1013904223u;
        const unsigned key = (random >> 8) % KEYS;
        const unsigned action = random >> 28;
        if (action < 11) {
            snprintf(expected[key], sizeof(expected[key]), "%.*s%d", (int)((random >> 16) % 200),
                     text_of(200), step);
            present[key] = true;
            set(map, numbered("k", key), expected[key]);
        } else if (action < 15) {
            present[key] = false;
            pywatt_string_map_remove(map, numbered("k", key));
        } else if (random % 5 == 0) {
            memset(present, 0, sizeof(present));
            pywatt_string_map_clear(map);
        }
        size_t count = 0;
        for (unsigned i = 0; i < KEYS; i++) {
            const char *value = pywatt_string_map_get(map, numbered("k", i));
            if (present[i] ? value == NULL || strcmp(value, expected[i]) != 0 : value != NULL) {
                fail_msg("key %u differs after step %d", i, step);
            }
            count += present[i];
        }
        assert_int_equal(pywatt_string_map_count(map), count);
        if (step % 10 == 0) {
            assert_copy_is_exact(map);
        }
    }
    pywatt_string_map_free(map);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(keeps_pairs_in_the_order_of_first_setting),
        cmocka_unit_test(gives_nothing_beyond_its_end),
        cmocka_unit_test(accepts_its_bounds_and_refuses_a_byte_more),
        cmocka_unit_test(holds_as_many_keys_as_its_bound),
        cmocka_unit_test(holds_its_largest_content),
        cmocka_unit_test(refuses_what_is_no_text),
        cmocka_unit_test(takes_null_where_there_is_nothing_to_do),
        cmocka_unit_test(removes_a_key_and_keeps_the_order_of_the_others),
        cmocka_unit_test(a_removed_secret_does_not_stay_in_memory),
        cmocka_unit_test(replaces_values_of_any_length),
        cmocka_unit_test(may_be_given_its_own_texts),
        cmocka_unit_test(refilling_allocates_nothing),
        cmocka_unit_test(growing_takes_few_allocations),
        cmocka_unit_test(replacing_with_lengths_that_come_again_allocates_nothing),
        cmocka_unit_test(holes_do_not_make_it_grow_for_ever),
        cmocka_unit_test(equal_maps_have_the_same_pairs_in_any_order),
        cmocka_unit_test(a_copy_is_deep_and_exact),
        cmocka_unit_test(assign_makes_it_the_same_and_reuses_its_memory),
        cmocka_unit_test(put_makes_the_map_only_if_the_pair_is_taken),
        cmocka_unit_test(behaves_as_a_plain_list_of_pairs),
    };
    return PW_TEST_RUN(cases);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Views, big-endian numbers and the list whose links stand in the items. One thread.
 */
#include "pw_test.h"

#include "base/bytes.h"
#include "base/list.h"

static void compares_views_by_length_and_content(void **state)
{
    (void)state;
    assert_true(pw_str_equal(PW_STR_LITERAL("abc"), pw_str_from("abc")));
    assert_false(pw_str_equal(PW_STR_LITERAL("abc"), pw_str_from("abd")));
    assert_false(pw_str_equal(PW_STR_LITERAL("abc"), pw_str_from("ab")));
    assert_true(pw_str_equal(pw_str_from(NULL), pw_str_from("")));
    assert_true(pw_str_equal((struct pw_str){"a\0b", 3}, (struct pw_str){"a\0b", 3}));
    assert_false(pw_str_equal((struct pw_str){"a\0b", 3}, (struct pw_str){"a\0c", 3}));
}

static void stores_numbers_in_network_order(void **state)
{
    (void)state;
    uint8_t bytes[4];
    pw_store_be32(bytes, 0x01020384);
    assert_memory_equal(bytes, "\x01\x02\x03\x84", 4);
    assert_int_equal(pw_load_be32(bytes), 0x01020384);
    assert_int_equal(pw_load_be32((const uint8_t *)"\xff\xff\xff\xff"), 0xffffffff);
}

struct item {
    int number;
    struct pw_list link;
};

static int pop(struct pw_list *list)
{
    struct pw_list *first = pw_list_pop(list);
    return first == NULL ? -1 : PW_CONTAINER_OF(first, struct item, link)->number;
}

static void list_keeps_the_order_of_appending(void **state)
{
    (void)state;
    struct pw_list list;
    pw_list_init(&list);
    assert_true(pw_list_empty(&list));
    struct item items[3];
    for (int i = 0; i < 3; i++) {
        items[i].number = i;
        pw_list_init(&items[i].link);
        assert_false(pw_list_linked(&items[i].link));
        pw_list_append(&list, &items[i].link);
        assert_true(pw_list_linked(&items[i].link));
    }
    pw_list_remove(&items[1].link);
    assert_false(pw_list_linked(&items[1].link));
    pw_list_remove(&items[1].link);
    assert_int_equal(pop(&list), 0);
    assert_int_equal(pop(&list), 2);
    assert_int_equal(pop(&list), -1);
}

static void splice_moves_everything_to_the_end(void **state)
{
    (void)state;
    struct pw_list to;
    struct pw_list from;
    pw_list_init(&to);
    pw_list_init(&from);
    pw_list_splice(&to, &from);
    assert_true(pw_list_empty(&to));
    struct item items[4];
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        pw_list_append(i < 2 ? &to : &from, &items[i].link);
    }
    pw_list_splice(&to, &from);
    assert_true(pw_list_empty(&from));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pop(&to), i);
    }
    assert_true(pw_list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(compares_views_by_length_and_content),
        cmocka_unit_test(stores_numbers_in_network_order),
        cmocka_unit_test(list_keeps_the_order_of_appending),
        cmocka_unit_test(splice_moves_everything_to_the_end),
    };
    return PW_TEST_RUN(cases);
}

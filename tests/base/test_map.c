/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The hash map: finding, colliding, growing, walking, and no memory to grow. One thread.
 */
#include "pw_test.h"

#include "base/map.h"
#include "malloc_fail.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_ONLY ((unsigned long)-1)

struct item {
    struct pw_map_node node;
    unsigned number;
    unsigned visits;
};

static struct item *find(const struct pw_map *map, uint64_t hash, unsigned number)
{
    struct pw_map_node *node = pw_map_first(map, hash);
    for (; node != NULL; node = pw_map_next(node)) {
        struct item *item = PW_CONTAINER_OF(node, struct item, node);
        if (item->number == number) {
            return item;
        }
    }
    return NULL;
}

static void insert_all(struct pw_map *map, struct item *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        items[i].number = i;
        assert_int_equal(pw_map_insert(map, &items[i].node, pw_hash_u64(i)), PYWATT_OK);
    }
}

static void an_empty_map_has_nothing_and_no_memory(void **state)
{
    (void)state;
    struct pw_map map;
    pw_malloc_fail_at(COUNT_ONLY);
    pw_map_init(&map);
    assert_null(pw_map_first(&map, 5));
    size_t bucket = 0;
    assert_null(pw_map_walk(&map, &bucket, NULL));
    pw_map_destroy(&map);
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
}

static void finds_each_of_many_items_until_it_is_removed(void **state)
{
    (void)state;
    enum {
        COUNT = 5000
    };
    struct pw_map map;
    pw_map_init(&map);
    struct item *items = calloc(COUNT, sizeof(*items));
    insert_all(&map, items, COUNT);
    assert_int_equal(map.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ptr_equal(find(&map, pw_hash_u64(i), i), &items[i]);
    }
    assert_null(find(&map, pw_hash_u64(COUNT), COUNT));
    for (unsigned i = 0; i < COUNT; i += 2) {
        pw_map_remove(&map, &items[i].node);
    }
    assert_int_equal(map.count, COUNT / 2);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ptr_equal(find(&map, pw_hash_u64(i), i), i % 2 == 0 ? NULL : &items[i]);
    }
    pw_map_destroy(&map);
    assert_int_equal(map.count, 0);
    assert_null(pw_map_first(&map, pw_hash_u64(1)));
    free(items);
}

static void tells_items_of_the_same_hash_apart(void **state)
{
    (void)state;
    struct pw_map map;
    pw_map_init(&map);
    struct item items[60] = {0};
    for (unsigned i = 0; i < 60; i++) {
        items[i].number = i;
        /* One bucket for all, three hashes. */
        pw_map_insert(&map, &items[i].node, (uint64_t)(i % 3) << 40);
    }
    for (unsigned i = 0; i < 60; i++) {
        assert_ptr_equal(find(&map, (uint64_t)(i % 3) << 40, i), &items[i]);
        assert_null(find(&map, (uint64_t)((i + 1) % 3) << 40, i));
    }
    unsigned same = 0;
    struct pw_map_node *node = pw_map_first(&map, 0);
    for (; node != NULL; node = pw_map_next(node)) {
        assert_true(node->hash == 0);
        same++;
    }
    assert_int_equal(same, 20);
    for (unsigned i = 60; i-- > 0;) {
        pw_map_remove(&map, &items[i].node);
        assert_null(find(&map, (uint64_t)(i % 3) << 40, i));
    }
    assert_int_equal(map.count, 0);
    pw_map_destroy(&map);
}

static void walks_every_item_once_also_while_they_are_removed(void **state)
{
    (void)state;
    enum {
        COUNT = 1000
    };
    struct pw_map map;
    pw_map_init(&map);
    struct item *items = calloc(COUNT, sizeof(*items));
    insert_all(&map, items, COUNT);
    size_t bucket = 0;
    struct pw_map_node *node = pw_map_walk(&map, &bucket, NULL);
    while (node != NULL) {
        PW_CONTAINER_OF(node, struct item, node)->visits++;
        node = pw_map_walk(&map, &bucket, node);
    }
    bucket = 0;
    node = pw_map_walk(&map, &bucket, NULL);
    while (node != NULL) {
        struct pw_map_node *next = pw_map_walk(&map, &bucket, node);
        struct item *item = PW_CONTAINER_OF(node, struct item, node);
        item->visits++;
        if (item->number % 3 != 0) {
            pw_map_remove(&map, node);
        }
        node = next;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(items[i].visits, 2);
        assert_ptr_equal(find(&map, pw_hash_u64(i), i), i % 3 == 0 ? &items[i] : NULL);
    }
    pw_map_destroy(&map);
    free(items);
}

static void room_that_was_reserved_is_there(void **state)
{
    (void)state;
    struct pw_map map;
    pw_map_init(&map);
    assert_int_equal(pw_map_reserve(&map, 0), PYWATT_OK);
    assert_int_equal(map.bucket_count, 0);
    assert_int_equal(pw_map_reserve(&map, 1000), PYWATT_OK);
    assert_int_equal(map.bucket_count & (map.bucket_count - 1), 0);
    static struct item items[1000];
    pw_malloc_fail_at(COUNT_ONLY);
    insert_all(&map, items, 1000);
    assert_int_equal(pw_map_reserve(&map, 1000), PYWATT_OK);
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
    pw_map_destroy(&map);
}

static void refuses_room_that_no_machine_has(void **state)
{
    (void)state;
    struct pw_map map;
    pw_map_init(&map);
    assert_int_equal(pw_map_reserve(&map, SIZE_MAX), PYWATT_NO_MEMORY);
    assert_int_equal(pw_map_reserve(&map, SIZE_MAX / 2), PYWATT_NO_MEMORY);
    assert_int_equal(map.bucket_count, 0);
    pw_map_destroy(&map);
}

static void grows_to_one_item_a_bucket(void **state)
{
    (void)state;
    struct pw_map map;
    pw_map_init(&map);
    static struct item items[1025];
    insert_all(&map, items, 1024);
    assert_int_equal(map.bucket_count, 1024);
    items[1024].number = 1024;
    pw_map_insert(&map, &items[1024].node, pw_hash_u64(1024));
    assert_int_equal(map.bucket_count, 2048);
    pw_map_destroy(&map);
}

/* Each item is found, and walked over once, at every step of the growth. */
static void expect_all(const struct pw_map *map, struct item *items, unsigned count,
                       unsigned visits)
{
    size_t bucket = 0;
    struct pw_map_node *node = pw_map_walk(map, &bucket, NULL);
    while (node != NULL) {
        PW_CONTAINER_OF(node, struct item, node)->visits++;
        node = pw_map_walk(map, &bucket, node);
    }
    for (unsigned i = 0; i < count; i++) {
        const bool is_in = items[i].number != UINT32_MAX;
        assert_ptr_equal(find(map, pw_hash_u64(i), i), is_in ? &items[i] : NULL);
        if (is_in) {
            assert_int_equal(items[i].visits, visits);
        }
    }
}

static void grows_little_by_little(void **state)
{
    (void)state;
    enum {
        FULL = 1024,
        STEPS = 400
    };
    struct pw_map map;
    static struct item items[FULL + STEPS];
    memset(items, 0, sizeof(items));
    pw_map_init(&map);
    insert_all(&map, items, FULL);
    size_t moved = 0;
    unsigned steps = 0;
    for (unsigned i = FULL; i < FULL + STEPS; i++) {
        items[i].number = i;
        items[i].visits = i - FULL; /* those that it missed */
        assert_int_equal(pw_map_insert(&map, &items[i].node, pw_hash_u64(i)), PYWATT_OK);
        if (map.old_buckets != NULL) {
            assert_in_range(map.moved, moved + 1, moved + 4);
            moved = map.moved;
            steps++;
        }
        if (i % 2 == 0) {
            const unsigned gone = (i * 37) % FULL;
            if (items[gone].number != UINT32_MAX) {
                pw_map_remove(&map, &items[gone].node);
                items[gone].number = UINT32_MAX;
            }
        }
        expect_all(&map, items, i + 1, i - FULL + 1);
    }
    assert_in_range(steps, FULL / 4 - 1, STEPS - 1);
    assert_null(map.old_buckets);
    pw_map_destroy(&map);
}

static void may_be_given_more_room_or_end_while_it_grows(void **state)
{
    (void)state;
    struct pw_map map;
    static struct item items[1030];
    memset(items, 0, sizeof(items));
    pw_map_init(&map);
    insert_all(&map, items, 1030);
    assert_non_null(map.old_buckets);
    assert_int_equal(pw_map_reserve(&map, 5000), PYWATT_OK);
    expect_all(&map, items, 1030, 1);
    assert_non_null(map.old_buckets);
    pw_map_destroy(&map);
    assert_null(pw_map_first(&map, 1));
}

static void only_the_first_insertion_needs_memory(void **state)
{
    (void)state;
    struct pw_map map;
    pw_map_init(&map);
    static struct item items[300];
    pw_malloc_fail_at(1);
    assert_int_equal(pw_map_insert(&map, &items[0].node, 1), PYWATT_NO_MEMORY);
    assert_true(pw_malloc_fail_disarm());
    assert_int_equal(map.count, 0);
    assert_null(pw_map_first(&map, 1));
    assert_int_equal(pw_map_insert(&map, &items[0].node, pw_hash_u64(0)), PYWATT_OK);
    const size_t buckets = map.bucket_count;
    for (unsigned i = 1; i < 300; i++) {
        items[i].number = i;
        pw_malloc_fail_at(1);
        assert_int_equal(pw_map_insert(&map, &items[i].node, pw_hash_u64(i)), PYWATT_OK);
        pw_malloc_fail_disarm();
    }
    assert_int_equal(map.bucket_count, buckets);
    for (unsigned i = 0; i < 300; i++) {
        assert_ptr_equal(find(&map, pw_hash_u64(i), i), &items[i]);
    }
    pw_malloc_fail_at(1);
    assert_int_equal(pw_map_reserve(&map, 301), PYWATT_NO_MEMORY);
    pw_malloc_fail_disarm();
    assert_int_equal(pw_map_reserve(&map, 301), PYWATT_OK);
    for (unsigned i = 0; i < 300; i++) {
        assert_ptr_equal(find(&map, pw_hash_u64(i), i), &items[i]);
    }
    pw_map_destroy(&map);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_empty_map_has_nothing_and_no_memory),
        cmocka_unit_test(finds_each_of_many_items_until_it_is_removed),
        cmocka_unit_test(tells_items_of_the_same_hash_apart),
        cmocka_unit_test(walks_every_item_once_also_while_they_are_removed),
        cmocka_unit_test(room_that_was_reserved_is_there),
        cmocka_unit_test(refuses_room_that_no_machine_has),
        cmocka_unit_test(grows_to_one_item_a_bucket),
        cmocka_unit_test(grows_little_by_little),
        cmocka_unit_test(may_be_given_more_room_or_end_while_it_grows),
        cmocka_unit_test(only_the_first_insertion_needs_memory),
    };
    return PW_TEST_RUN(cases);
}

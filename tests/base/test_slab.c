/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The slab: new items are zeroed, all are apart, aligned and used again; memory may be out. One thread, and
 * several at once.
 */
#include "pw_test.h"

#include "base/bytes.h"
#include "base/slab.h"
#include "malloc_fail.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 20000

struct item {
    uint64_t number;
    char rest[200];
};

static struct item *items[ITEMS];

static struct item *take(struct pw_slab *slab, uint64_t number, bool is_new)
{
    static const struct item zero;
    struct item *item = pw_slab_take(slab);
    assert_non_null(item);
    assert_int_equal((uintptr_t)item % PW_CACHE_LINE, 0);
    if (is_new) {
        assert_memory_equal(item, &zero, sizeof(zero));
    } else {
        assert_int_not_equal(item->rest[199], 0); /* as it was given back */
    }
    memset(item, (int)number | 1, sizeof(*item));
    item->number = number;
    return item;
}

static void items_are_apart_and_new_ones_are_zeroed(void **state)
{
    (void)state;
    struct pw_slab slab;
    assert_int_equal(pw_slab_init(&slab, sizeof(struct item)), PYWATT_OK);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ITEMS; i++) {
            items[i] = take(&slab, i, round == 0);
        }
        for (size_t i = 0; i < ITEMS; i++) {
            assert_int_equal(items[i]->number, i);
            assert_int_equal(items[i]->rest[199], (char)(i | 1));
        }
        for (size_t i = 0; i < ITEMS; i++) {
            pw_slab_give(&slab, items[i]);
        }
    }
    pw_slab_destroy(&slab);
}

static void what_was_given_back_is_taken_first(void **state)
{
    (void)state;
    struct pw_slab slab;
    assert_int_equal(pw_slab_init(&slab, sizeof(struct item)), PYWATT_OK);
    for (size_t i = 0; i < 1000; i++) {
        items[i] = take(&slab, i, true);
    }
    pw_malloc_fail_at(1);
    for (int i = 0; i < 100000; i++) {
        pw_slab_give(&slab, items[i % 1000]);
        items[i % 1000] = take(&slab, (uint64_t)i, false);
    }
    assert_int_equal(pw_malloc_fail_count(), 0);
    pw_malloc_fail_disarm();
    pw_slab_give(&slab, NULL);
    pw_slab_destroy(&slab);
}

static void says_so_when_memory_is_out(void **state)
{
    (void)state;
    struct pw_slab slab;
    assert_int_equal(pw_slab_init(&slab, sizeof(struct item)), PYWATT_OK);
    pw_malloc_fail_at(1);
    assert_null(pw_slab_take(&slab));
    pw_malloc_fail_disarm();
    take(&slab, 1, true);
    pw_slab_destroy(&slab);
}

static void *churn(void *user)
{
    struct pw_slab *slab = user;
    struct item *own[50] = {NULL};
    for (int i = 0; i < 20000; i++) {
        struct item **place = &own[i % 50];
        if (*place != NULL && (*place)->number != (uint64_t)(uintptr_t)*place) {
            return slab;
        }
        pw_slab_give(slab, *place);
        *place = pw_slab_take(slab);
        (*place)->number = (uint64_t)(uintptr_t)*place;
    }
    return NULL;
}

static void threads_do_not_share_items(void **state)
{
    (void)state;
    struct pw_slab slab;
    pthread_t threads[4];
    assert_int_equal(pw_slab_init(&slab, sizeof(struct item)), PYWATT_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &slab), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *wrong = &slab;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    pw_slab_destroy(&slab);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(items_are_apart_and_new_ones_are_zeroed),
        cmocka_unit_test(what_was_given_back_is_taken_first),
        cmocka_unit_test(says_so_when_memory_is_out),
        cmocka_unit_test(threads_do_not_share_items),
    };
    return PW_TEST_RUN(cases);
}

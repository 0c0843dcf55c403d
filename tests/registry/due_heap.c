/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The heap of what is due next, against a naive model: random insertions, removals and pops.
 */
#include "registry/due_heap.h"

#include "pw_test.h"

enum {
    ITEMS = 200,
    STEPS = 200000
};

static uint64_t random_state = 42;

static uint64_t random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t earliest(const struct pw_due *items)
{
    uint64_t least = PW_DEADLINE_NEVER;
    for (int i = 0; i < ITEMS; i++) {
        if (pw_due_queued(&items[i]) && items[i].at_ns < least) {
            least = items[i].at_ns;
        }
    }
    return least;
}

static void agrees_with_a_naive_model(void **state)
{
    (void)state;
    static struct pw_due items[ITEMS];
    struct pw_due_heap heap;
    pw_due_heap_init(&heap);
    for (int i = 0; i < ITEMS; i++) {
        pw_due_init(&items[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        struct pw_due *item = &items[random_u64() % ITEMS];
        const uint64_t least = earliest(items);
        assert_int_equal(pw_due_heap_next_ns(&heap), least);
        switch (random_u64() % 4) {
        case 0:
        case 1:
            if (!pw_due_queued(item)) {
                pw_due_heap_insert(&heap, item, random_u64() % 1000);
            }
            break;
        case 2:
            if (pw_due_queued(item)) {
                pw_due_heap_remove(&heap, item);
            }
            break;
        default: {
            const uint64_t now = random_u64() % 1000;
            struct pw_due *first = pw_due_heap_pop(&heap, now);
            if (least <= now) {
                assert_non_null(first);
                assert_int_equal(first->at_ns, least);
                assert_false(pw_due_queued(first));
            } else {
                assert_null(first);
            }
        }
        }
    }
}

static void pops_in_order_whatever_the_order_of_insertion(void **state)
{
    (void)state;
    static struct pw_due items[ITEMS];
    for (int order = 0; order < 3; order++) {
        struct pw_due_heap heap;
        pw_due_heap_init(&heap);
        for (uint64_t i = 0; i < ITEMS; i++) {
            const uint64_t at = order == 0 ? i : order == 1 ? ITEMS - i : i * 7919 % ITEMS;
            pw_due_init(&items[i]);
            pw_due_heap_insert(&heap, &items[i], at);
        }
        uint64_t last = 0;
        for (int i = 0; i < ITEMS; i++) {
            const struct pw_due *first = pw_due_heap_pop(&heap, UINT64_MAX);
            assert_non_null(first);
            assert_true(first->at_ns >= last);
            last = first->at_ns;
        }
        assert_null(pw_due_heap_pop(&heap, UINT64_MAX));
        assert_int_equal(pw_due_heap_next_ns(&heap), PW_DEADLINE_NEVER);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(agrees_with_a_naive_model),
        cmocka_unit_test(pops_in_order_whatever_the_order_of_insertion),
    };
    return PW_TEST_RUN(cases);
}

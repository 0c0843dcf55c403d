/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The arena: budget, alignment, what is kept over a reset. One thread.
 */
#include "pw_test.h"

#include "base/arena.h"
#include "malloc_fail.h"

#include <stdalign.h>
#include <string.h>

#define COUNT_ONLY ((unsigned long)-1)

static void gives_memory_that_is_aligned_and_apart(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1 << 20);
    uint8_t *before = NULL;
    for (size_t size = 0; size < 300; size++) {
        uint8_t *memory = pw_arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
        memset(memory, 0xaa, size);
        assert_ptr_not_equal(memory, before);
        if (before != NULL && size > 1) {
            assert_int_equal(before[size - 2], 0xaa);
            before[size - 2] = 0x55;
            assert_int_equal(memory[0], 0xaa);
        }
        before = memory;
    }
    pw_arena_destroy(&arena);
}

static void takes_no_memory_before_the_first_allocation(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_malloc_fail_at(COUNT_ONLY);
    pw_arena_init(&arena, 1000);
    pw_arena_reset(&arena);
    pw_arena_destroy(&arena);
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
}

static void gives_its_budget_and_no_more(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1000);
    assert_null(pw_arena_alloc(&arena, 1001));
    assert_true(arena.exhausted);
    pw_arena_reset(&arena);
    assert_false(arena.exhausted);
    assert_non_null(pw_arena_alloc(&arena, 1000));
    assert_int_equal(arena.used, 1000);
    assert_false(arena.exhausted);
    assert_null(pw_arena_alloc(&arena, 1));
    assert_true(arena.exhausted);
    pw_arena_destroy(&arena);
    assert_non_null(pw_arena_alloc(&arena, 10));
    pw_arena_destroy(&arena);
}

static void small_allocations_count_with_their_alignment(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1024);
    unsigned count = 0;
    while (pw_arena_alloc(&arena, count % 2) != NULL) {
        count++;
    }
    assert_int_equal(count, 1024 / alignof(max_align_t));
    pw_arena_destroy(&arena);
}

static void refuses_sizes_that_overflow(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, SIZE_MAX);
    assert_null(pw_arena_calloc(&arena, SIZE_MAX / 2, 3));
    assert_true(arena.exhausted);
    arena.exhausted = false;
    assert_null(pw_arena_strdup(&arena, (struct pw_str){"", SIZE_MAX}));
    assert_true(arena.exhausted);
    assert_null(pw_arena_alloc(&arena, SIZE_MAX));
    assert_null(pw_arena_alloc(&arena, SIZE_MAX - 20));
    assert_non_null(pw_arena_alloc(&arena, 1));
    pw_arena_destroy(&arena);
}

static void calloc_gives_zeros_also_where_something_was(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1 << 16);
    memset(pw_arena_alloc(&arena, 500), 0xff, 500);
    pw_arena_reset(&arena);
    const uint8_t *memory = pw_arena_calloc(&arena, 50, 10);
    for (size_t i = 0; i < 500; i++) {
        assert_int_equal(memory[i], 0);
    }
    assert_non_null(pw_arena_calloc(&arena, 0, 10));
    pw_arena_destroy(&arena);
}

static void strdup_copies_and_ends_the_text(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 64);
    const char *copy = pw_arena_strdup(&arena, (struct pw_str){"abcdef", 3});
    assert_string_equal(copy, "abc");
    pw_arena_reset(&arena);
    copy = pw_arena_strdup(&arena, PW_STR_LITERAL("sixteen letters."));
    memset(pw_arena_alloc(&arena, 16), 'x', 16);
    assert_string_equal(copy, "sixteen letters.");
    pw_arena_reset(&arena);
    assert_string_equal(pw_arena_strdup(&arena, (struct pw_str){NULL, 0}), "");
    char long_text[64] = "";
    assert_null(pw_arena_strdup(&arena, (struct pw_str){long_text, sizeof(long_text)}));
    pw_arena_destroy(&arena);
}

static void steady_flow_of_messages_allocates_nothing(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1 << 16);
    pw_arena_alloc(&arena, 100);
    pw_malloc_fail_at(COUNT_ONLY);
    for (int i = 0; i < 100; i++) {
        pw_arena_reset(&arena);
        for (int j = 0; j < 20; j++) {
            assert_non_null(pw_arena_alloc(&arena, 100));
        }
    }
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
    pw_arena_destroy(&arena);
}

static void uses_the_callers_storage_first(void **state)
{
    (void)state;
    alignas(max_align_t) uint8_t storage[1024];
    struct pw_arena arena;
    pw_arena_init_with(&arena, 1 << 16, storage, sizeof(storage));
    pw_malloc_fail_at(COUNT_ONLY);
    for (int i = 0; i < 100; i++) {
        uint8_t *memory = pw_arena_alloc(&arena, 800);
        assert_true(memory >= storage && memory + 800 <= storage + sizeof(storage));
        assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
        memset(memory, i, 800);
        pw_arena_reset(&arena);
    }
    assert_int_equal(pw_malloc_fail_count(), 0);
    pw_malloc_fail_disarm();
    pw_arena_alloc(&arena, 800);
    uint8_t *more = pw_arena_alloc(&arena, 800);
    assert_non_null(more);
    assert_false(more >= storage && more < storage + sizeof(storage));
    pw_arena_reset(&arena);
    assert_true((uint8_t *)pw_arena_alloc(&arena, 8) < storage + sizeof(storage));
    pw_arena_destroy(&arena);
}

static void uses_no_byte_behind_the_callers_storage(void **state)
{
    (void)state;
    for (size_t size = 1; size < 200; size++) {
        alignas(max_align_t) uint8_t storage[256];
        memset(storage, 0x77, sizeof(storage));
        struct pw_arena arena;
        pw_arena_init_with(&arena, 1 << 16, storage, size);
        for (int i = 0; i < 20; i++) {
            memset(pw_arena_alloc(&arena, 16), 0, 16);
        }
        for (size_t at = size; at < sizeof(storage); at++) {
            assert_int_equal(storage[at], 0x77);
        }
        pw_arena_destroy(&arena);
    }
}

static void does_without_storage_that_is_too_small(void **state)
{
    (void)state;
    alignas(max_align_t) uint8_t storage[16];
    struct pw_arena arena;
    pw_arena_init_with(&arena, 1000, storage, sizeof(storage));
    memset(pw_arena_alloc(&arena, 1000), 1, 1000);
    pw_arena_destroy(&arena);
    pw_arena_init_with(&arena, 1000, NULL, 0);
    assert_non_null(pw_arena_alloc(&arena, 1));
    pw_arena_destroy(&arena);
}

static void keeps_its_first_block_over_a_reset(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1 << 20);
    const void *first = pw_arena_alloc(&arena, 100);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 10; j++) {
            assert_non_null(pw_arena_alloc(&arena, 10000));
        }
        pw_arena_reset(&arena);
        assert_int_equal(arena.used, 0);
        assert_ptr_equal(pw_arena_alloc(&arena, 100), first);
    }
    pw_arena_destroy(&arena);
}

/* A message: allocations of all sizes, some of them large. */
static void allocate_a_message(struct pw_arena *arena, size_t most)
{
    uint32_t random = 7;
    while (arena->used < most) {
        random = random * 1664525u + 1013904223u;
        const size_t size = random >> 24 == 0 ? most / 20 : (random >> 8) % 300;
        assert_non_null(pw_arena_alloc(arena, size));
    }
}

static void a_second_message_of_the_same_size_allocates_nothing(void **state)
{
    (void)state;
    for (size_t most = 1000; most <= 800000; most *= 3) {
        struct pw_arena arena;
        pw_arena_init(&arena, 1 << 20);
        allocate_a_message(&arena, most);
        pw_malloc_fail_at(COUNT_ONLY);
        for (int i = 0; i < 3; i++) {
            pw_arena_reset(&arena);
            allocate_a_message(&arena, most);
            pw_arena_reset(&arena);
            allocate_a_message(&arena, 500);
        }
        pw_malloc_fail_disarm();
        assert_int_equal(pw_malloc_fail_count(), 0);
        pw_arena_destroy(&arena);
    }
}

static void fills_a_block_to_its_end(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1024);
    pw_malloc_fail_at(COUNT_ONLY);
    for (int i = 0; i < 8; i++) {
        assert_non_null(pw_arena_alloc(&arena, 128));
    }
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 1);
    pw_arena_destroy(&arena);
}

static void takes_no_more_from_the_heap_than_its_budget_allows(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 10000);
    for (int i = 0; i < 80; i++) {
        const size_t left = arena.budget - arena.used;
        const void *end_before = arena.end;
        assert_non_null(pw_arena_alloc(&arena, 100));
        if (arena.end != end_before) {
            assert_in_range(arena.end - arena.at, 0, left - 100);
        }
    }
    pw_arena_destroy(&arena);
}

static void takes_few_blocks_for_many_allocations(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1 << 20);
    pw_malloc_fail_at(COUNT_ONLY);
    size_t given = 0;
    while (pw_arena_alloc(&arena, 64) != NULL) {
        given += 64;
    }
    pw_malloc_fail_disarm();
    assert_int_equal(given, 1 << 20);
    assert_in_range(pw_malloc_fail_count(), 1, 10);
    pw_arena_destroy(&arena);
}

static void returns_null_when_memory_is_out(void **state)
{
    (void)state;
    struct pw_arena arena;
    pw_arena_init(&arena, 1 << 20);
    pw_malloc_fail_at(1);
    assert_null(pw_arena_alloc(&arena, 10));
    assert_true(pw_malloc_fail_disarm());
    assert_false(arena.exhausted);
    assert_non_null(pw_arena_alloc(&arena, 10));
    pw_malloc_fail_at(1);
    assert_null(pw_arena_calloc(&arena, 1, 100000));
    assert_null(pw_arena_strdup(&arena, (struct pw_str){"", 1 << 21}));
    pw_malloc_fail_disarm();
    pw_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(gives_memory_that_is_aligned_and_apart),
        cmocka_unit_test(takes_no_memory_before_the_first_allocation),
        cmocka_unit_test(gives_its_budget_and_no_more),
        cmocka_unit_test(small_allocations_count_with_their_alignment),
        cmocka_unit_test(refuses_sizes_that_overflow),
        cmocka_unit_test(calloc_gives_zeros_also_where_something_was),
        cmocka_unit_test(strdup_copies_and_ends_the_text),
        cmocka_unit_test(steady_flow_of_messages_allocates_nothing),
        cmocka_unit_test(uses_the_callers_storage_first),
        cmocka_unit_test(uses_no_byte_behind_the_callers_storage),
        cmocka_unit_test(does_without_storage_that_is_too_small),
        cmocka_unit_test(keeps_its_first_block_over_a_reset),
        cmocka_unit_test(a_second_message_of_the_same_size_allocates_nothing),
        cmocka_unit_test(fills_a_block_to_its_end),
        cmocka_unit_test(takes_no_more_from_the_heap_than_its_budget_allows),
        cmocka_unit_test(takes_few_blocks_for_many_allocations),
        cmocka_unit_test(returns_null_when_memory_is_out),
    };
    return PW_TEST_RUN(cases);
}

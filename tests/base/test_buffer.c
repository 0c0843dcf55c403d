/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The byte queue, alone and against a plain model of it. One thread.
 */
#include "pw_test.h"

#include "base/buffer.h"
#include "malloc_fail.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_ONLY ((unsigned long)-1)

static void assert_holds(const struct pw_buffer *buffer, const char *text)
{
    assert_int_equal(pw_buffer_len(buffer), strlen(text));
    const struct pw_span span = pw_buffer_span(buffer);
    assert_int_equal(span.len, strlen(text));
    if (span.len > 0) {
        assert_memory_equal(span.data, text, span.len);
        assert_ptr_equal(span.data, pw_buffer_bytes(buffer));
    }
}

static void takes_no_memory_before_it_is_used(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_malloc_fail_at(COUNT_ONLY);
    pw_buffer_init(&buffer, 100);
    assert_int_equal(pw_buffer_append(&buffer, NULL, 0), PYWATT_OK);
    assert_null(pw_buffer_span(&buffer).data);
    pw_buffer_destroy(&buffer);
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
}

static void gives_back_what_was_appended_in_order(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 100);
    assert_int_equal(pw_buffer_append(&buffer, "hello ", 6), PYWATT_OK);
    assert_int_equal(pw_buffer_append(&buffer, "world", 5), PYWATT_OK);
    assert_holds(&buffer, "hello world");
    pw_buffer_consume(&buffer, 6);
    assert_holds(&buffer, "world");
    pw_buffer_consume(&buffer, 5);
    assert_holds(&buffer, "");
    pw_buffer_destroy(&buffer);
}

static void reserve_gives_room_and_commit_says_how_much_was_used(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 100);
    uint8_t *room = NULL;
    assert_int_equal(pw_buffer_reserve(&buffer, 10, &room), PYWATT_OK);
    memcpy(room, "abcdefghij", 10);
    pw_buffer_commit(&buffer, 3);
    assert_holds(&buffer, "abc");
    assert_int_equal(pw_buffer_reserve(&buffer, 10, &room), PYWATT_OK);
    pw_buffer_commit(&buffer, 0);
    assert_holds(&buffer, "abc");
    pw_buffer_destroy(&buffer);
}

static void holds_as_much_as_its_limit_and_not_a_byte_more(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 3000; limit = limit * 3 + 1) {
        struct pw_buffer buffer;
        pw_buffer_init(&buffer, limit);
        char *bytes = calloc(1, limit + 1);
        assert_int_equal(pw_buffer_append(&buffer, bytes, limit + 1), PYWATT_LIMIT);
        assert_int_equal(pw_buffer_append(&buffer, bytes, limit), PYWATT_OK);
        assert_true(buffer.capacity <= limit);
        assert_int_equal(pw_buffer_append(&buffer, bytes, 1), PYWATT_LIMIT);
        assert_int_equal(pw_buffer_append(&buffer, bytes, SIZE_MAX), PYWATT_LIMIT);
        assert_int_equal(pw_buffer_len(&buffer), limit);
        pw_buffer_consume(&buffer, 1);
        assert_int_equal(pw_buffer_append(&buffer, bytes, 2), PYWATT_LIMIT);
        assert_int_equal(pw_buffer_append(&buffer, bytes, 1), PYWATT_OK);
        assert_in_range(buffer.capacity, limit, limit + limit / 4);
        free(bytes);
        pw_buffer_destroy(&buffer);
    }
}

static void grows_when_what_it_holds_and_what_comes_do_not_fit(void **state)
{
    (void)state;
    for (size_t len = 1; len < 3000; len += 7) {
        struct pw_buffer buffer;
        pw_buffer_init(&buffer, 1 << 20);
        uint8_t *room = NULL;
        assert_int_equal(pw_buffer_reserve(&buffer, 1, &room), PYWATT_OK);
        const size_t filled = buffer.capacity;
        assert_int_equal(pw_buffer_reserve(&buffer, filled, &room), PYWATT_OK);
        memset(room, 'x', filled);
        room[filled - 1] = 'k';
        pw_buffer_commit(&buffer, filled);
        pw_buffer_consume(&buffer, filled - 1);
        assert_int_equal(pw_buffer_reserve(&buffer, len, &room), PYWATT_OK);
        assert_in_range(buffer.capacity - buffer.end, len, buffer.capacity);
        memset(room, 'y', len);
        pw_buffer_commit(&buffer, len);
        assert_memory_equal(pw_buffer_bytes(&buffer), "ky", 2);
        pw_buffer_destroy(&buffer);
    }
}

static void works_without_a_limit(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, SIZE_MAX);
    char bytes[3000] = "x";
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pw_buffer_append(&buffer, bytes, sizeof(bytes)), PYWATT_OK);
    }
    assert_int_equal(pw_buffer_len(&buffer), 60000);
    assert_true(buffer.capacity < 4 * 60000);
    pw_buffer_destroy(&buffer);
}

static void truncate_takes_back_what_was_appended_last(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 100);
    pw_buffer_append(&buffer, "xxkeep", 6);
    pw_buffer_consume(&buffer, 2);
    const size_t before = pw_buffer_len(&buffer);
    pw_buffer_append(&buffer, "half a message", 14);
    pw_buffer_truncate(&buffer, before);
    assert_holds(&buffer, "keep");
    pw_buffer_truncate(&buffer, 50);
    assert_holds(&buffer, "keep");
    pw_buffer_truncate(&buffer, 0);
    assert_holds(&buffer, "");
    pw_buffer_destroy(&buffer);
}

static void steady_flow_allocates_nothing(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 1 << 20);
    char message[700];
    memset(message, 'm', sizeof(message));
    for (int i = 0; i < 4; i++) {
        pw_buffer_append(&buffer, message, sizeof(message));
    }
    pw_buffer_consume(&buffer, sizeof(message));
    pw_buffer_append(&buffer, message, sizeof(message));
    pw_malloc_fail_at(COUNT_ONLY);
    for (int i = 0; i < 1000; i++) {
        /* Never empty, so what is consumed must be found again. */
        pw_buffer_consume(&buffer, sizeof(message));
        pw_buffer_append(&buffer, message, sizeof(message));
    }
    pw_buffer_clear(&buffer);
    for (int i = 0; i < 4; i++) {
        pw_buffer_append(&buffer, message, sizeof(message));
    }
    pw_malloc_fail_disarm();
    assert_in_range(pw_malloc_fail_count(), 0, 1);
    assert_in_range(buffer.capacity, 4 * sizeof(message), 16 * sizeof(message));
    pw_buffer_destroy(&buffer);
}

static void is_empty_before_it_has_memory(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 100);
    assert_null(pw_buffer_bytes(&buffer));
    assert_null(pw_buffer_span(&buffer).data);
    assert_int_equal(pw_buffer_span(&buffer).len, 0);
    pw_buffer_clear(&buffer);
    pw_buffer_consume(&buffer, 0);
    pw_buffer_truncate(&buffer, 0);
    assert_null(pw_buffer_bytes(&buffer));
}

/* As for a peer that reads more slowly than others write to it. */
static void moves_each_byte_a_few_times_at_most(void **state)
{
    (void)state;
    enum {
        LIMIT = 100000,
        PIECE = 10,
        PIECES = 50000
    };
    for (size_t held = LIMIT / 2; held <= LIMIT; held += LIMIT / 10) {
        static uint8_t bytes[LIMIT];
        struct pw_buffer buffer;
        size_t moved = 0;
        pw_buffer_init(&buffer, LIMIT);
        assert_int_equal(pw_buffer_append(&buffer, bytes, held), PYWATT_OK);
        for (unsigned i = 0; i < PIECES; i++) {
            pw_buffer_consume(&buffer, PIECE);
            assert_int_equal(pw_buffer_append(&buffer, bytes, PIECE), PYWATT_OK);
            moved += buffer.start == 0 ? held : 0;
        }
        assert_int_equal(pw_buffer_len(&buffer), held);
        assert_in_range(buffer.capacity, held, LIMIT + LIMIT / 4);
        assert_in_range(moved, 1, 6 * PIECE * PIECES);
        pw_buffer_destroy(&buffer);
    }
}

static void knows_how_far_it_was_written(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    uint8_t *room = NULL;
    pw_buffer_init(&buffer, 1 << 20);
    assert_int_equal(buffer.touched, 0);
    assert_int_equal(pw_buffer_append(&buffer, "abcdef", 6), PYWATT_OK);
    assert_int_equal(pw_buffer_reserve(&buffer, 100000, &room), PYWATT_OK);
    assert_int_equal(buffer.touched, 6);
    pw_buffer_consume(&buffer, 4);
    pw_buffer_truncate(&buffer, 1);
    assert_int_equal(pw_buffer_append(&buffer, "g", 1), PYWATT_OK);
    assert_int_equal(buffer.touched, 6);
    pw_buffer_commit(&buffer, 10);
    assert_int_equal(buffer.touched, 16);
    pw_buffer_clear(&buffer);
    assert_int_equal(buffer.touched, 16);
    pw_buffer_destroy(&buffer);
    assert_int_equal(buffer.touched, 0);
}

static void trim_gives_memory_back_only_when_empty_and_large(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 10000);
    char bytes[5000] = "x";
    pw_buffer_append(&buffer, bytes, sizeof(bytes));
    const size_t capacity = buffer.capacity;
    pw_buffer_trim(&buffer, 0);
    assert_int_equal(buffer.capacity, capacity);
    pw_buffer_clear(&buffer);
    pw_buffer_trim(&buffer, capacity);
    assert_int_equal(buffer.capacity, capacity);
    pw_buffer_trim(&buffer, capacity - 1);
    assert_int_equal(buffer.capacity, 0);
    assert_null(buffer.data);
    assert_int_equal(pw_buffer_append(&buffer, bytes, 10), PYWATT_OK);
    assert_int_equal(buffer.limit, 10000);
    pw_buffer_destroy(&buffer);
}

static void keeps_what_it_has_when_memory_is_out(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 1 << 20);
    uint8_t *room = NULL;
    pw_malloc_fail_at(1);
    assert_int_equal(pw_buffer_reserve(&buffer, 1, &room), PYWATT_NO_MEMORY);
    pw_malloc_fail_disarm();
    pw_buffer_append(&buffer, "xxkept", 6);
    pw_buffer_consume(&buffer, 2);
    char bytes[5000] = "x";
    pw_malloc_fail_at(1);
    assert_int_equal(pw_buffer_append(&buffer, bytes, sizeof(bytes)), PYWATT_NO_MEMORY);
    assert_true(pw_malloc_fail_disarm());
    assert_holds(&buffer, "kept");
    pw_buffer_destroy(&buffer);
}

static void makes_do_with_its_gap_when_memory_is_out(void **state)
{
    (void)state;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, 1 << 20);
    uint8_t *room = NULL;
    assert_int_equal(pw_buffer_reserve(&buffer, 1, &room), PYWATT_OK);
    const size_t capacity = buffer.capacity;
    assert_int_equal(pw_buffer_reserve(&buffer, capacity, &room), PYWATT_OK);
    memset(room, 'a', capacity);
    pw_buffer_commit(&buffer, capacity);
    pw_buffer_consume(&buffer, 10);
    pw_malloc_fail_at(1);
    assert_int_equal(pw_buffer_append(&buffer, "0123456789", 10), PYWATT_OK);
    assert_true(pw_malloc_fail_disarm());
    assert_int_equal(pw_buffer_len(&buffer), capacity);
    assert_memory_equal(pw_buffer_bytes(&buffer) + capacity - 11, "a0123456789", 11);
    pw_buffer_destroy(&buffer);
}

/* Some 20,000 steps chosen by a seeded generator, each compared with an array. */
static void behaves_as_a_plain_queue(void **state)
{
    (void)state;
    enum {
        LIMIT = 6000
    };
    static uint8_t model[LIMIT];
    size_t model_len = 0;
    uint32_t random = 12345;
    uint8_t next = 0;
    struct pw_buffer buffer;
    pw_buffer_init(&buffer, LIMIT);
    for (int step = 0; step < 20000; step++) {
        random = random * 1664525u + 1013904223u;
        const uint32_t action = random >> 28;
        const size_t amount = (random >> 8) % (action < 2 ? 3000 : 300);
        if (action < 8) {
            uint8_t bytes[3000];
            for (size_t i = 0; i < amount; i++) {
                bytes[i] = next++;
            }
            const enum pywatt_status status = pw_buffer_append(&buffer, bytes, amount);
            const bool fits = model_len + amount <= LIMIT;
            assert_int_equal(status, fits ? PYWATT_OK : PYWATT_LIMIT);
            if (fits) {
                memcpy(model + model_len, bytes, amount);
                model_len += amount;
            }
        } else if (action < 14) {
            const size_t taken = amount < model_len ? amount : model_len;
            pw_buffer_consume(&buffer, taken);
            memmove(model, model + taken, model_len - taken);
            model_len -= taken;
        } else if (action == 14) {
            pw_buffer_truncate(&buffer, model_len - (model_len < 50 ? 0 : 50));
            model_len -= model_len < 50 ? 0 : 50;
        } else {
            pw_buffer_trim(&buffer, 1000);
        }
        assert_int_equal(pw_buffer_len(&buffer), model_len);
        if (model_len > 0 && memcmp(pw_buffer_bytes(&buffer), model, model_len) != 0) {
            fail_msg("differs after step %d", step);
        }
    }
    pw_buffer_destroy(&buffer);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(takes_no_memory_before_it_is_used),
        cmocka_unit_test(gives_back_what_was_appended_in_order),
        cmocka_unit_test(reserve_gives_room_and_commit_says_how_much_was_used),
        cmocka_unit_test(holds_as_much_as_its_limit_and_not_a_byte_more),
        cmocka_unit_test(grows_when_what_it_holds_and_what_comes_do_not_fit),
        cmocka_unit_test(works_without_a_limit),
        cmocka_unit_test(truncate_takes_back_what_was_appended_last),
        cmocka_unit_test(steady_flow_allocates_nothing),
        cmocka_unit_test(is_empty_before_it_has_memory),
        cmocka_unit_test(moves_each_byte_a_few_times_at_most),
        cmocka_unit_test(knows_how_far_it_was_written),
        cmocka_unit_test(trim_gives_memory_back_only_when_empty_and_large),
        cmocka_unit_test(keeps_what_it_has_when_memory_is_out),
        cmocka_unit_test(makes_do_with_its_gap_when_memory_is_out),
        cmocka_unit_test(behaves_as_a_plain_queue),
    };
    return PW_TEST_RUN(cases);
}

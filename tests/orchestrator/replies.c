/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Replies wait in slots in the order of their requests.
 */
#include "orchestrator/replies.h"

#include "pw_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct pw_replies *replies, struct pw_buffer *buffer, const char *text)
{
    assert_int_equal(pw_buffer_append(buffer, text, strlen(text)), PYWATT_OK);
    pw_replies_added(replies, strlen(text));
}

/* What goes out now. */
static void drain(struct pw_replies *replies, char *out)
{
    struct pw_reply_slot *slot;
    out[0] = '\0';
    while ((slot = pw_replies_pop_ready(replies)) != NULL) {
        strncat(out, (const char *)pw_buffer_bytes(&slot->reply), pw_buffer_len(&slot->reply));
        if (pw_buffer_len(&slot->after) > 0) {
            strncat(out, (const char *)pw_buffer_bytes(&slot->after), pw_buffer_len(&slot->after));
        }
        pw_reply_slot_destroy(slot);
    }
}

static void later_replies_wait_for_earlier_ones(void **state)
{
    (void)state;
    struct pw_replies replies;
    struct pw_reply_slot slots[3];
    char out[64];
    pw_replies_init(&replies);
    assert_false(pw_replies_waiting(&replies));
    pw_replies_open(&replies, &slots[0], 10, 1000);
    put(&replies, pw_replies_tail(&replies), "a");
    put(&replies, pw_replies_tail(&replies), "b");
    pw_replies_open(&replies, &slots[1], 20, 1000);
    pw_replies_open(&replies, &slots[2], 30, 1000);
    put(&replies, pw_replies_tail(&replies), "c");
    assert_int_equal(replies.held, 3);
    assert_int_equal(replies.count, 3);

    slots[1].ready = true;
    put(&replies, &slots[1].reply, "1");
    drain(&replies, out);
    assert_string_equal(out, "");
    assert_int_equal(pw_replies_oldest_ns(&replies), 10);

    slots[0].ready = true;
    put(&replies, &slots[0].reply, "0");
    drain(&replies, out);
    assert_string_equal(out, "0ab1");
    assert_int_equal(replies.held, 1);
    assert_int_equal(pw_replies_oldest_ns(&replies), 30);
    assert_true(pw_replies_waiting(&replies));

    slots[2].ready = true;
    put(&replies, &slots[2].reply, "2");
    drain(&replies, out);
    assert_string_equal(out, "2c");
    assert_int_equal(replies.held, 0);
    assert_false(pw_replies_waiting(&replies));
}

enum {
    REQUESTS = 40
};

/* Requests 0 to 39, some of which take longer and end in any order. */
static void every_order_of_endings_gives_the_order_of_requests(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 500; seed++) {
        struct pw_replies replies;
        static struct pw_reply_slot slots[REQUESTS];
        bool open[REQUESTS] = {false};
        unsigned left = 0;
        char out[64];
        char all[256] = "";
        char expected[256] = "";
        srand(seed);
        pw_replies_init(&replies);
        for (int i = 0; i < REQUESTS; i++) {
            const char text[2] = {(char)('0' + i), '\0'};
            strcat(expected, text);
            if (rand() % 3 == 0) {
                pw_replies_open(&replies, &slots[i], (uint64_t)i, 1000);
                open[i] = true;
                left++;
            } else if (pw_replies_waiting(&replies)) {
                put(&replies, pw_replies_tail(&replies), text);
            } else {
                strcat(all, text);
            }
        }
        while (left > 0) {
            const int i = rand() % REQUESTS;
            if (open[i]) {
                const char text[2] = {(char)('0' + i), '\0'};
                put(&replies, &slots[i].reply, text);
                slots[i].ready = true;
                open[i] = false;
                left--;
                drain(&replies, out);
                strcat(all, out);
            }
        }
        assert_string_equal(all, expected);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(later_replies_wait_for_earlier_ones),
        cmocka_unit_test(every_order_of_endings_gives_the_order_of_requests),
    };
    return PW_TEST_RUN(cases);
}

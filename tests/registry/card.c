/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A module's card: what was written is read, whole, however often it is written meanwhile.
 */
#include "registry/card.h"

#include "pw_test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void reads_what_was_written(void **state)
{
    (void)state;
    struct pw_card card;
    struct pywatt_uuid id = {.bytes = {1, 2, 3}};
    struct pywatt_uuid read_id;
    uint64_t generation = 0;
    char text[PW_CARD_TOKEN_MAX + 1];
    char token[PW_CARD_TOKEN_MAX];
    memset(text, 'x', sizeof(text));
    pw_card_init(&card);
    assert_int_equal(pw_card_read(&card, &read_id, &generation, token), 0);
    for (size_t len = 1; len <= PW_CARD_TOKEN_MAX; len++) {
        id.bytes[15] = (uint8_t)len;
        text[len - 1] = (char)('0' + len % 10);
        pw_card_write(&card, &id, UINT64_MAX - len, (struct pw_str){text, len});
        assert_int_equal(pw_card_read(&card, &read_id, &generation, token), len);
        assert_memory_equal(token, text, len);
        assert_true(pywatt_uuid_equal(&read_id, &id));
        assert_true(generation == UINT64_MAX - len);
    }
    /* A longer token does not fit, and an empty one is none. */
    pw_card_write(&card, &id, 1, (struct pw_str){text, sizeof(text)});
    assert_int_equal(pw_card_read(&card, &read_id, &generation, token), 0);
    pw_card_write(&card, &id, 1, (struct pw_str){text, 5});
    assert_int_equal(pw_card_read(&card, &read_id, &generation, token), 5);
    pw_card_write(&card, &id, 1, pw_str_from(NULL));
    assert_int_equal(pw_card_read(&card, &read_id, &generation, token), 0);
}

/* ---- Writers and readers ---- */

enum {
    READERS = 2,
    WRITERS = 2
};

struct race {
    struct pw_card card;
    pthread_mutex_t lock; /* the writers', as a module's is */
    uint64_t last;
    uint64_t rounds;
    atomic_bool done;
};

struct racer {
    pthread_t thread;
    struct race *race;
    uint64_t reads;
    uint64_t torn;
    uint64_t backwards;
};

/* All of a card follows from its generation. */
static size_t make(uint64_t generation, struct pywatt_uuid *id, char token[PW_CARD_TOKEN_MAX])
{
    const size_t len = 1 + generation % PW_CARD_TOKEN_MAX;
    memset(id->bytes, (int)(generation * 7 % 251), sizeof(id->bytes));
    memset(token, (int)('!' + generation % 90), len);
    return len;
}

static void *write_on(void *user)
{
    struct race *race = ((struct racer *)user)->race;
    for (uint64_t i = 0; i < race->rounds; i++) {
        struct pywatt_uuid id;
        char token[PW_CARD_TOKEN_MAX];
        pthread_mutex_lock(&race->lock);
        race->last++;
        const size_t len = make(race->last, &id, token);
        pw_card_write(&race->card, &id, race->last, (struct pw_str){token, len});
        pthread_mutex_unlock(&race->lock);
    }
    return NULL;
}

static void *read_on(void *user)
{
    struct racer *racer = user;
    struct race *race = racer->race;
    uint64_t newest = 0;
    do {
        struct pywatt_uuid id;
        struct pywatt_uuid expected_id;
        char token[PW_CARD_TOKEN_MAX];
        char expected[PW_CARD_TOKEN_MAX];
        uint64_t generation;
        const size_t len = pw_card_read(&race->card, &id, &generation, token);
        const size_t expected_len = make(generation, &expected_id, expected);
        racer->torn += len != expected_len || memcmp(token, expected, len) != 0 ||
                               !pywatt_uuid_equal(&id, &expected_id)
                           ? 1
                           : 0;
        racer->backwards += generation < newest ? 1 : 0;
        newest = generation;
        racer->reads++;
    } while (!atomic_load(&race->done));
    return NULL;
}

static void what_is_read_is_never_half_of_two(void **state)
{
    (void)state;
    static struct race race;
    struct racer racers[READERS + WRITERS];
    struct pywatt_uuid id;
    char token[PW_CARD_TOKEN_MAX];
    race.rounds = 200000 / (pw_test_slow_factor() * pw_test_slow_factor());
    pthread_mutex_init(&race.lock, NULL);
    atomic_init(&race.done, false);
    pw_card_init(&race.card);
    const size_t len = make(0, &id, token);
    pw_card_write(&race.card, &id, 0, (struct pw_str){token, len});
    for (int i = 0; i < READERS + WRITERS; i++) {
        racers[i] = (struct racer){.race = &race};
        assert_int_equal(
            pthread_create(&racers[i].thread, NULL, i < READERS ? read_on : write_on, &racers[i]),
            0);
    }
    for (int i = READERS; i < READERS + WRITERS; i++) {
        pthread_join(racers[i].thread, NULL);
    }
    atomic_store(&race.done, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(racers[i].thread, NULL);
        assert_int_equal(racers[i].torn, 0);
        assert_int_equal(racers[i].backwards, 0);
        assert_true(racers[i].reads > 0);
    }
    pthread_mutex_destroy(&race.lock);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(what_is_read_is_never_half_of_two),
    };
    return PW_TEST_RUN(cases);
}

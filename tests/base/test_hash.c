/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The keyed hash: right, the same in all threads, different in each process. Workers store what they
 * computed; the main thread compares after joining them.
 */
#include "pw_test.h"

#include "base/map.h"
#include "base/siphash.h"
#include "base/sync.h"

#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 8
};

struct hashes {
    uint64_t bytes;
    uint64_t uuid;
    uint64_t number;
};

static const struct pywatt_uuid uuid = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static pthread_barrier_t start_line;
static const char *program;

static struct hashes compute(void)
{
    return (struct hashes){pw_hash_bytes("some name", 9), pw_hash_uuid(&uuid), pw_hash_u64(77)};
}

static void *compute_at_once(void *arg)
{
    pthread_barrier_wait(&start_line);
    *(struct hashes *)arg = compute();
    return NULL;
}

/* The first case: here the secret is drawn. */
static void all_threads_have_the_same_secret_from_the_start(void **state)
{
    (void)state;
    struct hashes results[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_init(&start_line, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pw_thread_start(&threads[i], "hash", compute_at_once, &results[i]),
                         PYWATT_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start_line);
    for (int i = 1; i < THREADS; i++) {
        assert_memory_equal(&results[i], &results[0], sizeof(results[0]));
    }
    assert_true(results[0].number != 0 || results[0].uuid != 0);
}

/* Values of an independent implementation: CPython's, with PYTHONHASHSEED set to 0, 1 and 77. */
static void is_siphash_1_3(void **state)
{
    (void)state;
    const uint64_t zero[2] = {0, 0};
    assert_true(pw_siphash13(zero, "abc", 3) == UINT64_C(13851880170939887858));
    assert_true(pw_siphash13(zero, "0123456789abcdefXYZ", 19) == UINT64_C(2899885535711926331));
    assert_true(pw_siphash13(zero, "12345678", 8) == UINT64_C(3785724242978802311));
    const uint64_t one[2] = {UINT64_C(0xaed66ce184be2329), UINT64_C(0xebe9bbf1f1499052)};
    assert_true(pw_siphash13(one, "some module name", 16) == UINT64_C(14679207080082472510));
    const uint64_t two[2] = {UINT64_C(0xa5d82b05502b1222), UINT64_C(0x2a36ec6c04605b32)};
    assert_true(pw_siphash13(two, "some module name", 16) == UINT64_C(9895596839683588843));
}

static void depends_on_every_bit_of_key_and_data(void **state)
{
    (void)state;
    uint8_t data[24] = {0};
    uint64_t key[2] = {3, 4};
    const uint64_t plain = pw_siphash13(key, data, sizeof(data));
    for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(pw_siphash13(key, data, sizeof(data)) != plain);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 128; bit++) {
        key[bit / 64] ^= UINT64_C(1) << bit % 64;
        assert_true(pw_siphash13(key, data, sizeof(data)) != plain);
        key[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
    for (size_t len = 0; len < sizeof(data); len++) {
        assert_true(pw_siphash13(key, data, len) != plain);
    }
}

static void spreads_ids_that_differ_in_one_bit(void **state)
{
    (void)state;
    uint64_t seen[129];
    for (size_t i = 0; i <= 128; i++) {
        struct pywatt_uuid id = {{0}};
        if (i < 128) {
            id.bytes[i / 8] = (uint8_t)(1u << i % 8);
        }
        seen[i] = pw_hash_uuid(&id);
        for (size_t j = 0; j < i; j++) {
            assert_true(seen[j] != seen[i]);
        }
    }
}

/* A fair hash leaves about a third of as many buckets as items empty. */
static void spreads_numbers_over_the_buckets(void **state)
{
    (void)state;
    static bool used[4096];
    unsigned empty = 0;
    for (uint64_t i = 0; i < 4096; i++) {
        used[pw_hash_u64(i << 32) & 4095] = true;
    }
    for (size_t i = 0; i < 4096; i++) {
        empty += !used[i];
    }
    assert_in_range(empty, 1200, 1800);
}

static void each_hash_has_the_secret_of_the_process(void **state)
{
    (void)state;
    const uint64_t zero_key[2] = {0, 0};
    assert_true(pw_hash_bytes("abc", 3) != pw_siphash13(zero_key, "abc", 3));
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    /* A fresh program, as a fork would share the secret. */
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(program, program, "print", (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    struct hashes theirs;
    assert_int_equal(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    const struct hashes ours = compute();
    assert_true(ours.bytes != theirs.bytes);
    assert_true(ours.uuid != theirs.uuid);
    assert_true(ours.number != theirs.number);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1) {
        const struct hashes ours = compute();
        return write(STDOUT_FILENO, &ours, sizeof(ours)) == sizeof(ours) ? 0 : 1;
    }
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(all_threads_have_the_same_secret_from_the_start),
        cmocka_unit_test(is_siphash_1_3),
        cmocka_unit_test(depends_on_every_bit_of_key_and_data),
        cmocka_unit_test(spreads_ids_that_differ_in_one_bit),
        cmocka_unit_test(spreads_numbers_over_the_buckets),
        cmocka_unit_test(each_hash_has_the_secret_of_the_process),
    };
    return PW_TEST_RUN(cases);
}

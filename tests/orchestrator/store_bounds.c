/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the sqlite store takes of memory and of the disk: changes that wait for a disk which hangs have a
 * bound, those that came meanwhile share a sync, the write-ahead log has a bound, and the database has
 * the room for what is in its log.
 */
#include "orchestrator/store_sqlite_private.h"

#include "faulty_vfs.h"
#include "pw_test.h"
#include "store_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int set_up(void **state)
{
    (void)state;
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    return 0;
}

/* ---- Memory ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hangs;
static bool hanging;
static unsigned answers;
static unsigned syncs;
static enum pywatt_status worst;

static void hang(const struct vfs_event *event)
{
    pthread_mutex_lock(&mutex);
    syncs += event->kind == VFS_SYNC;
    while (hangs && event->kind == VFS_SYNC) {
        hanging = true;
        pthread_cond_broadcast(&changed);
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void set_hangs(bool value)
{
    pthread_mutex_lock(&mutex);
    hangs = value;
    hanging = false;
    answers = value ? 0 : answers;
    syncs = value ? 0 : syncs;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void note(void *user, enum pywatt_status status)
{
    (void)user;
    pthread_mutex_lock(&mutex);
    worst = status != PYWATT_OK ? status : worst;
    answers++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void await(const bool *what, unsigned count)
{
    pthread_mutex_lock(&mutex);
    while (!*what || answers < count) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

enum {
    WAITING = 40,
    WAITING_MAX = 32 * 1024
};

static void what_waits_for_a_disk_that_hangs_has_a_bound(void **state)
{
    (void)state;
    static struct pw_store_change changes[WAITING];
    const bool yes = true;
    struct store_place place;
    faulty_vfs_listen(hang);
    store_file_begin(&place);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_put(store, 200, "first", 0), PYWATT_OK);
    ((struct pw_sqlite_store *)store)->waiting_max = WAITING_MAX;
    set_hangs(true);
    for (unsigned i = 0; i < WAITING; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", i);
        changes[i] =
            (struct pw_store_change){.kind = PW_STORE_PUT, .record = store_record(i, name, 1)};
        pw_store_submit(store, &changes[i], note, NULL);
    }
    await(&hanging, 0);
    /* Those that were refused are answered at once; the others are kept when the disk goes on. */
    pthread_mutex_lock(&mutex);
    const unsigned refused = answers;
    assert_int_equal(worst, PYWATT_UNAVAILABLE);
    pthread_mutex_unlock(&mutex);
    assert_in_range(refused, WAITING - WAITING_MAX / 1024, WAITING - 8);
    set_hangs(false);
    await(&yes, WAITING);
    assert_int_equal(store_list(store, NULL).count, 1 + WAITING - refused);
    assert_int_equal(store_put(store, 201, "last", 0), PYWATT_OK);
    pw_store_close(store);
    for (unsigned i = 0; i < WAITING; i++) {
        store_record_release(&changes[i].record);
    }
    faulty_vfs_listen(NULL);
    store_place_end(&place);
}

/* ---- Syncs ---- */

enum {
    THREADS = 2,
    EACH = 50
};

struct submitter {
    struct pw_store *store;
    unsigned first;
    struct pw_store_change changes[EACH];
    pthread_t thread;
};

static void *submit_all(void *user)
{
    struct submitter *mine = user;
    for (unsigned i = 0; i < EACH; i++) {
        pw_store_submit(mine->store, &mine->changes[i], note, NULL);
    }
    return NULL;
}

static void begin_submitting(struct submitter *mine, struct pw_store *store, unsigned first)
{
    mine->store = store;
    for (unsigned i = 0; i < EACH; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", first + i);
        mine->changes[i] = (struct pw_store_change){.kind = PW_STORE_PUT,
                                                    .record = store_record(first + i, name, 1)};
    }
    assert_int_equal(pthread_create(&mine->thread, NULL, submit_all, mine), 0);
}

/* While one change is on its way to the disk a hundred come from two threads. */
static void changes_that_come_during_a_sync_share_the_next_one(void **state)
{
    (void)state;
    static struct submitter submitters[THREADS];
    const bool yes = true;
    struct store_place place;
    faulty_vfs_listen(hang);
    store_file_begin(&place);
    struct pw_store *store = store_place_open(&place);
    struct pw_store_change first = {.kind = PW_STORE_PUT, .record = store_record(200, "first", 1)};
    set_hangs(true);
    pw_store_submit(store, &first, note, NULL);
    await(&hanging, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        begin_submitting(&submitters[i], store, i * EACH);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(submitters[i].thread, NULL);
    }
    set_hangs(false);
    await(&yes, 1 + THREADS * EACH);
    pthread_mutex_lock(&mutex);
    assert_int_equal(worst, PYWATT_OK);
    assert_in_range(syncs, 2, 3);
    pthread_mutex_unlock(&mutex);
    assert_int_equal(store_list(store, NULL).count, 1 + THREADS * EACH);
    pw_store_close(store);
    store_record_release(&first.record);
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        store_record_release(&submitters[i / EACH].changes[i % EACH].record);
    }
    faulty_vfs_listen(NULL);
    store_place_end(&place);
}

/* ---- The disk ---- */

static off_t size_of(const struct store_place *place, const char *suffix)
{
    struct stat found;
    char path[600];
    store_file_path(place, suffix, path);
    return stat(path, &found) == 0 ? found.st_size : 0;
}

/* A module whose row takes some twenty pages. */
static void put_large(struct pw_store *store, unsigned n, uint64_t expected)
{
    char text[PYWATT_JSON_VALUE_MAX];
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .expected_generation = expected,
                                     .record = store_record(n, "large", expected + 1)};
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    memset(text, '"', sizeof(text));
    /* Each time another one, or its pages would stay as they are. */
    memset(text + 1, 'a' + (int)(expected % 26), sizeof(text) - 3);
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(pywatt_capabilities_set_capability(capabilities, key, text), PYWATT_OK);
    }
    change.record.capabilities = pw_shared_capabilities_new(capabilities);
    assert_int_equal(store_submit(store, &change), PYWATT_OK);
    store_record_release(&change.record);
}

static void the_log_has_a_bound(void **state)
{
    (void)state;
    struct store_place place;
    store_file_begin(&place);
    struct pw_store *store = store_place_open(&place);
    for (uint64_t generation = 0; generation < 70; generation++) {
        put_large(store, 1, generation);
    }
    /* A thousand pages, and what the last change was above that. */
    assert_in_range(size_of(&place, "-wal"), 1, 4500000);
    pw_store_close(store);
    store_place_end(&place);
}

/* Else a full disk could take no change, and could not be left either. */
static void the_database_has_room_for_what_is_in_its_log(void **state)
{
    (void)state;
    struct store_place place;
    store_file_begin(&place);
    struct pw_store *store = store_place_open(&place);
    put_large(store, 1, 0);
    const off_t log = size_of(&place, "-wal");
    assert_true(log > 20 * 4096);
    assert_true(size_of(&place, "") > 20 * 4096);
    pw_store_close(store);
    /* And what it did not need is given back. */
    assert_true(size_of(&place, "") < 40 * 4096);
    store_place_end(&place);
}

/* The row's page and that of the state; the index of names is as it was. */
static void a_module_that_keeps_its_name_costs_two_pages(void **state)
{
    (void)state;
    const off_t header = 32;
    const off_t frame = 24 + 4096;
    struct store_place place;
    store_file_begin(&place);
    store_file_fill(&place, 5);
    struct pw_store *store = store_place_open(&place);
    assert_int_equal(store_put(store, 3, "n3", 1), PYWATT_OK);
    assert_int_equal(size_of(&place, "-wal"), header + 2 * frame);
    assert_int_equal(store_put(store, 3, "other", 2), PYWATT_OK);
    assert_int_equal(size_of(&place, "-wal"), header + 5 * frame);
    assert_int_equal(store_put(store, 3, "other", 3), PYWATT_OK);
    pw_store_close(store);
    store = store_place_open(&place);
    assert_string_equal(store_list(store, NULL).names, "n1:1 n2:1 other:4 n4:1 n5:1 ");
    pw_store_close(store);
    store_place_end(&place);
}

/* It is mapped: a block that it lacks on a full disk is a signal. */
static void the_mapped_file_takes_its_room_from_the_disk(void **state)
{
    (void)state;
    struct store_place at;
    struct pw_sqlite_place place;
    struct stat found;
    int fd = -1;
    store_file_begin(&at);
    store_file_write(&at, "-shm", "", 0);
    assert_int_equal(pw_sqlite_place_init(&place, store_place_path(&at), NULL), PYWATT_OK);
    assert_int_equal(pw_sqlite_files_fill_shm(&place, &fd, NULL), PYWATT_OK);
    assert_int_equal(fstat(fd, &found), 0);
    const bool can = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1) == 0;
    assert_true(!can || found.st_blocks * 512 >= 32768);
    close(fd);
    pw_sqlite_place_destroy(&place);
    store_place_end(&at);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(changes_that_come_during_a_sync_share_the_next_one),
        cmocka_unit_test(what_waits_for_a_disk_that_hangs_has_a_bound),
        cmocka_unit_test(the_log_has_a_bound),
        cmocka_unit_test(a_module_that_keeps_its_name_costs_two_pages),
        cmocka_unit_test(the_database_has_room_for_what_is_in_its_log),
        cmocka_unit_test(the_mapped_file_takes_its_room_from_the_disk),
    };
    return PW_TEST_RUN_WITH(cases, set_up, NULL);
}

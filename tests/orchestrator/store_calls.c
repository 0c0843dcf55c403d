/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The sqlite store when the system refuses: each call that it or SQLite makes fails once, with each
 * error that it may have. Opened, changed, closed, opened again, and recovered: what was answered is
 * there, what was refused is not, and a refusal has words.
 *
 * Left out on purpose: SQLite's syncs, which are pretended here (store_faults.c has them fail), its
 * access and fallocate, which it never calls for us, and fchmod and fchown, whose results it does not
 * look at; and our own access(2), which finds words for a refusal, or a free name where no link can be
 * made (store_recovery.c).
 *
 * PYWATT_TEST_LONG is for every call; else it is a choice of the later ones.
 */
#include "call_fail.h"
#include "faulty_vfs.h"
#include "pw_test.h"
#include "store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CALLS_MAX = 3000
};

/* ---- What SQLite calls ---- */

/* These are calls of this program, and so fail as those of the library do. */
static int its_open(const char *path, int flags, int mode)
{
    return open(path, flags, mode);
}

static ssize_t its_pread(int fd, void *out, size_t len, off_t offset)
{
    return pread(fd, out, len, offset);
}

static ssize_t its_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return pwrite(fd, data, len, offset);
}

static int its_ftruncate(int fd, off_t len)
{
    return ftruncate(fd, len);
}

static int its_unlink(const char *path)
{
    return unlink(path);
}

static int its_stat(const char *path, struct stat *out)
{
    return stat(path, out);
}

static int its_fstat(int fd, struct stat *out)
{
    return fstat(fd, out);
}

static int its_lstat(const char *path, struct stat *out)
{
    return lstat(path, out);
}

/* And these are not. */
static size_t shorter(int fate, size_t len)
{
    return fate == CALL_SHORT && len > 1 ? 1 : len;
}

static ssize_t its_read(int fd, void *out, size_t len)
{
    const int fate = call_fail_fate(CALL_PREAD);
    return fate > 0 ? -1 : read(fd, out, shorter(fate, len));
}

static ssize_t its_write(int fd, const void *data, size_t len)
{
    const int fate = call_fail_fate(CALL_PWRITE);
    return fate > 0 ? -1 : write(fd, data, shorter(fate, len));
}

/* Of PATH-shm. */
static void *its_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    return call_fail_fate(CALL_MMAP) != 0 ? MAP_FAILED
                                          : mmap(at, len, protection, flags, fd, offset);
}

/* Its locks, with F_SETLK, F_GETLK. No system refuses to unlock; SQLite would wait long for itself. */
static int its_fcntl(int fd, int what, void *more)
{
    const bool unlocks = what == F_SETLK && ((const struct flock *)more)->l_type == F_UNLCK;
    return !unlocks && call_fail_fate(CALL_FLOCK) != 0 ? -1 : fcntl(fd, what, more);
}

static const struct {
    const char *name;
    sqlite3_syscall_ptr call;
} its_calls[] = {
    {"open", (sqlite3_syscall_ptr)its_open},
    {"read", (sqlite3_syscall_ptr)its_read},
    {"pread", (sqlite3_syscall_ptr)its_pread},
    {"pread64", (sqlite3_syscall_ptr)its_pread},
    {"write", (sqlite3_syscall_ptr)its_write},
    {"pwrite", (sqlite3_syscall_ptr)its_pwrite},
    {"pwrite64", (sqlite3_syscall_ptr)its_pwrite},
    {"ftruncate", (sqlite3_syscall_ptr)its_ftruncate},
    {"unlink", (sqlite3_syscall_ptr)its_unlink},
    {"stat", (sqlite3_syscall_ptr)its_stat},
    {"fstat", (sqlite3_syscall_ptr)its_fstat},
    {"lstat", (sqlite3_syscall_ptr)its_lstat},
    {"mmap", (sqlite3_syscall_ptr)its_mmap},
    {"fcntl", (sqlite3_syscall_ptr)its_fcntl},
};

static int set_up(void **state)
{
    (void)state;
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    unsigned set = 0;
    for (size_t i = 0; i < sizeof(its_calls) / sizeof(its_calls[0]); i++) {
        set += vfs->xSetSystemCall(vfs, its_calls[i].name, its_calls[i].call) == SQLITE_OK;
    }
    assert_true(set > 10);
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    return 0;
}

/* ---- What fails ---- */

/* `put_off`: it is tried again, so nobody notices. */
static const struct fault {
    enum call call;
    int number;
    bool put_off;
} faults[] = {
    {CALL_OPEN, EINTR, false},       {CALL_OPEN, EMFILE, false},
    {CALL_OPEN, EACCES, false},      {CALL_PREAD, EINTR, true},
    {CALL_PREAD, EIO, false},        {CALL_PREAD, CALL_SHORT, true},
    {CALL_PWRITE, EINTR, true},      {CALL_PWRITE, EIO, false},
    {CALL_PWRITE, ENOSPC, false},    {CALL_PWRITE, EDQUOT, false},
    {CALL_PWRITE, CALL_SHORT, true}, {CALL_FSYNC, EIO, false},
    {CALL_FTRUNCATE, EIO, false},    {CALL_STAT, EIO, false},
    {CALL_STAT, ENOMEM, false},      {CALL_FLOCK, ENOLCK, false},
    {CALL_FLOCK, EAGAIN, false},     {CALL_RENAME, ENOSPC, false},
    {CALL_RENAME, EIO, false},       {CALL_LINK, ENOSPC, false},
    {CALL_UNLINK, EIO, false},       {CALL_THREAD, EAGAIN, false},
    {CALL_FALLOCATE, ENOSPC, false}, {CALL_FALLOCATE, EIO, false},
    {CALL_FALLOCATE, EINTR, true},   {CALL_FALLOCATE, EOPNOTSUPP, true},
    {CALL_MMAP, ENOMEM, false},      {CALL_REALPATH, EIO, false},
    {CALL_REALPATH, ENOMEM, false},  {CALL_FSYNC, ENOSPC, false},
    {CALL_FTRUNCATE, ENOSPC, false}, {CALL_FTRUNCATE, EINTR, false},
    {CALL_FLOCK, EINTR, false},
};

static void explain(const struct fault *fault, unsigned long n, const char *step,
                    enum pywatt_status status, const char *text)
{
    fail_msg("%s %lu, %s: %s: %s: %s", call_names[fault->call], n,
             fault->number == CALL_SHORT ? "one byte" : strerror(fault->number), step,
             pywatt_status_name(status), text);
}

static bool is_fair(const struct fault *fault, enum pywatt_status status)
{
    return status == PYWATT_OK ||
           (!fault->put_off && (status == PYWATT_IO || status == PYWATT_LIMIT ||
                                status == PYWATT_UNAVAILABLE || status == PYWATT_NO_MEMORY));
}

/* ---- A life ---- */

struct life {
    struct store_place place;
    const struct fault *fault;
    unsigned long n;
    uint64_t generation[4]; /* 0: not there */
};

static void change(struct life *life, struct pw_store *store, unsigned n, bool put)
{
    char name[8];
    const uint64_t expected = life->generation[n];
    snprintf(name, sizeof(name), "n%u", n);
    const enum pywatt_status status =
        put ? store_put(store, n, name, expected) : store_take_out(store, n, expected);
    if (status == PYWATT_OK) {
        life->generation[n] = put ? expected + 1 : 0;
    } else if (!is_fair(life->fault, status)) {
        explain(life->fault, life->n, "change", status, "");
    }
}

static void expect_what_was_answered(const struct life *life, const char *step)
{
    struct pw_store *store = NULL;
    struct pywatt_error error;
    unsigned count = 0;
    const enum pywatt_status status = pw_store_open(life->place.url, &store, &error);
    if (status != PYWATT_OK) {
        explain(life->fault, life->n, step, status, error.text);
    }
    const struct store_listed listed = store_list(store, NULL);
    for (unsigned n = 1; n < 4; n++) {
        char expected[16];
        snprintf(expected, sizeof(expected), "n%u:%u ", n, (unsigned)life->generation[n]);
        count += life->generation[n] > 0;
        if (life->generation[n] > 0 && strstr(listed.names, expected) == NULL) {
            explain(life->fault, life->n, step, PYWATT_OK, listed.names);
        }
    }
    if (listed.count != count) {
        explain(life->fault, life->n, step, PYWATT_OK, listed.names);
    }
    pw_store_close(store);
}

/* NULL if it is refused. */
static struct pw_store *open_it(const struct life *life)
{
    struct pw_store *store = NULL;
    struct pywatt_error error = {.text = ""};
    const enum pywatt_status status = pw_store_open(life->place.url, &store, &error);
    if (!is_fair(life->fault, status) || (status != PYWATT_OK && error.text[0] == '\0')) {
        explain(life->fault, life->n, "open", status, error.text);
    }
    return store;
}

static void live(struct life *life)
{
    for (unsigned n = 1; n < 4; n++) {
        struct pw_store *store = open_it(life);
        if (store != NULL) {
            change(life, store, n, true);
            change(life, store, 1, true);
            change(life, store, 2, life->generation[2] == 0);
            pw_store_close(store);
        }
    }
}

static unsigned long failed;

static void fail_each(const struct fault *fault, void (*run)(struct life *life))
{
    bool fired = true;
    const bool slow = pw_test_slow_factor() > 1;
    const bool all = getenv("PYWATT_TEST_LONG") != NULL;
    unsigned long step = 1;
    for (unsigned long n = 1; fired; n += step) {
        struct life life = {.fault = fault, .n = n};
        assert_in_range(n, 1, CALLS_MAX);
        store_file_begin(&life.place);
        const size_t descriptors = pw_test_open_fds();
        call_fail_at(fault->call, n, fault->number);
        run(&life);
        fired = call_fail_disarm();
        failed += fired;
        assert_int_equal(pw_test_open_fds(), descriptors);
        expect_what_was_answered(&life, "afterwards");
        store_place_end(&life.place);
        step = all ? 1 : slow ? 1 + n : 1 + n / 8;
    }
}

/* Under slow tools one error of each call. */
static void fail_all(void (*run)(struct life *life))
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (pw_test_slow_factor() == 1 || i == 0 || faults[i].call != faults[i - 1].call) {
            const unsigned long before = failed;
            fail_each(&faults[i], run);
            if (getenv("PYWATT_TEST_VERBOSE") != NULL) {
                print_message("%s, %d: %lu times\n", call_names[faults[i].call], faults[i].number,
                              failed - before);
            }
        }
    }
}

static void what_was_answered_is_there_whichever_call_fails(void **state)
{
    (void)state;
    fail_all(live);
}

/* Else a disk that is full would end the process with SIGBUS, later. */
static void a_start_without_room_for_shared_memory_is_refused(void **state)
{
    (void)state;
    struct store_place place;
    struct pw_store *store = NULL;
    struct pywatt_error error = {.text = ""};
    store_file_begin(&place);
    call_fail_at(CALL_FALLOCATE, 1, ENOSPC);
    assert_int_equal(pw_store_open(place.url, &store, &error), PYWATT_IO);
    assert_true(call_fail_disarm());
    assert_non_null(strstr(error.text, store_place_path(&place)));
    assert_non_null(strstr(error.text, strerror(ENOSPC)));
    store = store_place_open(&place);
    pw_store_close(store);
    store_place_end(&place);
}

/* ---- A recovery ---- */

static void recover(struct life *life)
{
    struct pw_store_salvage salvage;
    struct pywatt_error error = {.text = ""};
    const unsigned long n = life->n;
    call_fail_disarm();
    store_file_fill(&life->place, 3);
    assert_int_equal(
        store_file_run_sql(&life->place, "UPDATE modules SET lease_ms = 1 WHERE name = 'n2'"),
        SQLITE_OK);
    life->generation[1] = 1;
    life->generation[3] = 1;
    call_fail_at(life->fault->call, n, life->fault->number);
    const enum pywatt_status status = pw_store_recover(life->place.url, &salvage, &error);
    const bool fired = call_fail_disarm();
    if (!is_fair(life->fault, status) || (status != PYWATT_OK && error.text[0] == '\0')) {
        explain(life->fault, n, "recover", status, error.text);
    }
    /* It is ended by the next start, or done once more. */
    struct pw_store *store = NULL;
    if (status != PYWATT_OK && pw_store_open(life->place.url, &store, NULL) != PYWATT_OK) {
        assert_int_equal(pw_store_recover(life->place.url, &salvage, NULL), PYWATT_OK);
    }
    if (store != NULL) {
        pw_store_close(store);
    }
    if (fired) { /* so that it counts as such */
        call_fail_at(CALL_FLOCK, 1, ENOLCK);
        (void)call_fail_fate(CALL_FLOCK);
    }
}

static void a_recovery_goes_well_in_the_end_whichever_call_fails(void **state)
{
    (void)state;
    fail_all(recover);
}

static void where_files_have_one_name_a_recovery_renames(void **state)
{
    (void)state;
    static const int numbers[] = {EPERM, EOPNOTSUPP, EMLINK, ENOSYS};
    struct store_place place;
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    char aside[600];
    store_file_begin(&place);
    store_file_fill(&place, 2);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char suffix[24];
        call_fail_at(CALL_LINK, 0, numbers[i]);
        assert_int_equal(pw_store_recover(place.url, &salvage, &error), PYWATT_OK);
        assert_true(call_fail_disarm());
        assert_int_equal(salvage.kept, 2);
        /* What earlier ones have set aside stays. */
        for (unsigned k = 1; k <= i + 1; k++) {
            snprintf(suffix, sizeof(suffix), ".damaged-%u", k);
            assert_true(store_file_is_there(&place, suffix));
        }
        store_file_path(&place, suffix, aside);
        assert_string_equal(salvage.aside, aside);
        struct pw_store *store = store_place_open(&place);
        assert_string_equal(store_list(store, NULL).names, "n1:1 n2:1 ");
        pw_store_close(store);
    }
    store_place_end(&place);
}

static int tell(void **state)
{
    (void)state;
    print_message("%lu calls failed\n", failed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_was_answered_is_there_whichever_call_fails),
        cmocka_unit_test(a_start_without_room_for_shared_memory_is_refused),
        cmocka_unit_test(a_recovery_goes_well_in_the_end_whichever_call_fails),
        cmocka_unit_test(where_files_have_one_name_a_recovery_renames),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tell);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_file.c - the files around a database: their names, how a new one comes into being, and
 * how a recovered one takes the place of a damaged one. Whoever calls has the lock.
 *
 * PATH appears at once and whole: what is made is made as PATH-new and renamed. So an empty or a cut
 * file at PATH is damage, and never a beginning.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    ASIDE_MAX = 1000
};

/* ---- Names ---- */

static void show(char shown[PW_SQLITE_SHOWN_SIZE], const char *path)
{
    const size_t len = strlen(path);
    const bool fits = len < PW_SQLITE_SHOWN_SIZE;
    snprintf(shown, PW_SQLITE_SHOWN_SIZE, "%s%s", fits ? "" : "...",
             fits ? path : path + len - (PW_SQLITE_SHOWN_SIZE - 4));
}

/*
 * The file itself, whatever links lead to it: one file has one PATH-lock. One that is not there yet, or
 * whose folder is not, has the path it was given.
 */
static char *resolve(char *path)
{
    char *real = realpath(path, NULL);
    if (real == NULL && errno != ENOMEM) {
        char *slash = strrchr(path, '/');
        char *folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
        char *real_folder = folder == NULL ? NULL : realpath(folder, NULL);
        if (real_folder == NULL) {
            real = folder == NULL || errno == ENOMEM ? NULL : strdup(path);
        } else if (asprintf(&real, "%s%s", real_folder[1] == '\0' ? "" : real_folder, slash) < 0) {
            real = NULL;
        }
        free(folder);
        free(real_folder);
    }
    free(path);
    return real;
}

enum pywatt_status pw_sqlite_place_init(struct pw_sqlite_place *place, const char *path,
                                        struct pywatt_error *error)
{
    if (path == NULL || *path == '\0') {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "the store \"sqlite\" needs a file: \"sqlite:PATH\"");
    }
    /* SQLite gives some names a meaning of their own, such as ":memory:"; not with a folder before. */
    if (asprintf(&place->path, "%s%s", *path == '/' ? "" : "./", path) < 0) {
        place->path = NULL;
        return pw_error_no_memory(error);
    }
    place->path = resolve(place->path);
    if (place->path == NULL) {
        return pw_error_no_memory(error);
    }
    show(place->shown, path);
    return PYWATT_OK;
}

void pw_sqlite_place_destroy(struct pw_sqlite_place *place)
{
    free(place->path);
    place->path = NULL;
}

char *pw_sqlite_path_with(const struct pw_sqlite_place *place, const char *suffix)
{
    char *path = NULL;
    return asprintf(&path, "%s%s", place->path, suffix) < 0 ? NULL : path;
}

enum pywatt_status pw_sqlite_refuse_file(const struct pw_sqlite_place *place, const char *suffix,
                                         const char *what, struct pywatt_error *error)
{
    const int number = errno;
    return number == ENOMEM ? pw_error_no_memory(error)
                            : pw_error_set(error, PYWATT_IO, "%s%s cannot be %s: %s", place->shown,
                                           suffix, what, strerror(number));
}

/* ---- Steps that leave one errno behind ---- */

/* For what need not be there. */
static bool remove_file(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT;
}

/* With what SQLite leaves beside a database that was not closed. */
static bool remove_database(const struct pw_sqlite_place *place, const char *suffix)
{
    static const char *const beside[] = {"", "-journal", "-wal", "-shm"};
    bool gone = true;
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]) && gone; i++) {
        char both[32];
        snprintf(both, sizeof(both), "%s%s", suffix, beside[i]);
        char *path = pw_sqlite_path_with(place, both);
        gone = path != NULL && remove_file(path);
        free(path);
    }
    return gone;
}

/* What was renamed in the folder of the database stays so. */
static bool sync_folder(const struct pw_sqlite_place *place)
{
    char *folder = strdup(place->path);
    if (folder == NULL) {
        return false;
    }
    /* There is a slash: see pw_sqlite_place_init. */
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    const int number = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = number;
    return synced;
}

static bool rename_to(const struct pw_sqlite_place *place, const char *from, const char *to)
{
    char *old_path = pw_sqlite_path_with(place, from);
    char *new_path = pw_sqlite_path_with(place, to);
    const bool renamed = old_path != NULL && new_path != NULL && rename(old_path, new_path) == 0;
    const int number = errno;
    free(old_path);
    free(new_path);
    errno = number;
    return renamed && sync_folder(place);
}

/* 1 or 0, or -1 with errno. */
static int exists(const struct pw_sqlite_place *place, const char *suffix, off_t *size)
{
    struct stat found;
    char *path = pw_sqlite_path_with(place, suffix);
    if (path == NULL) {
        return -1;
    }
    const int result = stat(path, &found);
    const int number = errno;
    free(path);
    errno = number;
    if (result != 0) {
        return number == ENOENT ? 0 : -1;
    }
    *size = found.st_size;
    return 1;
}

/* ---- A new database ---- */

enum pywatt_status pw_sqlite_files_create(const struct pw_sqlite_place *place, const char *path,
                                          struct pywatt_error *error)
{
    if (!remove_database(place, "-new")) {
        return pw_sqlite_refuse_file(place, "-new", "removed", error);
    }
    /* SQLite gives its other files the mode of this one. Hashes of tokens are nobody's business. */
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return pw_sqlite_refuse_file(place, "", "made", error);
    }
    close(fd);
    struct pw_sqlite_db db;
    int result = pw_sqlite_db_open(&db, path);
    if (result == SQLITE_OK) {
        result = pw_sqlite_schema_create(&db, &pw_sqlite_schema);
    }
    const enum pywatt_status status =
        result == SQLITE_OK ? PYWATT_OK : pw_sqlite_refuse(place, &db, result, error);
    pw_sqlite_db_close(&db);
    return status;
}

static enum pywatt_status begin(const struct pw_sqlite_place *place, int lock_fd,
                                struct pywatt_error *error)
{
    if (!pw_sqlite_answered_forget(lock_fd)) {
        return pw_sqlite_refuse_file(place, "-lock", "written", error);
    }
    char *path = pw_sqlite_path_with(place, "-new");
    if (path == NULL) {
        return pw_error_no_memory(error);
    }
    enum pywatt_status status = pw_sqlite_files_create(place, path, error);
    free(path);
    if (status == PYWATT_OK && !rename_to(place, "-new", "")) {
        status = pw_sqlite_refuse_file(place, "", "made", error);
    }
    return status;
}

/* ---- A recovered database ---- */

/* Where files have no second names, the first one will have to do. */
static bool cannot_link(int number)
{
    return number == EPERM || number == EOPNOTSUPP || number == EMLINK || number == ENOSYS;
}

/* Gives it another name, beside its own if that can be. */
static int name_aside(const char *path, const char *aside)
{
    int result = link(path, aside);
    if (result != 0 && cannot_link(errno)) {
        result = access(aside, F_OK) == 0 ? (errno = EEXIST, -1) : rename(path, aside);
    }
    return result;
}

/* 1, or 0 if the name is in use already, or -1 with errno. The log, which need not be there, first. */
static int set_both_aside(const struct pw_sqlite_place *place, const char *aside)
{
    char *log = pw_sqlite_path_with(place, "-wal");
    char *log_aside = NULL;
    int result = -1;
    if (log != NULL && asprintf(&log_aside, "%s-wal", aside) >= 0) {
        result = name_aside(log, log_aside) == 0 || errno == ENOENT ? 1 : errno == EEXIST ? 0 : -1;
        if (result == 1) {
            result = name_aside(place->path, aside) == 0 ? 1 : errno == EEXIST ? 0 : -1;
        }
    }
    const int number = errno;
    free(log);
    free(log_aside);
    errno = number;
    return result;
}

/* PATH and its log get a second name, PATH.damaged-N; *aside gets it. */
static enum pywatt_status set_aside(const struct pw_sqlite_place *place, char **aside,
                                    struct pywatt_error *error)
{
    int done = 0;
    for (int i = 1; i < ASIDE_MAX && done == 0; i++) {
        if (asprintf(aside, "%s.damaged-%d", place->path, i) < 0) {
            *aside = NULL;
            return pw_error_no_memory(error);
        }
        done = set_both_aside(place, *aside);
        if (done != 1) {
            const int number = errno;
            free(*aside);
            *aside = NULL;
            errno = number;
        }
    }
    return done == 1 && sync_folder(place) ? PYWATT_OK
                                           : pw_sqlite_refuse_file(place, "", "set aside", error);
}

/*
 * Until the log of the damaged database is gone the recovered one must not have its name: SQLite would
 * take the log for its own. So whoever finds PATH-recovered goes on here. What is at PATH and has no
 * second name was not set aside yet, or put there since: it is never removed.
 */
static enum pywatt_status end_recovery(const struct pw_sqlite_place *place, char **aside,
                                       struct pywatt_error *error)
{
    struct stat found;
    const int there = stat(place->path, &found) == 0 ? 1 : errno == ENOENT ? 0 : -1;
    if (there < 0) {
        return pw_sqlite_refuse_file(place, "", "opened", error);
    }
    if (there == 1 && found.st_nlink == 1) {
        const enum pywatt_status status = set_aside(place, aside, error);
        if (status != PYWATT_OK) {
            return status;
        }
    }
    return remove_database(place, "") && rename_to(place, "-recovered", "")
               ? PYWATT_OK
               : pw_sqlite_refuse_file(place, "", "replaced by what was recovered", error);
}

enum pywatt_status pw_sqlite_files_recovered(const struct pw_sqlite_place *place, char **aside,
                                             struct pywatt_error *error)
{
    return rename_to(place, "-new", "-recovered")
               ? end_recovery(place, aside, error)
               : pw_sqlite_refuse_file(place, "-new", "renamed", error);
}

/* ---- PATH-shm ---- */

enum {
    SHM_BYTES = 32768 /* what SQLite maps of it at first, enough for four thousand frames */
};

/* What there is for it, with what it has already. */
static uint64_t room_for_shm(const struct pw_sqlite_place *place, const char *path)
{
    struct statvfs disk;
    struct stat found;
    if (statvfs(place->path, &disk) != 0) {
        return UINT64_MAX;
    }
    const uint64_t blocks = geteuid() == 0 ? disk.f_bfree : disk.f_bavail;
    const uint64_t has = stat(path, &found) == 0 ? (uint64_t)found.st_blocks * 512 : 0;
    return blocks * disk.f_frsize + has;
}

enum pywatt_status pw_sqlite_files_check_room(const struct pw_sqlite_place *place,
                                              struct pywatt_error *error)
{
    char *path = pw_sqlite_path_with(place, "-shm");
    if (path == NULL) {
        return pw_error_no_memory(error);
    }
    const bool enough = room_for_shm(place, path) >= SHM_BYTES;
    free(path);
    return enough ? PYWATT_OK
                  : pw_error_set(error, PYWATT_IO, "%s cannot be opened: disk full", place->shown);
}

enum pywatt_status pw_sqlite_files_fill_shm(const struct pw_sqlite_place *place, int *fd,
                                            struct pywatt_error *error)
{
    char *path = pw_sqlite_path_with(place, "-shm");
    if (path == NULL) {
        return pw_error_no_memory(error);
    }
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    free(path);
    int result = *fd < 0 ? -1 : 0;
    if (result == 0) {
        do {
            result = fallocate(*fd, FALLOC_FL_KEEP_SIZE, 0, SHM_BYTES);
        } while (result != 0 && errno == EINTR);
        if (result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
            result = 0;
        }
    }
    return result == 0 ? PYWATT_OK : pw_sqlite_refuse_file(place, "-shm", "filled", error);
}

/* ---- While it is open ---- */

bool pw_sqlite_files_same(const struct pw_sqlite_store *store)
{
    struct stat found;
    if (stat(store->place.path, &found) != 0) {
        return false;
    }
    errno = 0;
    return found.st_dev == store->device && found.st_ino == store->inode;
}

/* ---- Before it is opened ---- */

static enum pywatt_status refuse_kind(const struct pw_sqlite_place *place,
                                      struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_IO, "%s is no regular file: choose another one",
                        place->shown);
}

static enum pywatt_status check_file(const struct pw_sqlite_place *place, int lock_fd,
                                     struct pywatt_error *error)
{
    struct stat found;
    off_t size = 0;
    off_t log_size = 0;
    const int there = exists(place, "", &size);
    const int log_there = there < 0 ? 0 : exists(place, "-wal", &log_size);
    if (there < 0 || log_there < 0) {
        return pw_sqlite_refuse_file(place, "", "opened", error);
    }
    if (there == 1 && stat(place->path, &found) == 0 && !S_ISREG(found.st_mode)) {
        return refuse_kind(place, error);
    }
    if (there == 1) {
        return size > 0 ? PYWATT_OK : pw_sqlite_refuse_damaged(place, "it is empty", error);
    }
    if (log_there == 1 && log_size > 0) {
        return pw_error_set(
            error, PYWATT_IO,
            "%s is not there, but %s-wal is, which belongs to it: bring it back, or "
            "move that away to begin anew",
            place->shown, place->shown);
    }
    return begin(place, lock_fd, error);
}

enum pywatt_status pw_sqlite_files_end_recovery(const struct pw_sqlite_place *place,
                                                struct pywatt_error *error)
{
    off_t size;
    const int recovered = exists(place, "-recovered", &size);
    if (recovered < 0) {
        return pw_sqlite_refuse_file(place, "-recovered", "opened", error);
    }
    if (recovered == 0) {
        return PYWATT_OK;
    }
    char *aside = NULL;
    const enum pywatt_status status = end_recovery(place, &aside, error);
    free(aside);
    return status;
}

enum pywatt_status pw_sqlite_files_check_damaged(const struct pw_sqlite_place *place,
                                                 struct pywatt_error *error)
{
    struct stat found;
    off_t size;
    if (exists(place, "-recovered", &size) == 1) {
        return PYWATT_OK;
    }
    if (stat(place->path, &found) != 0) {
        return pw_sqlite_refuse_file(place, "", "recovered", error);
    }
    return S_ISREG(found.st_mode) ? PYWATT_OK : refuse_kind(place, error);
}

enum pywatt_status pw_sqlite_files_prepare(const struct pw_sqlite_place *place, int lock_fd,
                                           struct pywatt_error *error)
{
    const enum pywatt_status status = pw_sqlite_files_end_recovery(place, error);
    return status == PYWATT_OK ? check_file(place, lock_fd, error) : status;
}

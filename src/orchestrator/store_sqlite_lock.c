/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_lock.c - PATH-lock, which lies beside a database: who has it, and which change was the
 * last to be answered. Two lines of a fixed length. Who opens reads them, the writer thread writes the
 * second one.
 *
 * SQLite takes a log with a damaged byte for one that ends there, and a log that is gone for one that
 * was never begun. What is written here after each commit tells that changes are missing. It is not
 * brought to the disk by itself: it may be older than the database after a power cut, but never
 * newer, so nothing is missed that was not answered.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/error.h"
#include "base/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    HOLDER_SIZE = 24,
    ANSWERED_SIZE = 38 /* a number of 20 digits, a checksum of 16 */
};

/* ---- The lock ---- */

static enum pywatt_status refuse_locked(const struct pw_sqlite_place *place, int fd,
                                        struct pywatt_error *error)
{
    char holder[HOLDER_SIZE] = "";
    const ssize_t len = pread(fd, holder, sizeof(holder) - 1, 0);
    holder[len < 0 ? 0 : (size_t)len] = '\0';
    const long pid = strtol(holder, NULL, 10);
    char process[32] = "";
    if (pid > 0) {
        snprintf(process, sizeof(process), " (process %ld)", pid);
    }
    return pw_error_set(error, PYWATT_IO,
                        "%s is in use by another orchestrator%s: end it, or choose another file",
                        place->shown, process);
}

/* Who has it is for texts alone, so nobody minds if it cannot be written. */
static void write_holder(int fd)
{
    char holder[HOLDER_SIZE + 1];
    snprintf(holder, sizeof(holder), "%-*ld\n", HOLDER_SIZE - 1, (long)getpid());
    const ssize_t written = pwrite(fd, holder, HOLDER_SIZE, 0);
    (void)written;
}

/*
 * A file of its own, which is never removed: SQLite's locks on the database would be lost as soon as
 * this process closed another descriptor of it, and do not keep a second store in this process out.
 * Others may read the database meanwhile.
 */
enum pywatt_status pw_sqlite_lock(const struct pw_sqlite_place *place, int *fd,
                                  struct pywatt_error *error)
{
    char *path = pw_sqlite_path_with(place, "-lock");
    if (path == NULL) {
        return pw_error_no_memory(error);
    }
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0) {
        const enum pywatt_status status = pw_sqlite_refuse_file(place, "-lock", "opened", error);
        free(path);
        return status;
    }
    free(path);
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        const enum pywatt_status status =
            errno == EWOULDBLOCK ? refuse_locked(place, *fd, error)
                                 : pw_sqlite_refuse_file(place, "-lock", "locked", error);
        close(*fd);
        *fd = -1;
        return status;
    }
    write_holder(*fd);
    return PYWATT_OK;
}

void pw_sqlite_unlock(int fd)
{
    (void)flock(fd, LOCK_UN);
    close(fd);
}

/* ---- The last change that was answered ---- */

static void write_line(uint64_t revision, char line[ANSWERED_SIZE + 1])
{
    const uint64_t key[2] = {ANSWERED_SIZE, HOLDER_SIZE};
    char number[21];
    snprintf(number, sizeof(number), "%020" PRIu64, revision);
    snprintf(line, ANSWERED_SIZE + 1, "%s %016" PRIx64 "\n", number,
             pw_siphash13(key, number, sizeof(number)));
}

/* A line that is not as it was written says nothing: the database is the better witness. */
uint64_t pw_sqlite_answered_read(int lock_fd)
{
    char line[ANSWERED_SIZE + 1] = "";
    char expected[ANSWERED_SIZE + 1];
    if (pread(lock_fd, line, ANSWERED_SIZE, HOLDER_SIZE) != ANSWERED_SIZE) {
        return 0;
    }
    const uint64_t revision = strtoull(line, NULL, 10);
    write_line(revision, expected);
    return memcmp(line, expected, ANSWERED_SIZE) == 0 ? revision : 0;
}

void pw_sqlite_answered_write(int lock_fd, uint64_t revision)
{
    char line[ANSWERED_SIZE + 1];
    write_line(revision, line);
    /* Without it damage may go unnoticed, and nothing else. */
    const ssize_t written = pwrite(lock_fd, line, ANSWERED_SIZE, HOLDER_SIZE);
    (void)written;
}

bool pw_sqlite_answered_forget(int lock_fd)
{
    return ftruncate(lock_fd, HOLDER_SIZE) == 0;
}

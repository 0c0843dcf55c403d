/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * faulty_vfs.h - a VFS for SQLite that wraps the usual one, fails on demand, and tells what is done to
 * files. It becomes the default of the program. Any thread; what fails is set by one thread, the test's
 * own.
 */
#ifndef PW_TESTS_FAULTY_VFS_H
#define PW_TESTS_FAULTY_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, before the first store is opened. Asserts. */
void faulty_vfs_register(void);

/*
 * Of the writes, syncs, truncations and growths of shared memory from now on the n-th (from 1) fails
 * with this result of SQLite, and `count` in all; 0 stands for all from there on.
 */
void faulty_vfs_fail(unsigned n, unsigned count, int result);

/* The same for the next `count` syncs alone. */
void faulty_vfs_fail_syncs(unsigned count);

/* From now on nobody can read the page of the database that begins there; -1: nor any of any file. */
void faulty_vfs_fail_reads(int64_t offset);

/* From now on syncs do nothing. For tests that never lose what was written: they are much faster. */
void faulty_vfs_pretend_syncs(void);

/* Nothing fails any more. Whether something did. */
bool faulty_vfs_heal(void);

/* ---- What is done to files ---- */

enum vfs_kind {
    VFS_WRITE,
    VFS_TRUNCATE,
    VFS_SYNC,
    VFS_DELETE
};

struct vfs_event {
    enum vfs_kind kind;
    const char *path;
    const void *data; /* of a write; borrowed */
    size_t len;       /* of a write */
    int64_t offset;   /* of a write; the new size of a truncation */
};

/*
 * `told` hears of all that went well, from the thread that did it; NULL: nobody does. To be set while
 * no store is open.
 */
void faulty_vfs_listen(void (*told)(const struct vfs_event *event));

#endif

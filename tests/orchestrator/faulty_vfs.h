/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * faulty_vfs.h - a VFS for SQLite that wraps the usual one, and fails on demand. It becomes the default
 * of the program. Any thread; what fails is set by one thread, the test's own.
 */
#ifndef PW_TESTS_FAULTY_VFS_H
#define PW_TESTS_FAULTY_VFS_H

#include <stdbool.h>

/* Once, before the first store is opened. Asserts. */
void faulty_vfs_register(void);

/*
 * Of the writes, syncs, truncations and growths of shared memory from now on the n-th (from 1) fails
 * with this result of SQLite, and `count` in all; 0 stands for all from there on.
 */
void faulty_vfs_fail(unsigned n, unsigned count, int result);

/* The same for the next `count` syncs alone. */
void faulty_vfs_fail_syncs(unsigned count);

/* Nothing fails any more. Whether something did. */
bool faulty_vfs_heal(void);

#endif

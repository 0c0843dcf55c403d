/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * folder.h - files below the folder that a run writes to, and folders for peers to work in. Ends the
 * program where something cannot be made.
 */
#ifndef BENCH_FOLDER_H
#define BENCH_FOLDER_H

#include <stddef.h>
#include <stdio.h>

/* Opens FOLDER/part/name for writing, and makes the folders; the caller closes it. */
FILE *bench_folder_file(const char *folder, const char *part, const char *name);

/* A new empty folder below TMPDIR, or /tmp; removed when the program ends by itself, or before. */
void bench_folder_scratch(char *out, size_t size);

/*
 * The same below `base`; NULL: below /tmp, and not TMPDIR, which may be memory. For what has to be on a
 * disk.
 */
void bench_folder_scratch_below(const char *base, char *out, size_t size);

/* Takes a folder away with all that is in it. */
void bench_folder_remove(const char *folder);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_file.h - the file of a sqlite store, looked at and changed from outside. Main thread; functions
 * assert.
 */
#ifndef PW_TESTS_STORE_FILE_H
#define PW_TESTS_STORE_FILE_H

#include "store_place.h"

/* A place for one. */
void store_file_begin(struct store_place *place);

/* A closed file with modules 1 to `count`, which are called "n1" and so on. */
void store_file_fill(const struct store_place *place, unsigned count);

/* The path with something behind it. */
void store_file_path(const struct store_place *place, const char *suffix, char out[600]);
bool store_file_is_there(const struct store_place *place, const char *suffix);
void store_file_write(const struct store_place *place, const char *suffix, const char *bytes,
                      size_t len);

/* Runs SQL on the file as anybody could. Its result code. */
int store_file_run_sql(const struct store_place *place, const char *sql);

/* Opening fails, with these words and the name of the file. */
void store_file_expect_refused(const struct store_place *place, const char *words);

#endif

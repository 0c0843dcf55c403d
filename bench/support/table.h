/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * table.h - a table of texts on stdout, with columns as wide as they have to be: the first ones to
 * the left, numbers to the right. One thread.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <pywatt/export.h>

#include <stddef.h>

#define BENCH_TABLE_COLUMNS_MAX 12

struct bench_table;

/* `headings` is borrowed; its first `left` columns stand to the left. Ends the program when
 * memory is out, as adding does. */
struct bench_table *bench_table_new(const char *const *headings, size_t columns, size_t left);

/* Adds one cell; a row is full after as many cells as there are columns. */
void bench_table_cell(struct bench_table *table, const char *format, ...) PYWATT_PRINTF(2, 3);

/* Prints and frees the table. */
void bench_table_print(struct bench_table *table);

#endif

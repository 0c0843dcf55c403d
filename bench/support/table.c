/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See table.h. */
#include "support/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench_table {
    size_t columns;
    size_t left;
    char **cells; /* the headings first */
    size_t count;
    size_t room;
};

static void add(struct bench_table *table, char *text)
{
    if (table->count == table->room) {
        table->room = table->room == 0 ? 64 : table->room * 2;
        table->cells = realloc(table->cells, table->room * sizeof(*table->cells));
    }
    if (table->cells == NULL || text == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    table->cells[table->count++] = text;
}

struct bench_table *bench_table_new(const char *const *headings, size_t columns, size_t left)
{
    struct bench_table *table = calloc(1, sizeof(*table));

    if (table == NULL || columns > BENCH_TABLE_COLUMNS_MAX) {
        fprintf(stderr, "a table cannot be made\n");
        exit(1);
    }
    table->columns = columns;
    table->left = left;
    for (size_t i = 0; i < columns; i++) {
        add(table, strdup(headings[i]));
    }
    return table;
}

void bench_table_cell(struct bench_table *table, const char *format, ...)
{
    char text[128];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    add(table, strdup(text));
}

void bench_table_print(struct bench_table *table)
{
    int widths[BENCH_TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->count; i++) {
        int width = (int)strlen(table->cells[i]);
        if (width > widths[i % table->columns]) {
            widths[i % table->columns] = width;
        }
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        int width = column < table->left ? -widths[column] : widths[column];
        printf("%s%*s", column == 0 ? "" : "  ", width, table->cells[i]);
        if (column + 1 == table->columns) {
            putchar('\n');
        }
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
    fflush(stdout);
}

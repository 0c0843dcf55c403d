/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.h - long options of a program as a table, from which both the parser and --help work, so
 * that they cannot differ. Built on getopt_long; one thread, once at a time.
 */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* One option. A table ends with an entry whose name is NULL. */
struct tool_option {
    const char *name;
    /* What the handler is given; also the short option if it is a letter. */
    int key;
    /* How --help calls the value, or NULL for an option without one. */
    const char *argument;
    /* One line or several, separated by '\n'. */
    const char *help;
};

/* Tables at most, and options in all of them together at most. */
#define TOOL_TABLES_MAX 8
#define TOOL_OPTIONS_MAX 64

struct tool_syntax {
    /* Without "Usage: ". */
    const char *usage;
    /* What the program does; stands above the options. */
    const char *about;
    /* Tables and the heading of each; the first table that is NULL ends them. */
    struct {
        const char *heading;
        const struct tool_option *options;
    } groups[TOOL_TABLES_MAX];
    /* Stands below the options; may be NULL. */
    const char *notes;
};

/*
 * Told of each option as it comes; `value` is NULL for an option without one. Returns 0 to go on,
 * else what tool_options_parse shall return; it has said why by then.
 */
typedef int (*tool_option_fn)(void *user, int key, const char *value);

/*
 * Reads argv[1] and on. Returns 0 when all is read; what `handle` returned if that is not 0; or
 * TOOL_EXIT_USAGE, after it has said through tool_fail which argument is wrong.
 */
int tool_options_parse(const struct tool_syntax *syntax, int argc, char **argv,
                       tool_option_fn handle, void *user);

/* Writes the help to stdout. Returns 0, or TOOL_EXIT_OTHER if it could not be written. */
int tool_options_help(const struct tool_syntax *syntax);

#endif

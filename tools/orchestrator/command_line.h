/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * command_line.h - the options of pywatt-orchestrator: one for each setting of the table, and what the
 * program is to do. One thread.
 */
#ifndef ORCHESTRATOR_COMMAND_LINE_H
#define ORCHESTRATOR_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct command_line {
    int argc;
    char **argv;
    const char *config; /* borrowed from argv; NULL: not given */
    bool check_config;  /* do this and end, instead of running; and so on */
    bool recover;
    bool help;
    bool version;
};

/* Reads what the program is to do. Returns 0, or an exit code after it has said what is wrong. */
int command_line_read(struct command_line *line, int argc, char **argv);

/* Tells the settings that are given, by their numbers; `value` is NULL for one without. */
void command_line_settings(const struct command_line *line,
                           void (*tell)(void *user, size_t number, const char *value), void *user);

/* Writes the help to stdout; returns an exit code. */
int command_line_help(void);

#endif

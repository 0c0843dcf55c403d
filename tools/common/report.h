/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report.h - how a program says that something went wrong, and with which code it ends.
 *
 * A message goes to stderr as "PROGRAM: text"; a program that promised JSON sets a function that
 * prints it its own way. Messages may come from any thread once tool_report_init was called.
 */
#ifndef TOOL_REPORT_H
#define TOOL_REPORT_H

#include <pywatt/status.h>

/* What all programs have in common; each documents the codes above these. */
enum tool_exit {
    TOOL_EXIT_OK = 0,
    TOOL_EXIT_OTHER = 1,
    TOOL_EXIT_USAGE = 2
};

/* `text` is borrowed and has no newline. */
typedef void (*tool_error_printer)(int exit_code, enum pywatt_status status, const char *text);

/* `program` is borrowed. `printer` may be NULL: plain text on stderr. */
void tool_report_init(const char *program, tool_error_printer printer);

/* Says a sentence and returns `exit_code`, so that one can write `return tool_fail(...)`. */
int tool_fail(int exit_code, enum pywatt_status status, const char *format, ...)
    PYWATT_PRINTF(3, 4);

/* The same for bad usage, with where to look; returns TOOL_EXIT_USAGE. */
int tool_usage_error(const char *format, ...) PYWATT_PRINTF(1, 2);

/* Flushes stdout. Returns 0, or says that it cannot be written and returns TOOL_EXIT_OTHER. */
int tool_flush_stdout(void);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See report.h. */
#include "common/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 1024

static const char *program_name = "pywatt";
static tool_error_printer print_error;

void tool_report_init(const char *program, tool_error_printer printer)
{
    program_name = program;
    print_error = printer;
}

/* `hint` stands behind the text on a terminal; a program that reads JSON needs none. */
static void say(int exit_code, enum pywatt_status status, const char *text, const char *hint)
{
    if (print_error != NULL) {
        print_error(exit_code, status, text);
        return;
    }
    fprintf(stderr, "%s: %s%s\n", program_name, text, hint);
}

int tool_fail(int exit_code, enum pywatt_status status, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    say(exit_code, status, text, "");
    return exit_code;
}

int tool_usage_error(const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    say(TOOL_EXIT_USAGE, PYWATT_INVALID_ARGUMENT, text, " (see --help)");
    return TOOL_EXIT_USAGE;
}

int tool_flush_stdout(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_IO, "standard output cannot be written: %s",
                         strerror(errno));
    }
    return TOOL_EXIT_OK;
}

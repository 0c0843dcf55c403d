/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See complaints.h. */
#include "orchestrator/complaints.h"

#include "common/report.h"

#include <stdarg.h>
#include <stdio.h>

void complain(struct complaints *complaints, const char *format, ...)
{
    char text[COMPLAINT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    complaints->say(complaints->user, false, text);
    if (complaints->code == TOOL_EXIT_OK) {
        complaints->code = TOOL_EXIT_USAGE;
    }
}

void complain_no_memory(struct complaints *complaints)
{
    complain(complaints, "out of memory");
    complaints->code = TOOL_EXIT_OTHER;
}

void complain_mildly(struct complaints *complaints, const char *format, ...)
{
    char text[COMPLAINT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    complaints->say(complaints->user, true, text);
}

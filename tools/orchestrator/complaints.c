/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See complaints.h. */
#include "orchestrator/complaints.h"

#include "common/report.h"
#include "orchestrator/printable.h"

#include <stdarg.h>
#include <stdio.h>

static void tell(const struct complaints *complaints, bool warning, const char *format,
                 va_list arguments) PYWATT_PRINTF(3, 0);

/* What is quoted has been cut anywhere, and comes from the environment, too. */
static void tell(const struct complaints *complaints, bool warning, const char *format,
                 va_list arguments)
{
    char text[COMPLAINT_SIZE];

    vsnprintf(text, sizeof(text), format, arguments);
    printable_make(text);
    complaints->say(complaints->user, warning, text);
}

void complain(struct complaints *complaints, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(complaints, false, format, arguments);
    va_end(arguments);
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
    va_list arguments;

    va_start(arguments, format);
    tell(complaints, true, format, arguments);
    va_end(arguments);
}

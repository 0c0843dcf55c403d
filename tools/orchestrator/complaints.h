/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * complaints.h - everything that is wrong with the settings, said one by one, wherever that goes: to
 * stderr when the daemon starts, into its log when it runs. One thread.
 */
#ifndef ORCHESTRATOR_COMPLAINTS_H
#define ORCHESTRATOR_COMPLAINTS_H

#include <pywatt/status.h>

#include <stdbool.h>

#define COMPLAINT_SIZE 1024

struct complaints {
    /* `text` is borrowed: a line of UTF-8, without control characters. A warning is no reason not to
     * go on. */
    void (*say)(void *user, bool warning, const char *text);
    void *user;
    /* TOOL_EXIT_OK, or how the program ends: TOOL_EXIT_USAGE, or TOOL_EXIT_OTHER without memory. */
    int code;
};

/* Says what is wrong, as with printf, and notes it in `code`. */
void complain(struct complaints *complaints, const char *format, ...) PYWATT_PRINTF(2, 3);
void complain_no_memory(struct complaints *complaints);

/* Says it, and no more. */
void complain_mildly(struct complaints *complaints, const char *format, ...) PYWATT_PRINTF(2, 3);

#endif

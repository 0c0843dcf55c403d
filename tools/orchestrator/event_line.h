/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* event_line.h - a module event as one line of the log. No state; any thread. */
#ifndef ORCHESTRATOR_EVENT_LINE_H
#define ORCHESTRATOR_EVENT_LINE_H

#include <pywatt/orchestrator.h>

#define EVENT_LINE_SIZE (PYWATT_NAME_MAX + 256)

/*
 * Writes the line, with a NUL and without a newline. The module has chosen its name: each control
 * character in it, also those of two bytes (U+0080 to U+009F), becomes a '?', so that it cannot pass
 * for another line, or steer a terminal.
 */
void event_line(char out[EVENT_LINE_SIZE], const struct pywatt_event *event);

#endif

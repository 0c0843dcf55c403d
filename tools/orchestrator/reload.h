/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reload.h - what SIGHUP does: settings and certificates are read again. The main thread. */
#ifndef ORCHESTRATOR_RELOAD_H
#define ORCHESTRATOR_RELOAD_H

#include "orchestrator/settings.h"

/*
 * Reads all that settings_read does, and the certificates. If all is well what can change takes effect
 * at once, *settings becomes it, and the log names what has changed and what has to wait for the next
 * start. If anything is wrong the log says what, and nothing changes.
 */
void reload(struct pywatt_orchestrator *orchestrator, struct settings *settings,
            const struct command_line *line);

#endif

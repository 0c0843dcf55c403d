/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* state_folder.h - where the daemon keeps what outlives it, if it is not told. One thread. */
#ifndef ORCHESTRATOR_STATE_FOLDER_H
#define ORCHESTRATOR_STATE_FOLDER_H

/*
 * The URL of the store in the state folder, to be freed: $XDG_STATE_HOME/pywatt; else, for root and
 * for who has no home, /var/lib/pywatt; else ~/.local/state/pywatt. NULL when memory is out.
 */
char *state_store(void);

/* The value of a variable, if it is an absolute path: another means nothing, as the XDG specification
 * says. Else NULL. */
const char *absolute_path_in(const char *variable);

/* Makes the folder of such a URL, for its owner alone. Returns 0, or an exit code. */
int state_make_folder(const char *store);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* capability_options.h - the options that say what a module can do. One thread. */
#ifndef CTL_CAPABILITY_OPTIONS_H
#define CTL_CAPABILITY_OPTIONS_H

#include "common/options.h"
#include "pywattctl/output.h"

#include <pywatt/model.h>

extern const struct tool_option ctl_capability_options_table[];

/*
 * Handles one of them; *capabilities is made when the first comes, and is the caller's to free.
 * Returns 0 or an exit code.
 */
int ctl_capability_options_set(struct pywatt_capabilities **capabilities, int key,
                               const char *value);

/* Adds what the JSON file at `path` holds. Returns 0 or an exit code. */
int ctl_capability_file(struct pywatt_capabilities *capabilities, const char *path);

/* Adds how many capabilities of each kind there are. */
void ctl_record_capabilities(struct ctl_record *record,
                             const struct pywatt_capabilities *capabilities);

#endif

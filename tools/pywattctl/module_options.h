/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* module_options.h - the options that describe a module to be registered. One thread. */
#ifndef CTL_MODULE_OPTIONS_H
#define CTL_MODULE_OPTIONS_H

#include "common/options.h"

#include <pywatt/model.h>

#include <stdbool.h>

struct ctl_module_options {
    const char *name;
    const char *version;
    const char *description;
    bool has_id;
    struct pywatt_uuid id;
    struct pywatt_string_map *metadata; /* owned */
    const char *join_token_file;        /* NULL: none */
};

/* The metadata key with which a module shows a join token. It is sent, and kept nowhere. */
#define CTL_METADATA_JOIN_TOKEN "join_token"

extern const struct tool_option ctl_module_options_table[];

void ctl_module_options_init(struct ctl_module_options *options);
void ctl_module_options_clear(struct ctl_module_options *options);
int ctl_module_options_set(struct ctl_module_options *options, int key, const char *value);

/* Makes the info, which the caller frees. Says what is missing. Returns 0 or an exit code. */
int ctl_module_options_info(const struct ctl_module_options *options,
                            struct pywatt_module_info **out);

/*
 * Reads the join token, if there is a file for it, and puts it among the metadata of `info`. Returns 0 or
 * an exit code.
 */
int ctl_module_options_join(const struct ctl_module_options *options,
                            struct pywatt_module_info *info);

/*
 * Adds KEY=VALUE to *map, which is made when it is needed, and says under the name of the option
 * what is wrong with it. Also for --detail. Returns 0 or an exit code.
 */
int ctl_add_pair(const char *option, const char *text, struct pywatt_string_map **map);

#endif

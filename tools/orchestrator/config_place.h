/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* config_place.h - where the config file is. One thread. */
#ifndef ORCHESTRATOR_CONFIG_PLACE_H
#define ORCHESTRATOR_CONFIG_PLACE_H

#include <stddef.h>

struct config_found {
    char *path;      /* owned */
    char *bytes;     /* owned; NULL if there is no file, or it cannot be read */
    size_t len;      /* of bytes */
    const char *why; /* it cannot be read; NULL: it can, or there is none, and none was named */
};

/*
 * Reads the file `named`; if that is NULL the first that is there of pywatt/orchestrator.ini in
 * $XDG_CONFIG_HOME (or, if that is not set, ~/.config, but for root), and in /etc. *found is to be given
 * back in any case.
 */
void config_find(const char *named, struct config_found *found);
void config_found_clear(struct config_found *found);

#endif

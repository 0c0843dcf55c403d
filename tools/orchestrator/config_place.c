/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See config_place.h. */
#include "orchestrator/config_place.h"

#include "orchestrator/config_file.h"
#include "orchestrator/state_folder.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "/pywatt/orchestrator.ini"

/* False if there is no such file, so that another may be looked for. `path` is consumed. */
static bool try_path(char *path, struct config_found *found)
{
    config_found_clear(found);
    *found = (struct config_found){.path = path, .why = "out of memory"};
    if (path != NULL) {
        found->why = NULL;
        found->bytes = config_load(path, &found->len, &found->why);
    }
    return found->bytes != NULL || path == NULL || (errno != ENOENT && errno != ENOTDIR);
}

static char *path_below(const char *base, const char *below)
{
    char *path = NULL;

    return asprintf(&path, "%s%s" NAME, base, below) < 0 ? NULL : path;
}

static bool try_own(struct config_found *found)
{
    const char *config = absolute_path_in("XDG_CONFIG_HOME");
    const char *home = geteuid() == 0 ? NULL : absolute_path_in("HOME");

    return config != NULL ? try_path(path_below(config, ""), found)
                          : home != NULL && try_path(path_below(home, "/.config"), found);
}

void config_find(const char *named, struct config_found *found)
{
    *found = (struct config_found){.path = NULL};
    if (named != NULL) {
        (void)try_path(strdup(named), found);
    } else if (!try_own(found) && !try_path(path_below("/etc", ""), found)) {
        found->why = NULL;
    }
}

void config_found_clear(struct config_found *found)
{
    free(found->path);
    free(found->bytes);
    *found = (struct config_found){.path = NULL};
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See state_folder.h. */
#include "orchestrator/state_folder.h"

#include "common/report.h"
#include "orchestrator/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEME "sqlite:"

const char *absolute_path_in(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && *value == '/' ? value : NULL;
}

char *state_store(void)
{
    const char *state = absolute_path_in("XDG_STATE_HOME");
    const char *home = geteuid() == 0 ? NULL : absolute_path_in("HOME");
    const char *base = state != NULL ? state : home != NULL ? home : "/var/lib";
    const char *below = state == NULL && home != NULL ? "/.local/state" : "";
    char *store = NULL;

    return asprintf(&store, SCHEME "%s%s/pywatt/registrations.db", base, below) < 0 ? NULL : store;
}

/* `path` is a file's; its folders are made one after the other. */
static int make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0700);
        if (made != 0 && errno != EEXIST) {
            return tool_fail(
                EXIT_STORE, PYWATT_IO,
                "the folder '%s' for the store cannot be made: %s; --store names another "
                "place",
                path, strerror(errno));
        }
        *slash = '/';
    }
    return 0;
}

int state_make_folder(const char *store)
{
    char *path = strdup(store + strlen(SCHEME));

    if (path == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    int code = make_folders(path);
    free(path);
    return code;
}

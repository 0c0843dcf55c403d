/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See state_folder.h. */
#include "orchestrator/state_folder.h"

#include "common/report.h"
#include "orchestrator/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

static int fail(const char *path)
{
    return tool_fail(EXIT_STORE, PYWATT_IO,
                     "the folder '%s' for the store cannot be made: %s; --store names another "
                     "place",
                     path, strerror(errno));
}

/* What was made in the folder `parent` is there when the power goes. */
static bool sync_folder(const char *parent)
{
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    bool synced = fsync(fd) == 0;
    int number = errno;
    close(fd);
    errno = number;
    return synced;
}

/* `path` is a file's; its folders are made one after the other, each on the disk before the next. */
static int make_folders(char *path)
{
    char *before = path;

    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0700);
        if (made != 0 && errno != EEXIST) {
            return fail(path);
        }
        if (made == 0) {
            char first = *before;
            *before = '\0';
            bool synced = sync_folder(before == path ? "/" : path);
            *before = first;
            if (!synced) {
                return fail(path);
            }
        }
        *slash = '/';
        before = slash;
    }
    return 0;
}

/* Who may write it can put another file there; that is not changed behind anybody's back. */
static void mention_mode(char *path)
{
    struct stat found;
    char *slash = strrchr(path, '/');

    *slash = '\0';
    if (stat(path, &found) == 0 && (found.st_mode & 022) != 0) {
        fprintf(
            stderr,
            "pywatt-orchestrator: the folder '%s' of the store may be written by others (mode %03o): chmod 700 it\n",
            path, (unsigned)found.st_mode & 0777);
    }
    *slash = '/';
}

int state_make_folder(const char *store)
{
    char *path = strdup(store + strlen(SCHEME));

    if (path == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    int code = make_folders(path);
    if (code == 0) {
        mention_mode(path);
    }
    free(path);
    return code;
}

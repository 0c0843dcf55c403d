/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See folder.h. */
#include "support/folder.h"

#include "support/check.h"

#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_MAX 16

static void make(const char *path)
{
    bench_check(mkdir(path, 0777) == 0 || errno == EEXIST, "%s: %s", path, strerror(errno));
}

FILE *bench_folder_file(const char *folder, const char *part, const char *name)
{
    char path[1024];

    make(folder);
    snprintf(path, sizeof(path), "%s/%s", folder, part);
    make(path);
    int length = snprintf(path, sizeof(path), "%s/%s/%s", folder, part, name);
    bench_check(length > 0 && (size_t)length < sizeof(path), "%s: a path too long", folder);
    FILE *file = fopen(path, "we");
    bench_check(file != NULL, "%s: %s", path, strerror(errno));
    return file;
}

/* Those that there are, to be removed however the program ends by itself. The main thread's. */
static char scratch[SCRATCH_MAX][256];

static void remove_scratch(void)
{
    for (unsigned i = 0; i < SCRATCH_MAX; i++) {
        if (scratch[i][0] != '\0') {
            bench_folder_remove(scratch[i]);
        }
    }
}

void bench_folder_scratch(char *out, size_t size)
{
    bench_folder_scratch_below(getenv("TMPDIR"), out, size);
}

void bench_folder_scratch_below(const char *base, char *out, size_t size)
{
    static bool registered;
    unsigned at = 0;

    bench_check(registered || atexit(remove_scratch) == 0, "out of memory");
    registered = true;
    while (at < SCRATCH_MAX && scratch[at][0] != '\0') {
        at++;
    }
    bench_check(at < SCRATCH_MAX, "too many scratch folders");
    int len = snprintf(out, size, "%s/pywatt-bench-XXXXXX", base != NULL ? base : "/tmp");
    bench_check(len > 0 && (size_t)len < size && mkdtemp(out) != NULL, "%s: %s", out,
                strerror(errno));
    snprintf(scratch[at], sizeof(scratch[at]), "%s", out);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void bench_folder_remove(const char *folder)
{
    for (unsigned i = 0; i < SCRATCH_MAX; i++) {
        if (folder != scratch[i] && strcmp(scratch[i], folder) == 0) {
            scratch[i][0] = '\0';
        }
    }
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

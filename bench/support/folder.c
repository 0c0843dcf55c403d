/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See folder.h. */
#include "support/folder.h"

#include "support/check.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

void bench_folder_scratch(char *out, size_t size)
{
    const char *base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";

    snprintf(out, size, "%s/pywatt-bench-XXXXXX", base);
    bench_check(mkdtemp(out) != NULL, "%s: %s", out, strerror(errno));
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
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * replay.c - PROGRAM PATH...: gives a fuzz target each of these files, and each file of these
 * folders, in the order of their names. For builds without libFuzzer, and for what it has found.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static unsigned replayed;

_Noreturn static void give_up(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(2);
}

static bool is_folder(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0) {
        give_up(path);
    }
    return S_ISDIR(found.st_mode);
}

/* The input stands in a block of exactly its size, so that a tool sees a read behind its end. */
static void replay_file(const char *path)
{
    FILE *const file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        give_up(path);
    }
    const long size = ftell(file);
    uint8_t *const data = malloc(size > 0 ? (size_t)size : 1);
    rewind(file);
    if (size < 0 || data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
        give_up(path);
    }
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    replayed++;
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_folder(const char *path)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, is_input, alphasort);
    if (count < 0) {
        give_up(path);
    }
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (!is_folder(name)) {
            replay_file(name);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (is_folder(argv[i])) {
            replay_folder(argv[i]);
        } else {
            replay_file(argv[i]);
        }
    }
    printf("%u inputs replayed\n", replayed);
    return replayed > 0 ? 0 : 2;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config_file.h - the form of a config file: sections, KEY = VALUE, comments. Nothing here knows which
 * keys there are. One thread at a time in the process, as libinih has its settings in globals.
 *
 *     # A comment, also after ';', and behind a value after blanks and ';'.
 *     [section]
 *     key = value
 *
 * Each line stands for itself: blanks before it mean nothing. It has at most CONFIG_LINE_MAX bytes of
 * UTF-8, and no control character but tabs and the CR of a line's end.
 */
#ifndef ORCHESTRATOR_CONFIG_FILE_H
#define ORCHESTRATOR_CONFIG_FILE_H

#include <stddef.h>

#define CONFIG_LINE_MAX 4000
#define CONFIG_FILE_MAX ((size_t)256 * 1024)

#define CONFIG_NO_SECTION "?"

/* Told what is there, in the order of the lines; texts are borrowed for the call. */
struct config_events {
    /* Returns NULL, or what is wrong with a section of this name. */
    const char *(*section)(void *user, const char *name);
    /* `section` is "" before the first one, CONFIG_NO_SECTION below one that is wrong. */
    void (*entry)(void *user, unsigned line, const char *section, const char *key,
                  const char *value);
    /* What is wrong with the line, and what would be right. */
    void (*fault)(void *user, unsigned line, const char *why);
};

/* Reads `len` bytes to their end, also after faults. */
void config_read(const char *bytes, size_t len, const struct config_events *events, void *user);

/*
 * Reads a file of at most CONFIG_FILE_MAX bytes. NULL with the reason in `why`, and errno, which is
 * EFBIG if it is longer; else it is to be freed.
 */
char *config_load(const char *path, size_t *len, const char **why);

#endif

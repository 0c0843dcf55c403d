/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config_file.c - see config_file.h. libinih takes lines apart; but it cuts what is too long, overlooks
 * what stands behind a ']', and knows no line numbers in its callbacks. So it is handed one line at a
 * time, which was looked at before.
 */
#include "orchestrator/config_file.h"

#include "orchestrator/printable.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLANKS " \t"

struct reader {
    const char *at;
    const char *end;
    unsigned line;
    const struct config_events *events;
    void *user;
};

/* ---- Looking at a line ---- */

static const char *fault_of_bytes(const char *text, size_t len)
{
    size_t size;

    for (size_t i = 0; i < len; i += size) {
        size = printable_character(text + i, len - i);
        if (size == 0) {
            return "it is not UTF-8";
        }
        if (printable_is_control(text + i)) {
            return "it has a control character in it";
        }
    }
    return NULL;
}

static bool is_comment(char c)
{
    return c == '\0' || c == ';' || c == '#';
}

/* `text` begins with '['; it is cut behind the ']'. */
static const char *fault_of_section(struct reader *reader, char *text)
{
    char *end = strchr(text, ']');

    if (end == NULL) {
        return "the ']' is missing: a section is opened by [NAME]";
    }
    const char *behind = end + 1 + strspn(end + 1, BLANKS);
    if (!is_comment(*behind)) {
        return "there is more behind the ']'";
    }
    *end = '\0';
    const char *why = reader->events->section(reader->user, text + 1);
    end[0] = ']';
    end[1] = '\0';
    return why;
}

static const char *fault_of_entry(const char *text)
{
    size_t key = strcspn(text, "=:;");

    if (text[key] != '=') {
        return "it is neither KEY = VALUE nor [SECTION] nor a comment";
    }
    return key == 0 ? "there is no key before the '='" : NULL;
}

static const char *fault_of_line(struct reader *reader, char *text)
{
    if (is_comment(*text)) {
        return NULL;
    }
    return *text == '[' ? fault_of_section(reader, text) : fault_of_entry(text);
}

/* ---- Line by line ---- */

/* Puts the next line into `text`, without what stands around it; nothing if it is wrong. */
static void take_line(struct reader *reader, char *text)
{
    size_t left = (size_t)(reader->end - reader->at);
    const char *newline = memchr(reader->at, '\n', left);
    size_t len = newline == NULL ? left : (size_t)(newline - reader->at);
    const char *from = reader->at;
    const char *why = NULL;

    reader->at += newline == NULL ? len : len + 1;
    reader->line++;
    text[0] = '\0';
    if (len > 0 && from[len - 1] == '\r') {
        len--;
    }
    while (len > 0 && memchr(BLANKS, *from, 2) != NULL) {
        from++;
        len--;
    }
    if (len > CONFIG_LINE_MAX) {
        why = "it is longer than 4000 bytes";
    } else {
        why = fault_of_bytes(from, len);
    }
    if (why == NULL) {
        memcpy(text, from, len);
        text[len] = '\0';
        why = fault_of_line(reader, text);
    }
    if (why != NULL) {
        reader->events->fault(reader->user, reader->line, why);
        /* What stands below is in no section that anybody knows. */
        strcpy(text, text[0] == '[' ? "[" CONFIG_NO_SECTION "]" : "");
    }
}

/* libinih asks for a line, as with fgets. */
static char *next_line(char *text, int size, void *stream)
{
    struct reader *reader = stream;

    if (size <= CONFIG_LINE_MAX) {
        reader->events->fault(reader->user, reader->line + 1, "libinih has no room for lines");
        reader->at = reader->end;
    }
    if (reader->at == reader->end) {
        return NULL;
    }
    take_line(reader, text);
    return text;
}

static int found(void *user, const char *section, const char *name, const char *value)
{
    const struct reader *reader = user;

    reader->events->entry(reader->user, reader->line, section, name, value);
    return 1;
}

void config_read(const char *bytes, size_t len, const struct config_events *events, void *user)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    struct reader reader = {.at = bytes, .end = bytes + len, .events = events, .user = user};

    if (len >= sizeof(mark) && memcmp(bytes, mark, sizeof(mark)) == 0) {
        reader.at += sizeof(mark);
    }
    ini_use_stack = true;
    ini_max_line = CONFIG_LINE_MAX + 3;
    ini_allow_multiline = false;
    (void)ini_parse_stream(next_line, &reader, found, &reader);
}

/* ---- Files ---- */

static char *read_all(int fd, size_t *len)
{
    char *bytes = malloc(CONFIG_FILE_MAX + 1);
    ssize_t got = 1;

    *len = 0;
    while (bytes != NULL && got > 0 && *len <= CONFIG_FILE_MAX) {
        got = read(fd, bytes + *len, CONFIG_FILE_MAX + 1 - *len);
        if (got > 0) {
            *len += (size_t)got;
        } else if (got < 0 && errno == EINTR) {
            got = 1;
        }
    }
    if (bytes != NULL && (got < 0 || *len > CONFIG_FILE_MAX)) {
        int reason = got < 0 ? errno : EFBIG;
        free(bytes);
        errno = reason;
        return NULL;
    }
    return bytes;
}

char *config_load(const char *path, size_t *len, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = fd < 0 ? NULL : read_all(fd, len);
    int reason = errno;

    if (fd >= 0) {
        close(fd);
    }
    if (bytes == NULL) {
        *why = reason == EFBIG ? "it is longer than 256 KiB" : strerror(reason);
        errno = reason;
    }
    return bytes;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * join_token.c - reads the file of join tokens, and compares. No state; any thread.
 */
#include "orchestrator/join_token.h"

#include "base/error.h"
#include "base/log.h"
#include "base/utf8.h"
#include "model/module_info.h"
#include "model/string_map.h"
#include "transport/words.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* Two of the longest, and the ends of their lines. */
    FILE_MAX = PW_JOIN_TOKENS_MAX * (PW_JOIN_TOKEN_LEN_MAX + 2),
    /* Below this somebody may try them all. */
    LEN_GOOD = 16
};

/* ---- The file ---- */

static enum pywatt_status io_error(const char *path, int number, struct pywatt_error *error)
{
    char words[PW_WORDS_ERRNO_MAX];
    return pw_error_set(error, PYWATT_IO, "join_token_file %.100s: %s", path,
                        pw_words_errno(number, words));
}

static enum pywatt_status bad_file(const char *path, const char *fault, struct pywatt_error *error)
{
    return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "join_token_file %.100s: %s", path, fault);
}

/* Up to FILE_MAX bytes, and one more that shows that there are too many. */
static enum pywatt_status read_fd(int fd, const char *path, char *text, size_t *len, bool *exposed,
                                  struct pywatt_error *error)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        return io_error(path, errno, error);
    }
    if (!S_ISREG(facts.st_mode)) {
        return bad_file(path, "it is not a plain file", error);
    }
    *exposed = (facts.st_mode & (S_IRWXG | S_IRWXO) & ~(mode_t)S_IRGRP) != 0;
    *len = 0;
    while (*len < FILE_MAX + 1) {
        const ssize_t n = read(fd, text + *len, FILE_MAX + 1 - *len);
        if (n < 0 && errno != EINTR) {
            return io_error(path, errno, error);
        }
        if (n == 0) {
            break;
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    return *len > FILE_MAX
               ? bad_file(path, "it is longer than two tokens of 256 bytes, which is the most",
                          error)
               : PYWATT_OK;
}

static enum pywatt_status read_file(const char *path, char *text, size_t *len, bool *exposed,
                                    struct pywatt_error *error)
{
    /* Non-blocking, so that a pipe without a writer is refused instead of waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return io_error(path, errno, error);
    }
    const enum pywatt_status status = read_fd(fd, path, text, len, exposed, error);
    close(fd);
    return status;
}

/* ---- Its lines ---- */

/* NULL, or what is wrong with it. */
static const char *fault_in(struct pw_str token)
{
    if (token.len > PW_JOIN_TOKEN_LEN_MAX) {
        return "a token has at most 256 bytes";
    }
    if (!pw_utf8_valid(token)) {
        return "it is not UTF-8";
    }
    for (size_t i = 0; i < token.len; i++) {
        if ((unsigned char)token.data[i] < 0x20 || token.data[i] == 0x7f) {
            return "it has a control character in it";
        }
    }
    if (token.data[0] == ' ' || token.data[token.len - 1] == ' ') {
        return "it begins or ends with a space";
    }
    return NULL;
}

static enum pywatt_status add_line(struct pw_join_set *set, const char *path, unsigned line,
                                   struct pw_str token, struct pywatt_error *error)
{
    if (token.len > 0 && token.data[token.len - 1] == '\r') {
        token.len--;
    }
    if (token.len == 0) {
        return PYWATT_OK;
    }
    const char *fault = set->count == PW_JOIN_TOKENS_MAX
                            ? "there are two tokens already, which is the most"
                            : fault_in(token);
    if (fault != NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "join_token_file %.100s, line %u: %s",
                            path, line, fault);
    }
    if (token.len < LEN_GOOD && set->guessable_line == 0) {
        set->guessable_line = line;
    }
    return pw_token_hash(token, set->hashes[set->count++]) == PYWATT_OK ? PYWATT_OK
                                                                        : pw_error_no_memory(error);
}

static enum pywatt_status parse(struct pw_join_set *set, const char *path, const char *text,
                                size_t len, struct pywatt_error *error)
{
    enum pywatt_status status = PYWATT_OK;
    unsigned line = 0;
    for (size_t at = 0; at < len && status == PYWATT_OK;) {
        const char *end = memchr(text + at, '\n', len - at);
        const size_t line_len = end == NULL ? len - at : (size_t)(end - text) - at;
        status = add_line(set, path, ++line, (struct pw_str){text + at, line_len}, error);
        at += line_len + 1;
    }
    if (status == PYWATT_OK && set->count == 0) {
        status = bad_file(path, "no token stands in it: write one of 16 bytes or more", error);
    }
    return status;
}

enum pywatt_status pw_join_set_read(struct pw_join_set *set, const char *path,
                                    struct pywatt_error *error)
{
    char text[FILE_MAX + 1];
    size_t len = 0;
    *set = (struct pw_join_set){.count = 0};
    if (path == NULL) {
        return PYWATT_OK;
    }
    enum pywatt_status status = read_file(path, text, &len, &set->exposed, error);
    if (status == PYWATT_OK) {
        status = parse(set, path, text, len, error);
    }
    pw_token_wipe(text, sizeof(text));
    return status;
}

void pw_join_set_warn(const struct pw_join_set *set, const char *path)
{
    if (set->exposed) {
        pw_log(PYWATT_LOG_WARNING,
               "join_token_file %s: others may read or change it; chmod 600 (or 640) it", path);
    }
    if (set->guessable_line != 0) {
        pw_log(PYWATT_LOG_WARNING,
               "join_token_file %s, line %u: a token of less than %d bytes can be guessed", path,
               set->guessable_line, LEN_GOOD);
    }
}

/* ---- Comparing ---- */

struct pw_join_shown pw_join_token_take(struct pywatt_module_info *info)
{
    struct pw_join_shown shown = {.status = PYWATT_OK};
    struct pw_str text;
    shown.any = pw_string_map_find(pywatt_module_info_metadata(info),
                                   PW_STR_LITERAL(PW_METADATA_JOIN_TOKEN), &text);
    if (shown.any) {
        shown.status = pw_token_hash(text, shown.hash);
        pw_module_info_remove_metadata(info, PW_METADATA_JOIN_TOKEN);
    }
    return shown;
}

bool pw_join_set_accept(const struct pw_join_set *set, const struct pw_join_shown *shown)
{
    bool same = false;
    if (!shown->any || shown->status != PYWATT_OK) {
        return false;
    }
    for (unsigned i = 0; i < set->count; i++) {
        same |= pw_token_hash_equal(set->hashes[i], shown->hash);
    }
    return same;
}

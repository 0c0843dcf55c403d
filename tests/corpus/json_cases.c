/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_cases.c - reads the tables of tests/corpus/json, whose form their README tells. One thread.
 */
#include "json_cases.h"

#include "pw_test.h"

#include <stdio.h>
#include <stdlib.h>

/* Room for the longest text of a case, and then some. */
#define TEXT_MAX ((size_t)1 << 20)

static size_t unescape(const char *from, size_t len, uint8_t *to);

/* "%*N(...)" behind its "%*": puts it, and returns how many characters of `from` it took. */
static size_t repeat(const char *from, size_t len, uint8_t *to, size_t *put)
{
    char *open = NULL;
    const unsigned long count = strtoul(from, &open, 10);
    const char *close = memchr(open, ')', len - (size_t)(open - from));
    if (*open != '(' || close == NULL) {
        fail_msg("a repetition without its parentheses: %.20s", from);
        return len;
    }
    size_t total = 0;
    for (unsigned long i = 0; i < count; i++) {
        total += unescape(open + 1, (size_t)(close - open - 1), to + total);
    }
    *put = total;
    return (size_t)(close - from) + 1;
}

static size_t unescape(const char *from, size_t len, uint8_t *to)
{
    size_t put = 0;
    for (size_t i = 0; i < len;) {
        size_t repeated = 0;
        if (from[i] != '%') {
            to[put++] = (uint8_t)from[i++];
        } else if (i + 2 < len && from[i + 1] == '*') {
            i += 2;
            i += repeat(from + i, len - i, to + put, &repeated);
            put += repeated;
        } else {
            const char hex[3] = {from[i + 1], from[i + 2], '\0'};
            to[put++] = (uint8_t)strtoul(hex, NULL, 16);
            i += 3;
        }
    }
    return put;
}

static void run_line(char *line, uint8_t *text,
                     void (*run)(const char *name, struct pw_span text, void *user), void *user)
{
    char *blank = strchr(line, ' ');
    const char *escaped = "";
    if (blank != NULL) {
        *blank = '\0';
        escaped = blank + 1;
    }
    const size_t len = unescape(escaped, strlen(escaped), text);
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    assert_non_null(exact);
    memcpy(exact, text, len);
    run(line, (struct pw_span){exact, len}, user);
    free(exact);
}

size_t pw_json_cases(const char *table,
                     void (*run)(const char *name, struct pw_span text, void *user), void *user)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/corpus/json/%s.cases", PW_TESTS_DIR, table);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("cannot read %s", path);
        return 0;
    }
    uint8_t *text = malloc(TEXT_MAX);
    char *line = NULL;
    size_t size = 0;
    size_t count = 0;
    for (ssize_t len = getline(&line, &size, file); len > 0; len = getline(&line, &size, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#') {
            run_line(line, text, run, user);
            count++;
        }
    }
    free(line);
    free(text);
    fclose(file);
    return count;
}

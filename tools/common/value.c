/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See value.h. */
#include "common/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As much of a wrong text as is quoted. */
#define QUOTE "'%.100s'"

#define MS_PER_S UINT64_C(1000)
#define MS_PER_MINUTE (60 * MS_PER_S)
#define MS_PER_HOUR (60 * MS_PER_MINUTE)
#define KIB UINT64_C(1024)

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit none[] = {{"", 1}, {NULL, 0}};
static const struct unit times[] = {
    {"", 1}, {"ms", 1}, {"s", MS_PER_S}, {"m", MS_PER_MINUTE}, {"h", MS_PER_HOUR}, {NULL, 0}};
static const struct unit sizes[] = {
    {"", 1}, {"B", 1}, {"KiB", KIB}, {"MiB", KIB *KIB}, {"GiB", KIB *KIB *KIB}, {NULL, 0}};

/* Digits only: strtoull alone takes signs and white space. */
static bool read_digits(const char *text, uint64_t *value, const char **end)
{
    char *stop = NULL;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &stop, 10);
    if (errno != 0) {
        return false;
    }
    *value = number;
    *end = stop;
    return true;
}

static bool read_units(const char *text, const struct unit *units, uint64_t min, uint64_t max,
                       uint64_t *out)
{
    uint64_t value = 0;
    const char *end = NULL;

    if (!read_digits(text, &value, &end)) {
        return false;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(end, unit->name) == 0) {
            if (value > max / unit->factor || value * unit->factor < min) {
                return false;
            }
            *out = value * unit->factor;
            return true;
        }
    }
    return false;
}

/* `what` it should be, and what such a thing looks like. */
static bool read_or_say(const char *text, const struct unit *units, uint64_t min, uint64_t max,
                        uint64_t *out, char why[TOOL_WHY_SIZE], const char *what,
                        const char *such_as)
{
    bool good = read_units(text, units, min, max, out);

    if (!good) {
        snprintf(why, TOOL_WHY_SIZE, QUOTE " is not %s from %" PRIu64 " to %" PRIu64 "%s", text,
                 what, min, max, such_as);
    }
    return good;
}

bool tool_value_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                    char why[TOOL_WHY_SIZE])
{
    return read_or_say(text, none, min, max, out, why, "a whole number", "");
}

bool tool_value_time_ms(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                        char why[TOOL_WHY_SIZE])
{
    return read_or_say(text, times, min, max, out, why, "a time",
                       " ms, such as 250, 250ms, 2s, 5m or 1h");
}

bool tool_value_size(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                     char why[TOOL_WHY_SIZE])
{
    return read_or_say(text, sizes, min, max, out, why, "a size",
                       " bytes, such as 4096, 256KiB or 1MiB");
}

bool tool_value_word(const char *text, const char *const *words, size_t count, int *out,
                     char why[TOOL_WHY_SIZE])
{
    char list[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (int)i;
            return true;
        }
        int n = snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", words[i]);
        if (n > 0 && (size_t)n < sizeof(list) - used) {
            used += (size_t)n;
        }
    }
    snprintf(why, TOOL_WHY_SIZE, QUOTE " is none of: %s", text, list);
    return false;
}

bool tool_value_yes(const char *text, bool *out, char why[TOOL_WHY_SIZE])
{
    static const char *const words[] = {"no", "yes"};
    int word = 0;

    if (!tool_value_word(text, words, 2, &word, why)) {
        return false;
    }
    *out = word == 1;
    return true;
}

bool tool_value_host_port(const char *text, const char **host, size_t *host_len, uint16_t *port,
                          char why[TOOL_WHY_SIZE])
{
    const char *colon = strrchr(text, ':');
    const char *start = text;
    const char *end = colon;
    uint64_t number = 0;

    if (colon != NULL && text[0] == '[' && colon > text + 1 && colon[-1] == ']') {
        start = text + 1;
        end = colon - 1;
    }
    bool bare_colons = colon != NULL && start == text && memchr(text, ':', (size_t)(colon - text));
    if (colon == NULL || bare_colons || end == start ||
        !read_units(colon + 1, none, 1, UINT16_MAX, &number)) {
        snprintf(why, TOOL_WHY_SIZE,
                 QUOTE " is not HOST:PORT or [IPV6]:PORT with a port from 1 to 65535", text);
        return false;
    }
    *host = start;
    *host_len = (size_t)(end - start);
    *port = (uint16_t)number;
    return true;
}

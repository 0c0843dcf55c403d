/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See parse.h. */
#include "common/parse.h"

#include "common/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_PER_S UINT64_C(1000)
#define MS_PER_MINUTE (60 * MS_PER_S)
#define MS_PER_HOUR (60 * MS_PER_MINUTE)

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

int tool_parse_u64(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    const char *end = NULL;

    if (!read_digits(text, &value, &end) || *end != '\0' || value < min || value > max) {
        return tool_usage_error("--%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64,
                                option, text, min, max);
    }
    *out = value;
    return 0;
}

int tool_parse_u32(const char *option, const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    int bad = tool_parse_u64(option, text, min, max, &value);

    if (bad == 0) {
        *out = (uint32_t)value;
    }
    return bad;
}

/* Milliseconds of a unit, or 0 if it is none. */
static uint64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", MS_PER_S}, {"m", MS_PER_MINUTE}, {"h", MS_PER_HOUR}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

int tool_parse_time_ms(const char *option, const char *text, uint64_t min, uint64_t max,
                       uint64_t *out)
{
    uint64_t value = 0;
    uint64_t unit = 0;
    const char *end = NULL;

    if (read_digits(text, &value, &end)) {
        unit = unit_ms(end);
    }
    if (unit == 0 || value > max / unit || value * unit < min) {
        return tool_usage_error("--%s: '%s' is not a time from %" PRIu64 " to %" PRIu64
                                " ms, such as 250, 250ms, 2s, 5m or 1h",
                                option, text, min, max);
    }
    *out = value * unit;
    return 0;
}

int tool_parse_time_ms_u32(const char *option, const char *text, uint32_t min, uint32_t max,
                           uint32_t *out)
{
    uint64_t value = 0;
    int bad = tool_parse_time_ms(option, text, min, max, &value);

    if (bad == 0) {
        *out = (uint32_t)value;
    }
    return bad;
}

int tool_parse_word(const char *option, const char *text, const char *const *words, size_t count,
                    int *out)
{
    char list[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (int)i;
            return 0;
        }
        int n = snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", words[i]);
        if (n > 0 && (size_t)n < sizeof(list) - used) {
            used += (size_t)n;
        }
    }
    return tool_usage_error("--%s: '%s' is none of: %s", option, text, list);
}

int tool_parse_pair(const char *option, const char *text, char **key, const char **value)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        return tool_usage_error("--%s: '%s' is not of the form KEY=VALUE", option, text);
    }
    char *copy = strndup(text, (size_t)(equals - text));
    if (copy == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "--%s: out of memory", option);
    }
    *key = copy;
    *value = equals + 1;
    return 0;
}

int tool_parse_host_port(const char *option, const char *text, char **host, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    const char *start = text;
    const char *end = colon;
    uint64_t number = 0;
    const char *rest = NULL;

    if (colon != NULL && text[0] == '[' && colon > text + 1 && colon[-1] == ']') {
        start = text + 1;
        end = colon - 1;
    }
    bool bare_colons = colon != NULL && start == text && memchr(text, ':', (size_t)(colon - text));
    if (colon == NULL || bare_colons || end == start || !read_digits(colon + 1, &number, &rest) ||
        *rest != '\0' || number < 1 || number > UINT16_MAX) {
        return tool_usage_error("--%s: '%s' is not HOST:PORT or [IPV6]:PORT with a port from 1 to "
                                "65535",
                                option, text);
    }
    char *copy = strndup(start, (size_t)(end - start));
    if (copy == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "--%s: out of memory", option);
    }
    *host = copy;
    *port = (uint16_t)number;
    return 0;
}

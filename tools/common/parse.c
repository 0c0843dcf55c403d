/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See parse.h. */
#include "common/parse.h"

#include "common/report.h"
#include "common/value.h"

#include <stdlib.h>
#include <string.h>

/* 0 if the value is good; else says why it is not. */
static int done(bool good, const char *option, const char *why)
{
    return good ? 0 : tool_usage_error("--%s: %s", option, why);
}

int tool_parse_u64(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char why[TOOL_WHY_SIZE] = "";

    return done(tool_value_u64(text, min, max, out, why), option, why);
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

int tool_parse_time_ms(const char *option, const char *text, uint64_t min, uint64_t max,
                       uint64_t *out)
{
    char why[TOOL_WHY_SIZE] = "";

    return done(tool_value_time_ms(text, min, max, out, why), option, why);
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
    char why[TOOL_WHY_SIZE] = "";

    return done(tool_value_word(text, words, count, out, why), option, why);
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

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * health.c - the names of the health statuses. No state; any thread.
 */
#include <pywatt/model.h>

#include "model/text.h"

static const char *const names[] = {
    [PYWATT_HEALTHY] = "Healthy",
    [PYWATT_DEGRADED] = "Degraded",
    [PYWATT_UNHEALTHY] = "Unhealthy",
};

#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

const char *pywatt_health_name(enum pywatt_health health)
{
    return (size_t)health < NAME_COUNT ? names[health] : "Unknown";
}

enum pywatt_status pywatt_health_parse(const char *text, enum pywatt_health *out)
{
    if (text == NULL || out == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if (pw_text_equal_nocase(pw_str_from(text), pw_str_from(names[i]))) {
            *out = (enum pywatt_health)i;
            return PYWATT_OK;
        }
    }
    return PYWATT_INVALID_ARGUMENT;
}

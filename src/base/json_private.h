/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_private.h - the parts of escapes, which the scanner checks and the readers take for checked.
 * No state; any thread.
 */
#ifndef PW_BASE_JSON_PRIVATE_H
#define PW_BASE_JSON_PRIVATE_H

#include "base/json_scan.h"

/* The value of the 4 hex digits at `at`, or -1 if they are not there before `end`. */
int pw_json_hex4(const uint8_t *at, const uint8_t *end);

static inline bool pw_json_is_high_surrogate(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static inline bool pw_json_is_low_surrogate(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uuid.h - UUIDs as the codecs need them: on text without a NUL. No state; any thread.
 */
#ifndef PW_BASE_UUID_H
#define PW_BASE_UUID_H

#include "base/bytes.h"

#include <pywatt/uuid.h>

#include <stdbool.h>

#define PW_UUID_TEXT_LEN 36

/* True, and *out filled, if `text` is exactly the 36 characters of a UUID, in either case. */
bool pw_uuid_parse_str(struct pw_str text, struct pywatt_uuid *out);

/* Writes 36 lower-case characters, no NUL. */
void pw_uuid_write(const struct pywatt_uuid *uuid, char *out);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uuid.h - module ids and request ids: 16 bytes, with the usual text of 36 characters.
 *
 * Plain values without hidden state: any thread may use them, nothing blocks except
 * pywatt_uuid_generate on a machine whose random pool is not ready at boot.
 */
#ifndef PYWATT_UUID_H
#define PYWATT_UUID_H

#include <pywatt/export.h>
#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

PYWATT_BEGIN_DECLS

/* Bytes that the text of a UUID needs, its terminating NUL included. */
#define PYWATT_UUID_TEXT_SIZE 37

struct pywatt_uuid {
    uint8_t bytes[16];
};

/* Fills *out with a random UUID (version 4). */
PYWATT_API void pywatt_uuid_generate(struct pywatt_uuid *out);

/*
 * Reads `text`, which is borrowed and NUL-terminated, as a UUID in its form of 36 characters, in
 * either case. PYWATT_OK, or PYWATT_INVALID_ARGUMENT, and then *out is not touched.
 */
PYWATT_API enum pywatt_status pywatt_uuid_parse(const char *text, struct pywatt_uuid *out);

/* Writes the lower-case text of *uuid and a NUL to `out`. */
PYWATT_API void pywatt_uuid_format(const struct pywatt_uuid *uuid, char out[PYWATT_UUID_TEXT_SIZE]);

/* True if both have the same 16 bytes. */
PYWATT_API bool pywatt_uuid_equal(const struct pywatt_uuid *a, const struct pywatt_uuid *b);

/* True for the UUID of all zero bytes, which no module has. */
PYWATT_API bool pywatt_uuid_is_nil(const struct pywatt_uuid *uuid);

PYWATT_END_DECLS

#endif

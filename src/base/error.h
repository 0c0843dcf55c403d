/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * error.h - how an error gets its words. No threads, no state.
 */
#ifndef PW_BASE_ERROR_H
#define PW_BASE_ERROR_H

#include <pywatt/status.h>

/*
 * Stores `status` and the formatted text, cut to fit at a UTF-8 boundary, in *error if it is not
 * NULL, and returns `status`: `return pw_error_set(error, PYWATT_LIMIT, "...")`.
 */
enum pywatt_status pw_error_set(struct pywatt_error *error, enum pywatt_status status,
                                const char *format, ...) PYWATT_PRINTF(3, 4);

/* No error yet. (A whole struct of zeros is a quarter of a kilobyte, which a beat would notice.) */
static inline void pw_error_clear(struct pywatt_error *error)
{
    error->status = PYWATT_OK;
    error->text[0] = '\0';
}

/*
 * Puts the formatted text and ": " before the text that *error has, and leaves its status. For a
 * caller who knows more of what was being done. Does nothing if `error` is NULL.
 */
void pw_error_prefix(struct pywatt_error *error, const char *format, ...) PYWATT_PRINTF(2, 3);

/* The usual text for PYWATT_NO_MEMORY; returns it. */
enum pywatt_status pw_error_no_memory(struct pywatt_error *error);

/*
 * The status for the wire code of a failure, or PYWATT_REJECTED if the code is none of ours or that
 * of success.
 */
enum pywatt_status pw_status_from_wire_code(const char *code, unsigned long len);

#endif

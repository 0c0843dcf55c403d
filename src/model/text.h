/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * text.h - the one place where the model's texts are checked against their bounds. No state.
 */
#ifndef PW_MODEL_TEXT_H
#define PW_MODEL_TEXT_H

#include "base/bytes.h"

#include <pywatt/status.h>

#include <stdbool.h>

/*
 * PYWATT_OK; PYWATT_INVALID_ARGUMENT if `text` is not UTF-8, has a NUL inside, or is empty and must
 * not be; PYWATT_LIMIT if it is longer than `max` bytes.
 */
enum pywatt_status pw_text_check(struct pw_str text, size_t max, bool may_be_empty);

/* A NUL-terminated copy on the heap, or NULL. */
char *pw_text_copy(struct pw_str text);

/* Whether both are the same but for the case of the letters A to Z, in every locale. */
bool pw_text_equal_nocase(struct pw_str a, struct pw_str b);

#endif

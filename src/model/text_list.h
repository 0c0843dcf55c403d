/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * text_list.h - texts in the order in which they were added, such as methods: all characters in one
 * block, one offset a text. No lock: one thread at a time. Zero-initialised it is empty.
 */
#ifndef PW_MODEL_TEXT_LIST_H
#define PW_MODEL_TEXT_LIST_H

#include "base/bytes.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_text_list {
    char *text;
    uint32_t *ends; /* where each text ends, its NUL included */
    uint32_t text_capacity;
    uint32_t count;
    uint32_t capacity;
};

void pw_text_list_destroy(struct pw_text_list *list);

/*
 * Adds a copy of `text`, which may be one of the list's own, and which the caller has checked.
 * PYWATT_OK; PYWATT_LIMIT if there are `max` already; PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_text_list_add(struct pw_text_list *list, struct pw_str text, uint32_t max);

/* The text at `index`, or NULL. */
const char *pw_text_list_at(const struct pw_text_list *list, size_t index);

/* Fills *out, which is empty, with the same texts and no room for more. */
enum pywatt_status pw_text_list_copy(const struct pw_text_list *list, struct pw_text_list *out);

/* The same texts in the same order. */
bool pw_text_list_equal(const struct pw_text_list *a, const struct pw_text_list *b);

#endif

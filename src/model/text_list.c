/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * text_list.c - the list of texts. No lock: one thread at a time.
 */
#include "model/text_list.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 4,
    FIRST_TEXT_CAPACITY = 32
};

void pw_text_list_destroy(struct pw_text_list *list)
{
    free(list->text);
    free(list->ends);
    *list = (struct pw_text_list){0};
}

static uint32_t text_len(const struct pw_text_list *list)
{
    return list->count == 0 ? 0 : list->ends[list->count - 1];
}

static enum pywatt_status make_room_for_end(struct pw_text_list *list)
{
    if (list->count < list->capacity) {
        return PYWATT_OK;
    }
    const uint32_t capacity = list->capacity == 0 ? FIRST_CAPACITY : list->capacity * 2;
    uint32_t *ends = realloc(list->ends, capacity * sizeof(*ends));
    if (ends == NULL) {
        return PYWATT_NO_MEMORY;
    }
    list->ends = ends;
    list->capacity = capacity;
    return PYWATT_OK;
}

/* *old gets the block that was there before; it is freed once what may point into it is copied. */
static enum pywatt_status make_room_for_text(struct pw_text_list *list, uint32_t needed, char **old)
{
    const uint32_t len = text_len(list);
    if (list->text_capacity - len >= needed) {
        return PYWATT_OK;
    }
    uint32_t capacity = list->text_capacity == 0 ? FIRST_TEXT_CAPACITY : list->text_capacity * 2;
    if (capacity < len + needed) {
        capacity = len + needed;
    }
    char *text = malloc(capacity);
    if (text == NULL) {
        return PYWATT_NO_MEMORY;
    }
    if (len > 0) {
        memcpy(text, list->text, len);
    }
    *old = list->text;
    list->text = text;
    list->text_capacity = capacity;
    return PYWATT_OK;
}

enum pywatt_status pw_text_list_add(struct pw_text_list *list, struct pw_str text, uint32_t max)
{
    if (list->count >= max) {
        return PYWATT_LIMIT;
    }
    char *old = NULL;
    enum pywatt_status status = make_room_for_end(list);
    if (status == PYWATT_OK) {
        status = make_room_for_text(list, (uint32_t)text.len + 1, &old);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    const uint32_t len = text_len(list);
    if (text.len > 0) {
        memcpy(list->text + len, text.data, text.len);
    }
    list->text[len + text.len] = '\0';
    list->ends[list->count++] = len + (uint32_t)text.len + 1;
    free(old);
    return PYWATT_OK;
}

const char *pw_text_list_at(const struct pw_text_list *list, size_t index)
{
    if (index >= list->count) {
        return NULL;
    }
    return list->text + (index == 0 ? 0 : list->ends[index - 1]);
}

enum pywatt_status pw_text_list_copy(const struct pw_text_list *list, struct pw_text_list *out)
{
    if (list->count == 0) {
        return PYWATT_OK;
    }
    const uint32_t len = text_len(list);
    char *text = malloc(len);
    uint32_t *ends = malloc(list->count * sizeof(*ends));
    if (text == NULL || ends == NULL) {
        free(text);
        free(ends);
        return PYWATT_NO_MEMORY;
    }
    memcpy(text, list->text, len);
    memcpy(ends, list->ends, list->count * sizeof(*ends));
    *out = (struct pw_text_list){.text = text,
                                 .ends = ends,
                                 .text_capacity = len,
                                 .count = list->count,
                                 .capacity = list->count};
    return PYWATT_OK;
}

bool pw_text_list_equal(const struct pw_text_list *a, const struct pw_text_list *b)
{
    /* The characters tell the texts apart by their NULs, so the offsets need no look. */
    return a->count == b->count && text_len(a) == text_len(b) &&
           (a->count == 0 || memcmp(a->text, b->text, text_len(a)) == 0);
}

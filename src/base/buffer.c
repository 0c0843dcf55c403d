/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * buffer.c - the growing byte queue. No lock of its own: one thread at a time.
 *
 * What was consumed leaves a gap in front, which is closed only when room is needed behind: then
 * the bytes move to the front if they are fewer than the gap, or else the block grows, so that each
 * byte moves a bounded number of times. A block that holds nearly its limit while it is consumed gets
 * a quarter more, else all of it would move for each few bytes.
 */
#include "base/buffer.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 512

void pw_buffer_init(struct pw_buffer *buffer, size_t limit)
{
    *buffer = (struct pw_buffer){.limit = limit};
}

void pw_buffer_destroy(struct pw_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct pw_buffer){.limit = buffer->limit};
}

static void close_gap(struct pw_buffer *buffer)
{
    const size_t held = pw_buffer_len(buffer);
    if (buffer->start > 0 && held > 0) {
        memmove(buffer->data, buffer->data + buffer->start, held);
    }
    buffer->start = 0;
    buffer->end = held;
}

/* What the block may grow to at most. */
static size_t most_capacity(const struct pw_buffer *buffer)
{
    const bool is_full = buffer->start > 0 && buffer->capacity >= buffer->limit;
    const size_t more = is_full ? buffer->limit / 4 : 0;
    return more < SIZE_MAX - buffer->limit ? buffer->limit + more : SIZE_MAX;
}

static size_t next_capacity(const struct pw_buffer *buffer, size_t needed)
{
    const size_t most = most_capacity(buffer);
    size_t capacity = buffer->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buffer->capacity;
    while (capacity < needed && capacity <= most / 2) {
        capacity *= 2;
    }
    if (capacity < needed || capacity > most) {
        capacity = most;
    }
    return capacity;
}

/* Makes the block larger if it may be, and closes the gap. `needed` is within the limit. */
static enum pywatt_status grow(struct pw_buffer *buffer, size_t needed)
{
    /* Larger even if closing the gap would do, as that would have to be done again soon. */
    const size_t at_least = needed > buffer->capacity ? needed : buffer->capacity + 1;
    const size_t capacity = next_capacity(buffer, at_least);
    close_gap(buffer);
    if (capacity > buffer->capacity) {
        uint8_t *data = realloc(buffer->data, capacity);
        if (data != NULL) {
            buffer->data = data;
            buffer->capacity = capacity;
        }
    }
    return buffer->capacity >= needed ? PYWATT_OK : PYWATT_NO_MEMORY;
}

enum pywatt_status pw_buffer_reserve(struct pw_buffer *buffer, size_t len, uint8_t **out)
{
    const size_t held = pw_buffer_len(buffer);
    if (len > buffer->limit - held) {
        return PYWATT_LIMIT;
    }
    if (buffer->capacity - buffer->end < len) {
        if (held <= buffer->start && buffer->capacity - held >= len) {
            close_gap(buffer);
        } else {
            const enum pywatt_status status = grow(buffer, held + len);
            if (status != PYWATT_OK) {
                return status;
            }
        }
    }
    *out = buffer->data == NULL ? NULL : buffer->data + buffer->end;
    return PYWATT_OK;
}

void pw_buffer_commit(struct pw_buffer *buffer, size_t len)
{
    assert(len <= buffer->capacity - buffer->end);
    buffer->end += len;
    if (buffer->touched < buffer->end) {
        buffer->touched = buffer->end;
    }
}

enum pywatt_status pw_buffer_append(struct pw_buffer *buffer, const void *data, size_t len)
{
    uint8_t *room = NULL;
    const enum pywatt_status status = pw_buffer_reserve(buffer, len, &room);
    if (status == PYWATT_OK && len > 0) {
        memcpy(room, data, len);
        pw_buffer_commit(buffer, len);
    }
    return status;
}

void pw_buffer_consume(struct pw_buffer *buffer, size_t len)
{
    assert(len <= pw_buffer_len(buffer));
    buffer->start += len;
    if (buffer->start == buffer->end) {
        pw_buffer_clear(buffer);
    }
}

void pw_buffer_truncate(struct pw_buffer *buffer, size_t len)
{
    if (len < pw_buffer_len(buffer)) {
        buffer->end = buffer->start + len;
    }
}

void pw_buffer_clear(struct pw_buffer *buffer)
{
    buffer->start = 0;
    buffer->end = 0;
}

void pw_buffer_trim(struct pw_buffer *buffer, size_t keep)
{
    if (buffer->capacity > keep && pw_buffer_len(buffer) == 0) {
        pw_buffer_destroy(buffer);
    }
}

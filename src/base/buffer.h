/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * buffer.h - bytes that are appended at one end and consumed at the other, in one growing block
 * with an upper limit. No lock of its own. Keeps its memory when emptied, so that a steady flow
 * allocates nothing.
 */
#ifndef PW_BASE_BUFFER_H
#define PW_BASE_BUFFER_H

#include "base/bytes.h"

#include <pywatt/status.h>

#include <stddef.h>
#include <stdint.h>

struct pw_buffer {
    uint8_t *data;
    size_t start; /* first byte not consumed */
    size_t end;   /* one past the last byte */
    size_t capacity;
    size_t touched; /* first byte of the block that was never written */
    size_t limit;   /* bytes held at once, at most; the block may be a quarter larger */
};

void pw_buffer_init(struct pw_buffer *buffer, size_t limit);
void pw_buffer_destroy(struct pw_buffer *buffer);

static inline size_t pw_buffer_len(const struct pw_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* The bytes that it holds; NULL as long as it has no memory. */
static inline const uint8_t *pw_buffer_bytes(const struct pw_buffer *buffer)
{
    return buffer->data == NULL ? NULL : buffer->data + buffer->start;
}

static inline struct pw_span pw_buffer_span(const struct pw_buffer *buffer)
{
    return (struct pw_span){pw_buffer_bytes(buffer), pw_buffer_len(buffer)};
}

/*
 * Makes room for `len` more bytes in one piece (may move what is there), and gives where they go;
 * pw_buffer_commit then says how many were written. PYWATT_OK, PYWATT_LIMIT, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_buffer_reserve(struct pw_buffer *buffer, size_t len, uint8_t **out);
void pw_buffer_commit(struct pw_buffer *buffer, size_t len);

/* Copies `len` bytes to the end. Statuses as pw_buffer_reserve. */
enum pywatt_status pw_buffer_append(struct pw_buffer *buffer, const void *data, size_t len);

/* Consumes `len` bytes at the front. */
void pw_buffer_consume(struct pw_buffer *buffer, size_t len);

/* Cuts what was appended after the buffer had `len` bytes: undoes a half-written message. */
void pw_buffer_truncate(struct pw_buffer *buffer, size_t len);

/* Empties it, and keeps the memory. */
void pw_buffer_clear(struct pw_buffer *buffer);

/* Gives memory back if it holds more than `keep` bytes of it and is empty. */
void pw_buffer_trim(struct pw_buffer *buffer, size_t keep);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_out.h - writes JSON text to a buffer, in one of the two spellings. No lock: one thread at a
 * time.
 *
 * The first failure sticks: what is put afterwards is ignored, and pw_json_out_end tells it, having
 * cut off what was written. Nothing is allocated but by the buffer when it has no room.
 */
#ifndef PW_CODEC_JSON_OUT_H
#define PW_CODEC_JSON_OUT_H

#include "base/buffer.h"
#include "base/uuid.h"
#include "codec/json_codec.h"

struct pw_json_out {
    struct pw_buffer *buffer;
    size_t before; /* the buffer's length at the beginning */
    char *first;   /* what is not committed yet */
    char *at;
    char *end;
    enum pw_json_form form;
    enum pywatt_status status;
};

/* `expected` is a guess of the length, which saves growing. */
void pw_json_out_begin(struct pw_json_out *out, struct pw_buffer *buffer, enum pw_json_form form,
                       size_t expected);
enum pywatt_status pw_json_out_end(struct pw_json_out *out, struct pywatt_error *error);

/* Makes room for `len` bytes at out->at; false if there is none. Cold. */
bool pw_json_out_grow(struct pw_json_out *out, size_t len);

static inline bool pw_json_out_room(struct pw_json_out *out, size_t len)
{
    return (size_t)(out->end - out->at) >= len || pw_json_out_grow(out, len);
}

/* Characters as they are. */
static inline void pw_json_put(struct pw_json_out *out, const char *text, size_t len)
{
    if (len > 0 && pw_json_out_room(out, len)) {
        memcpy(out->at, text, len);
        out->at += len;
    }
}

#define PW_JSON_PUT(out, literal) pw_json_put((out), (literal), sizeof(literal) - 1)

/* The literal that the form calls for. */
#define PW_JSON_PUT_FORM(out, rust, python)                                           \
    ((out)->form == PW_JSON_PYTHON ? pw_json_put((out), (python), sizeof(python) - 1) \
                                   : pw_json_put((out), (rust), sizeof(rust) - 1))

/* The key of the first member of an object with its bracket, and of one that is not the first. */
#define PW_JSON_PUT_FIRST(out, key) PW_JSON_PUT_FORM(out, "{\"" key "\":", "{\"" key "\": ")
#define PW_JSON_PUT_KEY(out, key) PW_JSON_PUT_FORM(out, ",\"" key "\":", ", \"" key "\": ")

/* A quoted UUID. */
static inline void pw_json_put_uuid(struct pw_json_out *out, const struct pywatt_uuid *uuid)
{
    if (pw_json_out_room(out, PW_UUID_TEXT_LEN + 2)) {
        out->at[0] = '"';
        pw_uuid_write(uuid, out->at + 1);
        out->at[PW_UUID_TEXT_LEN + 1] = '"';
        out->at += PW_UUID_TEXT_LEN + 2;
    }
}

/* A string, quoted and escaped; `text` is UTF-8. */
void pw_json_put_text(struct pw_json_out *out, struct pw_str text);

/* Writes up to 20 digits at `at`, where there is room for them; returns their end. */
char *pw_json_write_number(char *at, uint64_t value);

void pw_json_put_number(struct pw_json_out *out, uint64_t value);

/* An object of strings. */
void pw_json_put_map(struct pw_json_out *out, const struct pywatt_string_map *map);

/* JSON text that has no white space outside of strings, in the spelling of the form. */
void pw_json_put_compact(struct pw_json_out *out, struct pw_str json_text);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See messages.h. */
#include "messages.h"

#include "fuzz.h"
#include "same.h"

#include <string.h>

void fuzz_reader_init(struct fuzz_reader *reader)
{
    *reader = (struct fuzz_reader){.status = PYWATT_OK};
    pw_arena_init(&reader->arena, PW_CODEC_ARENA_BUDGET);
    pw_request_init(&reader->request);
    pw_response_init(&reader->response);
}

void fuzz_reader_destroy(struct fuzz_reader *reader)
{
    pw_request_clear(&reader->request);
    pw_response_clear(&reader->response);
    pw_arena_destroy(&reader->arena);
}

static bool check_status(const struct fuzz_reader *reader, bool may_be_unsupported)
{
    switch (reader->status) {
    case PYWATT_OK: return true;
    case PYWATT_UNSUPPORTED: FUZZ_CHECK(may_be_unsupported, "%s", reader->error.text); break;
    case PYWATT_SERIALIZATION:
    case PYWATT_LIMIT: break;
    default: FUZZ_CHECK(false, "%s", pywatt_status_name(reader->status));
    }
    FUZZ_CHECK(reader->error.status == reader->status && reader->error.text[0] != '\0',
               "refused without words");
    return false;
}

bool fuzz_read_request(struct fuzz_reader *reader, const struct pw_codec_ops *codec,
                       struct pw_span payload)
{
    pw_arena_reset(&reader->arena);
    reader->status =
        pw_codec_decode_request(codec, payload, &pw_codec_default_limits, &reader->arena,
                                &reader->request, &reader->recognised, &reader->error);
    const bool read = check_status(reader, true);
    FUZZ_CHECK(!read || reader->recognised, "read, and not recognised");
    FUZZ_CHECK(read || reader->recognised || !reader->request.has_request_id,
               "an id of what was not recognised");
    return read;
}

bool fuzz_read_response(struct fuzz_reader *reader, const struct pw_codec_ops *codec,
                        struct pw_span payload)
{
    pw_arena_reset(&reader->arena);
    reader->status = pw_codec_decode_response(codec, payload, &pw_codec_default_limits,
                                              &reader->arena, &reader->response, &reader->error);
    const bool read = check_status(reader, false);
    bool has_id = false;
    struct pywatt_uuid id;
    const enum pywatt_status peeked = pw_codec_peek_response_id(codec, payload, &has_id, &id);
    FUZZ_CHECK(peeked == PYWATT_OK || peeked == PYWATT_SERIALIZATION, "%s",
               pywatt_status_name(peeked));
    if (read) {
        FUZZ_CHECK(peeked == PYWATT_OK && has_id == reader->response.has_request_id,
                   "a reply whose id is not seen from outside");
        FUZZ_CHECK(!has_id || pywatt_uuid_equal(&id, &reader->response.request_id), "another id");
    }
    return read;
}

static void expect_same_status(const struct fuzz_reader *reader, const struct fuzz_reader *other,
                               const char *what)
{
    FUZZ_CHECK(reader->status == other->status, "%s: %s (%s) and %s (%s)", what,
               pywatt_status_name(reader->status), reader->error.text,
               pywatt_status_name(other->status), other->error.text);
}

void fuzz_expect_same_request(const struct fuzz_reader *reader, struct fuzz_reader *other,
                              const char *what)
{
    expect_same_status(reader, other, what);
    FUZZ_CHECK(reader->recognised == other->recognised, "%s: recognised by one only", what);
    FUZZ_CHECK(pw_same_request(&reader->request, &other->request), "%s: another request", what);
    fuzz_reader_destroy(other);
}

void fuzz_expect_same_response(const struct fuzz_reader *reader, struct fuzz_reader *other,
                               const char *what)
{
    expect_same_status(reader, other, what);
    FUZZ_CHECK(pw_same_response(&reader->response, &other->response), "%s: another reply", what);
    fuzz_reader_destroy(other);
}

/* ---- Through a codec ---- */

static void write_request(const struct pw_codec_ops *codec, const struct pw_request *request,
                          struct pw_buffer *out)
{
    struct pywatt_error error = {.text = ""};
    pw_buffer_init(out, (size_t)16 << 20);
    const enum pywatt_status status = pw_codec_encode_request(codec, request, out, &error);
    FUZZ_CHECK(status == PYWATT_OK, "%s cannot write: %s", codec->name, error.text);
}

static void write_response(const struct pw_codec_ops *codec, const struct pw_response *response,
                           struct pw_buffer *out)
{
    struct pywatt_error error = {.text = ""};
    pw_buffer_init(out, (size_t)16 << 20);
    const enum pywatt_status status = pw_codec_encode_response(codec, response, out, &error);
    FUZZ_CHECK(status == PYWATT_OK, "%s cannot write: %s", codec->name, error.text);
}

static bool same_bytes(const struct pw_buffer *a, const struct pw_buffer *b)
{
    return pw_buffer_len(a) == pw_buffer_len(b) &&
           memcmp(pw_buffer_bytes(a), pw_buffer_bytes(b), pw_buffer_len(a)) == 0;
}

/*
 * JSON values in a message are kept as they were spelled, and Python's form spells characters beyond
 * ASCII in another way: then what is read must be spelled like that again.
 */
static void carry_request_by(const struct pw_codec_ops *codec, const struct pw_request *request)
{
    struct pw_buffer out;
    struct fuzz_reader reader;
    fuzz_reader_init(&reader);
    write_request(codec, request, &out);
    const bool read = fuzz_read_request(&reader, codec, pw_buffer_span(&out));
    FUZZ_CHECK(read, "%s cannot read what it wrote: %s", codec->name, reader.error.text);
    if (!pw_same_request(&reader.request, request)) {
        struct pw_buffer again;
        FUZZ_CHECK(codec->replies_in_order && request->operation == PW_OP_CAPABILITIES,
                   "%s read another request", codec->name);
        write_request(codec, &reader.request, &again);
        FUZZ_CHECK(same_bytes(&out, &again), "%s read another request", codec->name);
        pw_buffer_destroy(&again);
    }
    fuzz_reader_destroy(&reader);
    pw_buffer_destroy(&out);
}

void fuzz_carry_request(const struct pw_request *request)
{
    struct pw_request known = *request;
    known.has_request_id = true; /* only peers may leave it out */
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        if ((*codec)->batches || known.operation != PW_OP_HEARTBEAT_BATCH) {
            carry_request_by(*codec, &known);
        }
    }
}

static void carry_response_by(const struct pw_codec_ops *codec, const struct pw_response *response)
{
    struct pw_buffer out;
    struct fuzz_reader reader;
    fuzz_reader_init(&reader);
    write_response(codec, response, &out);
    const bool read = fuzz_read_response(&reader, codec, pw_buffer_span(&out));
    FUZZ_CHECK(read, "%s cannot read what it wrote: %s", codec->name, reader.error.text);
    if (!pw_same_response(&reader.response, response)) {
        struct pw_buffer again;
        FUZZ_CHECK(codec->replies_in_order && response->registration != NULL,
                   "%s read another reply", codec->name);
        write_response(codec, &reader.response, &again);
        FUZZ_CHECK(same_bytes(&out, &again), "%s read another reply", codec->name);
        pw_buffer_destroy(&again);
    }
    fuzz_reader_destroy(&reader);
    pw_buffer_destroy(&out);
}

void fuzz_carry_response(const struct pw_response *response)
{
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        struct pw_response known = *response;
        if (!(*codec)->batches) {
            known.features = 0; /* replies in JSON never have them */
        }
        if ((*codec)->batches || known.operation != PW_OP_HEARTBEAT_BATCH) {
            carry_response_by(*codec, &known);
        }
    }
}

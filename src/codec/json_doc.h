/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_doc.h - reading a scanned JSON text: members by key, values by type, errors that name the
 * field. Everything is on the caller's stack or in the arena; any thread, no state.
 *
 * Null equals absent: a member whose value is null is not found. Keys are compared exactly, after
 * unescaping. A member that is known here must not stand twice, whatever its values are, as peers
 * differ in which of the two they believe; and no text that is read may have U+0000 in it. No text of
 * the peer is quoted in an error, as errors travel to peers that read meaning out of single words.
 */
#ifndef PW_CODEC_JSON_DOC_H
#define PW_CODEC_JSON_DOC_H

#include "base/json_scan.h"
#include "codec/codec.h"

/* The initialiser of a key for pw_json_find; ASCII without a character that has a short escape. */
#define PW_JSON_KEY(text)        \
    {                            \
        (text), sizeof(text) - 1 \
    }

/* No such member. */
#define PW_JSON_ABSENT UINT32_MAX

/* Several of them. Whoever reads the member gets an error. */
#define PW_JSON_TWICE (UINT32_MAX - 1)

/* Keys that one pw_json_find looks for at most. */
#define PW_JSON_KEYS_MAX 32

/* Tokens for which a decoder has room on its stack; beats need fewer. */
#define PW_JSON_STACK_TAPE 256

struct pw_json_doc {
    struct pw_span text;
    const struct pw_json_token *tokens;
    uint32_t count;
    struct pw_arena *arena;
    struct pywatt_error *error;
};

/*
 * Where a value stands, for error texts: a chain on the stack from the value to the root. `name` is
 * how errors call the member, NULL for the item `index` of an array or map.
 */
struct pw_json_place {
    const struct pw_json_place *in;
    const char *name;
    size_t index;
};

/*
 * Scans `payload`, on `tape` if that is large enough, else on a tape from `arena`. The root is an
 * object, at token 0. PYWATT_OK, PYWATT_SERIALIZATION, PYWATT_LIMIT, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_json_open(struct pw_json_doc *doc, struct pw_span payload,
                                const struct pw_codec_limits *limits, struct pw_arena *arena,
                                struct pw_json_token tape[PW_JSON_STACK_TAPE],
                                struct pywatt_error *error);

/*
 * Finds the members `keys` of the object at token `object`; found[i] is a token, PW_JSON_ABSENT or
 * PW_JSON_TWICE. All functions below take any of these.
 */
void pw_json_find(const struct pw_json_doc *doc, uint32_t object, const struct pw_str *keys,
                  size_t count, uint32_t *found);

/*
 * An error if one of the members found stands twice, for a reader that may not read all of them.
 * `in` is the object, NULL for the root.
 */
enum pywatt_status pw_json_once(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const struct pw_str *keys, size_t count, const uint32_t *found);

/* Whether the raw characters of a key, which need not have been scanned, stand for `name`. */
bool pw_json_escaped_key_is(struct pw_str raw, struct pw_str name);

static inline bool pw_json_key_is(struct pw_str raw, bool escaped, struct pw_str name)
{
    return escaped ? pw_json_escaped_key_is(raw, name) : pw_str_equal(raw, name);
}

/* Whether there is one such value and it is of the kind. */
static inline bool pw_json_is(const struct pw_json_doc *doc, uint32_t token, enum pw_json_kind kind)
{
    return token < doc->count && doc->tokens[token].kind == kind;
}

/*
 * "<place> <what>" as an error; `name` is a member of `in`, or NULL for `in` itself. Returns
 * `status`.
 */
enum pywatt_status pw_json_wrong(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                 const char *name, enum pywatt_status status, const char *what);

/* The status of a setter of the model as that of a decoder, with an error that names the place. */
enum pywatt_status pw_json_from_model(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                      const char *name, enum pywatt_status status);

/* What the arena's failure means: PYWATT_LIMIT or PYWATT_NO_MEMORY. */
enum pywatt_status pw_json_no_room(const struct pw_json_doc *doc);

/*
 * The value at `token`, or an error that names it: PYWATT_SERIALIZATION if it is absent, stands twice
 * or is of another type, or a text with U+0000. `in` and `name` as above. Strings may need the arena.
 */
enum pywatt_status pw_json_text(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const char *name, uint32_t token, struct pw_str *out);
enum pywatt_status pw_json_uuid(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const char *name, uint32_t token, struct pywatt_uuid *out);
enum pywatt_status pw_json_bool(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                const char *name, uint32_t token, bool *out);
enum pywatt_status pw_json_health(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                  const char *name, uint32_t token, enum pywatt_health *out);

/* A whole number up to `max`, written with digits alone; or such a text if `as_text`, too. */
enum pywatt_status pw_json_whole(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                 const char *name, uint32_t token, uint64_t max, bool as_text,
                                 uint64_t *out);

/* Checks that the value is there once and is of the kind. */
enum pywatt_status pw_json_expect(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                  const char *name, uint32_t token, enum pw_json_kind kind);

#endif

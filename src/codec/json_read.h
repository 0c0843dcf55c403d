/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_read.h - objects of the model out of a scanned JSON text. No state; any thread.
 *
 * Everything is read from the scanner's tape, registrations and capabilities, too: the tape keeps
 * the exact spelling of the values that may be any JSON, needs no second parse and no tree on the
 * heap, and all of it counts against the arena's budget.
 */
#ifndef PW_CODEC_JSON_READ_H
#define PW_CODEC_JSON_READ_H

#include "codec/json_doc.h"

/*
 * Each reads the value at `token`, which errors call `name` in `in`, and gives what the caller
 * then owns. PYWATT_OK, PYWATT_SERIALIZATION, PYWATT_LIMIT or PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_json_read_info(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                     const char *name, uint32_t token,
                                     struct pywatt_module_info **out);
enum pywatt_status pw_json_read_capabilities(const struct pw_json_doc *doc,
                                             const struct pw_json_place *in, const char *name,
                                             uint32_t token, struct pywatt_capabilities **out);
enum pywatt_status pw_json_read_registration(const struct pw_json_doc *doc,
                                             const struct pw_json_place *in, const char *name,
                                             uint32_t token, struct pywatt_registration **out);

/*
 * The same of the root, as a person writes it: any part may be absent, and a member that is not known
 * is an error, so that a misspelt one is not lost in silence.
 */
enum pywatt_status pw_json_read_written_capabilities(const struct pw_json_doc *doc,
                                                     struct pywatt_capabilities **out);

/* A map of an object of the model, and how it is filled. */
struct pw_json_map {
    enum pywatt_status (*set)(void *target, struct pw_str key, struct pw_str value);
    /* Borrowed; may be NULL as long as nothing was set. */
    const struct pywatt_string_map *(*get)(const void *target);
    /* Values are of any type, and set to their exact characters; else they are strings. */
    bool any_json;
};

/*
 * Fills a map of `target`, which is empty, from the members of an object. A key that stands twice is
 * an error, while a value of any type may have such inside of it.
 */
enum pywatt_status pw_json_read_entries(const struct pw_json_doc *doc,
                                        const struct pw_json_place *in, const char *name,
                                        uint32_t token, const struct pw_json_map *map,
                                        void *target);

/* The target is a struct pywatt_string_map. */
extern const struct pw_json_map pw_json_string_map;

/* A string of up to `max` bytes, as the model bounds it. */
enum pywatt_status pw_json_read_bounded(const struct pw_json_doc *doc,
                                        const struct pw_json_place *in, const char *name,
                                        uint32_t token, size_t max, bool may_be_empty,
                                        struct pw_str *out);

#endif

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
 * Calls `set` for each member of an object whose values are strings, or of any type if `any_json`
 * (then the value's exact characters are handed over).
 */
typedef enum pywatt_status (*pw_json_setter)(void *target, struct pw_str key, struct pw_str value);
enum pywatt_status pw_json_read_entries(const struct pw_json_doc *doc,
                                        const struct pw_json_place *in, const char *name,
                                        uint32_t token, bool any_json, pw_json_setter set,
                                        void *target);

/* A setter whose target is a struct pywatt_string_map. */
enum pywatt_status pw_json_set_in_map(void *map, struct pw_str key, struct pw_str value);

/* A string of up to `max` bytes, as the model bounds it. */
enum pywatt_status pw_json_read_bounded(const struct pw_json_doc *doc,
                                        const struct pw_json_place *in, const char *name,
                                        uint32_t token, size_t max, bool may_be_empty,
                                        struct pw_str *out);

#endif

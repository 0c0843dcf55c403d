/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_part.h - info and capabilities alone, as JSON text: for stores, which keep them in a form that
 * anybody can read. The form is that of requests, with what is absent left out. No state; any thread.
 */
#ifndef PW_CODEC_JSON_PART_H
#define PW_CODEC_JSON_PART_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"

#include <pywatt/model.h>

/* Append the text to `out`. PYWATT_OK, PYWATT_LIMIT (out's limit), PYWATT_NO_MEMORY. */
enum pywatt_status pw_json_write_info(const struct pywatt_module_info *info, struct pw_buffer *out,
                                      struct pywatt_error *error);
enum pywatt_status pw_json_write_capabilities(const struct pywatt_capabilities *capabilities,
                                              struct pw_buffer *out, struct pywatt_error *error);

/* An arena's budget with which everything can be read that was written here. */
#define PW_JSON_PART_BUDGET ((size_t)256 << 20)

/*
 * Read what was written. *out is the caller's; `arena` is the caller's to reset afterwards.
 * PYWATT_OK, PYWATT_SERIALIZATION, PYWATT_LIMIT, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_json_parse_info(struct pw_str text, struct pw_arena *arena,
                                      struct pywatt_module_info **out, struct pywatt_error *error);
enum pywatt_status pw_json_parse_capabilities(struct pw_str text, struct pw_arena *arena,
                                              struct pywatt_capabilities **out,
                                              struct pywatt_error *error);

#endif

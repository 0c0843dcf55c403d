/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * output.h - what pywattctl writes to stdout: records of named values, each as one JSON object on a
 * line (--json), or as text. Any thread; a record belongs to one thread.
 */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <pywatt/model.h>
#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

/* Chosen once, before anything is written. */
void ctl_output_init(bool json);

struct ctl_record;

/*
 * A record; with an `event`, which is borrowed, it is a line of its own kind, else a block with a
 * line for each value. When memory is out, adding does nothing and printing says so.
 */
struct ctl_record *ctl_record_new(const char *event);
void ctl_record_text(struct ctl_record *record, const char *key, const char *value);
void ctl_record_number(struct ctl_record *record, const char *key, uint64_t value);
void ctl_record_uuid(struct ctl_record *record, const char *key, const struct pywatt_uuid *value);

/* A map as an object. `json_values`: its values are JSON texts. Nothing is added for NULL. */
void ctl_record_map(struct ctl_record *record, const char *key, const struct pywatt_string_map *map,
                    bool json_values);

/* Writes and flushes the record, and consumes it. 0, or TOOL_EXIT_OTHER after it has said why. */
int ctl_record_print(struct ctl_record *record);

/* Prints an error as --json promises; a tool_error_printer. */
void ctl_print_json_error(int exit_code, enum pywatt_status status, const char *text);

#endif

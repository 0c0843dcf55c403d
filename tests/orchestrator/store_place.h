/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_place.h - where a store of the table can be opened in a test. Main thread; functions assert.
 */
#ifndef PW_TESTS_STORE_PLACE_H
#define PW_TESTS_STORE_PLACE_H

#include "orchestrator/store.h"

struct store_place {
    char url[512];
};

/* A place where nothing is yet. */
void store_place_begin(struct store_place *place, const struct pw_store_ops *ops);
void store_place_end(struct store_place *place);

struct pw_store *store_place_open(const struct store_place *place);

/* PATH of "sqlite:PATH". */
const char *store_place_path(const struct store_place *place);

/* ---- One change, waited for ---- */

/* Any thread; the watchdog ends who waits in vain. */
enum pywatt_status store_submit(struct pw_store *store, const struct pw_store_change *change);

/* The id and the record number n; its objects are the caller's. The lease is 1000 + n. */
struct pywatt_uuid store_id(unsigned n);
struct pw_store_record store_record(unsigned n, const char *name, uint64_t generation);
void store_record_release(struct pw_store_record *record);

/* Puts record n with the generation behind the expected one. */
enum pywatt_status store_put(struct pw_store *store, unsigned n, const char *name,
                             uint64_t expected);
enum pywatt_status store_take_out(struct pw_store *store, unsigned n, uint64_t expected);

/* ---- What is in it ---- */

/* "name:generation " of each record, in the order of list; at most so many bytes of it. */
struct store_listed {
    unsigned count;
    unsigned limit;
    char names[4096];
};

/* Checks that each record is one of store_record. */
struct store_listed store_list(struct pw_store *store, uint64_t *revision);

#endif

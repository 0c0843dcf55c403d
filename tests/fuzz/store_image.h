/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_image.h - a store's files as they are after a row of changes, and what was in it after each of
 * these: for the target store.c, which damages the files. Main thread.
 */
#ifndef PW_TESTS_FUZZ_STORE_IMAGE_H
#define PW_TESTS_FUZZ_STORE_IMAGE_H

#include "orchestrator/store.h"

enum {
    STORE_MODULES = 8,
    STORE_CHANGES_MAX = 48,
    STORE_NEWCOMER = STORE_MODULES /* the number of a module that no image has */
};

struct store_bytes {
    uint8_t *data;
    size_t len;
};

/* The database and its write-ahead log. */
struct store_image {
    struct store_bytes database;
    struct store_bytes log;
    unsigned first; /* what may be in it: the states from this one */
    unsigned last;  /* to this one */
};

/* The generation of each module, 0 where there is none. */
struct store_state {
    uint64_t generations[STORE_MODULES + 1];
};

struct store_images {
    char folder[200];
    char path[240];
    char url[250];
    struct store_image closed; /* closed in order: nothing is in the log */
    struct store_image killed; /* as a kill leaves it: some is in the log only */
    struct store_state states[STORE_CHANGES_MAX + 1];
};

/* Made once, in a folder in memory where there is one, which goes when the process ends. */
const struct store_images *store_images(void);

/* The record of a module and a generation; its objects are the caller's. */
struct pw_store_record store_image_record(unsigned n, uint64_t generation);
void store_image_release(struct pw_store_record *record);

/* One change, waited for. */
enum pywatt_status store_image_put(struct pw_store *store, unsigned n, uint64_t generation,
                                   uint64_t expected);

/* Removes whatever a store, or a recovery, has left in the folder. */
void store_image_clean(void);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_images.h - the files of a sqlite store as bytes, to be damaged, written back and opened. Main
 * thread; functions assert.
 */
#ifndef PW_TESTS_STORE_IMAGES_H
#define PW_TESTS_STORE_IMAGES_H

#include "store_place.h"

enum {
    STORE_IMAGE_MODULES = 48
};

struct store_bytes {
    uint8_t *bytes;
    size_t len;
};

/* Of one store, whose module n is called "n" and its number. Some have capabilities. */
struct store_images {
    struct store_place at;
    struct store_bytes database; /* closed */
    struct store_bytes open_database;
    struct store_bytes open_log; /* as a kill leaves them */
    struct store_bytes open_lock;
    struct store_bytes earlier_log; /* when the last change was not there yet */
    struct store_bytes earlier_lock;
};
extern struct store_images store_images;

/* The setup and teardown of a group. */
int store_images_make(void **state);
int store_images_free(void **state);

/* ---- Files: PATH with a suffix ---- */

/* Bytes are to be freed. */
struct store_bytes store_image_read(const char *suffix);
struct store_bytes store_image_copy(const struct store_bytes *from);
void store_image_write(const char *suffix, const struct store_bytes *image);
void store_images_remove(void);

/* The database as a kill leaves it, with this log and, if it is not NULL, this lock. */
void store_images_write_open(const struct store_bytes *log, const struct store_bytes *lock);
void store_image_expect_unchanged(unsigned seed, const char *suffix,
                                  const struct store_bytes *before);

/* ---- What is shown ---- */

struct store_shown {
    unsigned seen[STORE_IMAGE_MODULES];
    unsigned count;
    bool wrong;
    bool in_order; /* 0, 1, 2, ... */
};

/* False if it is refused, which must be with words. */
bool store_image_open(unsigned seed, struct store_shown *shown);

/* What is kept is shown then, or words tell why nothing can be. */
void store_image_recover(unsigned seed);

#endif

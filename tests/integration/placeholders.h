/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * placeholders.h - texts with ${names} in them. A name is bound when it is first met: to what stands
 * in its place, or, in a text that is to be sent, to a fresh UUID; from then on it stands for that, and
 * no other name does.
 * The letters that a name begins with say what it may be: id and uuid a UUID in lower case, token the
 * 43 characters of a token, port digits. \xNN stands for a byte. One thread.
 */
#ifndef PW_TESTS_PLACEHOLDERS_H
#define PW_TESTS_PLACEHOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BINDINGS_MAX 64

struct binding {
    char name[16];
    char value[64];
};

struct bindings {
    struct binding items[BINDINGS_MAX];
    size_t count;
};

/* Binds a name by hand, or again. */
void bindings_set(struct bindings *bindings, const char *name, const char *value);

/*
 * What `pattern` stands for, into `out`. False if it does not fit, or if a name in it is unbound and
 * is no UUID.
 */
bool bindings_expand(struct bindings *bindings, const char *pattern, uint8_t *out, size_t size,
                     size_t *len);

/*
 * Whether `pattern` stands for these bytes. If not, *agreed is how many of them agree, and nothing is
 * bound that was not.
 */
bool bindings_match(struct bindings *bindings, const char *pattern, const uint8_t *bytes,
                    size_t len, size_t *agreed);

#endif

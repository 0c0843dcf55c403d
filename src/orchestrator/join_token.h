/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * join_token.h - the tokens without which nobody registers, if that is wanted: read from a file, kept
 * as their SHA-256 alone. They are part of the options that are in force: a set never changes. No
 * state; any thread.
 */
#ifndef PW_ORCHESTRATOR_JOIN_TOKEN_H
#define PW_ORCHESTRATOR_JOIN_TOKEN_H

#include "base/bytes.h"
#include "orchestrator/token.h"

#include <pywatt/model.h>
#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

/* The metadata key with which a registration shows one. */
#define PW_METADATA_JOIN_TOKEN "join_token"

/* The old one and the new one, while they are being changed. */
#define PW_JOIN_TOKENS_MAX 2
#define PW_JOIN_TOKEN_LEN_MAX 256

struct pw_join_set {
    unsigned count; /* 0: nobody needs one */
    uint8_t hashes[PW_JOIN_TOKENS_MAX][PW_TOKEN_HASH_SIZE];
    /* What is worth a warning once they are in force. */
    bool exposed;            /* others may read or change the file */
    unsigned guessable_line; /* that of a short token; 0: none */
};

/*
 * Reads the file; `path` may be NULL: nobody needs a token then. PYWATT_OK, PYWATT_INVALID_ARGUMENT,
 * PYWATT_IO (the text names file, line and fault), PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_join_set_read(struct pw_join_set *set, const char *path,
                                    struct pywatt_error *error);

/* Logs what is doubtful about the file. */
void pw_join_set_warn(const struct pw_join_set *set, const char *path);

static inline bool pw_join_set_wanted(const struct pw_join_set *set)
{
    return set->count > 0;
}

/* What a registration shows. */
struct pw_join_shown {
    bool any;
    enum pywatt_status status; /* of the hash: PYWATT_OK or PYWATT_NO_MEMORY */
    uint8_t hash[PW_TOKEN_HASH_SIZE];
};

/* Takes the token out of what is registered, and overwrites it; what is left of it is its hash. */
struct pw_join_shown pw_join_token_take(struct pywatt_module_info *info);

/* Whether it is one of those in force, in a time that tells nothing of them. */
bool pw_join_set_accept(const struct pw_join_set *set, const struct pw_join_shown *shown);

#endif

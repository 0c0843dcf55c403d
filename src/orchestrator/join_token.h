/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * join_token.h - the tokens without which nobody registers, if that is wanted: read from a file, kept
 * as their SHA-256 alone. Any thread; a mutex of its own, the last of all locks, taken for a moment
 * by a registration and by a reload, never by a beat.
 */
#ifndef PW_ORCHESTRATOR_JOIN_TOKEN_H
#define PW_ORCHESTRATOR_JOIN_TOKEN_H

#include "base/bytes.h"
#include "base/sync.h"
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
    unsigned count;
    uint8_t hashes[PW_JOIN_TOKENS_MAX][PW_TOKEN_HASH_SIZE];
};

struct pw_join_tokens {
    const char *path; /* borrowed; NULL: nobody needs one */
    struct pw_mutex mutex;
    /* mutex */
    struct pw_join_set set;
};

/*
 * Reads the file, if `path` is not NULL. PYWATT_OK, PYWATT_INVALID_ARGUMENT, PYWATT_IO (the text names
 * file, line and fault), PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_join_tokens_init(struct pw_join_tokens *tokens, const char *path,
                                       struct pywatt_error *error);
void pw_join_tokens_destroy(struct pw_join_tokens *tokens);

/* Reads the file again; on failure what was there stays. The same statuses. */
enum pywatt_status pw_join_tokens_reload(struct pw_join_tokens *tokens, struct pywatt_error *error);

static inline bool pw_join_tokens_wanted(const struct pw_join_tokens *tokens)
{
    return tokens->path != NULL;
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
bool pw_join_tokens_accept(struct pw_join_tokens *tokens, const struct pw_join_shown *shown);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * card.h - what a module's beats carry, in one place that is read without a lock and without going
 * through pointers: a batch of ten thousand beats reads ten thousand of them.
 *
 * A sequence lock. One thread at a time writes, under the module's lock: the version is odd
 * meanwhile, so that a reader who met a writer reads again. All is atomic, so that nobody sees half
 * a word. Tokens that are longer than those of our own orchestrator do not fit: whoever finds the
 * card without one asks the module under its lock.
 */
#ifndef PW_REGISTRY_CARD_H
#define PW_REGISTRY_CARD_H

#include "base/bytes.h"

#include <pywatt/uuid.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PW_CARD_TOKEN_WORDS 6
#define PW_CARD_TOKEN_MAX (PW_CARD_TOKEN_WORDS * sizeof(uint64_t))

struct pw_card {
    atomic_uint version;
    _Atomic uint32_t token_len; /* 0: there is none, or it does not fit */
    _Atomic uint64_t generation;
    _Atomic uint64_t id[2];
    _Atomic uint64_t token[PW_CARD_TOKEN_WORDS];
};

void pw_card_init(struct pw_card *card);

/* An empty token leaves the card without one. */
void pw_card_write(struct pw_card *card, const struct pywatt_uuid *id, uint64_t generation,
                   struct pw_str token);

/*
 * Copies the card; `token` has room for PW_CARD_TOKEN_MAX bytes, which are all written. The token's
 * length; 0 if the card has none, and then nothing else is to be used.
 */
size_t pw_card_read(const struct pw_card *card, struct pywatt_uuid *id, uint64_t *generation,
                    char token[PW_CARD_TOKEN_MAX]);

#endif

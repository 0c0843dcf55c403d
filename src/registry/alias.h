/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alias.h - what a module is called on a connection, so that its beats need neither id nor token.
 *
 * A module's alias is one word: the connection (the channel's epoch), a number that no other module has
 * there, and whether a beat that named it has gone well, so that the orchestrator knows it. Only then
 * may the number stand for the module. A connection that is another one, or another registration,
 * ends that: the word does not fit any more, or is cleared.
 *
 * No lock: any thread may assign, and see a beat go well; who changes the registration has the
 * module's lock.
 */
#ifndef PW_REGISTRY_ALIAS_H
#define PW_REGISTRY_ALIAS_H

#include "model/message.h"

#include <stdatomic.h>
#include <stdint.h>

/* The client's. */
struct pw_alias_source {
    _Atomic uint64_t last;    /* a connection, and the last number assigned there */
    _Atomic uint64_t changes; /* how often a module that had an alias was registered anew */
};

/* The bits of a word below the epoch: the number, and whether it was given. */
#define PW_ALIAS_NUMBER_BITS 16
#define PW_ALIAS_GIVEN (UINT64_C(1) << PW_ALIAS_NUMBER_BITS)
#define PW_ALIAS_EPOCH_SHIFT (PW_ALIAS_NUMBER_BITS + 1)

/* The number that stands for the module on the connection; 0: none does. */
static inline uint32_t pw_alias_of(const _Atomic uint64_t *word, uint64_t epoch)
{
    const uint64_t value = atomic_load_explicit(word, memory_order_relaxed);
    return value >> PW_ALIAS_NUMBER_BITS == (epoch << 1 | 1) ? (uint32_t)(value & PW_ALIAS_MAX) : 0;
}

/* The number that a beat in full is to name on the connection; 0 if there are no more. */
uint32_t pw_alias_assign(struct pw_alias_source *source, _Atomic uint64_t *word, uint64_t epoch);

/* To be looked up before beats that name aliases are put together. */
uint64_t pw_alias_changes(const struct pw_alias_source *source);

/* A beat in full went well on the connection; `changes` is from before it was put together. */
void pw_alias_went_well(const struct pw_alias_source *source, _Atomic uint64_t *word,
                        uint64_t epoch, uint64_t changes);

/* The module's registration is another one, or it has none any more. */
void pw_alias_revoke(struct pw_alias_source *source, _Atomic uint64_t *word);

#endif

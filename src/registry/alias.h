/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alias.h - what a module is called on a connection, so that its beats need neither id nor token.
 *
 * A module's alias is one word: the connection (the channel's epoch), a number that no other module has
 * or had there, and whether a beat that named it has gone well, so that the orchestrator knows it. Only
 * then may the number stand for the module. A connection that is another one, or another registration,
 * ends that: the word does not fit any more, or is cleared.
 *
 * No lock, any thread. What makes it safe is an order, and that no number comes back:
 * - who sends assigns the number first, and looks then what the module's beats carry (card.h, or the
 *   version of its registration);
 * - who changes that changes it first, and revokes the number then, under the module's lock.
 * So if the number is still the module's when the beat that named it has gone well, the beat was not
 * one of an older registration: that would have been changed, and the number revoked, after it was
 * assigned.
 */
#ifndef PW_REGISTRY_ALIAS_H
#define PW_REGISTRY_ALIAS_H

#include "model/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The client's. */
struct pw_alias_source {
    _Atomic uint64_t last;          /* a connection, and the last number assigned there */
    _Atomic uint64_t refused_epoch; /* the last connection whose peer takes no beats by aliases */
};

/* The bits of a word below the epoch: the number, and whether it was given. */
#define PW_ALIAS_NUMBER_BITS 16
#define PW_ALIAS_GIVEN (UINT64_C(1) << PW_ALIAS_NUMBER_BITS)
#define PW_ALIAS_EPOCH_SHIFT (PW_ALIAS_NUMBER_BITS + 1)

/*
 * What a beat said of its module's alias, kept until its answer: the number that it named, or, with
 * PW_ALIAS_GIVEN, by which it went; 0: nothing.
 */
typedef uint32_t pw_alias_use;

static inline pw_alias_use pw_alias_used(uint32_t number)
{
    return number | (pw_alias_use)PW_ALIAS_GIVEN;
}

static inline bool pw_alias_is_used(pw_alias_use use)
{
    return (use & PW_ALIAS_GIVEN) != 0;
}

/* Of a connection, for the functions below: 0, which is none, if its peer takes no aliases. */
static inline uint64_t pw_alias_epoch(const struct pw_alias_source *source, uint64_t epoch)
{
    return atomic_load_explicit(&source->refused_epoch, memory_order_relaxed) == epoch ? 0 : epoch;
}

/* The number that stands for the module on the connection; 0: none does. */
static inline uint32_t pw_alias_of(const _Atomic uint64_t *word, uint64_t epoch)
{
    const uint64_t value = atomic_load_explicit(word, memory_order_relaxed);
    return value >> PW_ALIAS_NUMBER_BITS == (epoch << 1 | 1) ? (uint32_t)(value & PW_ALIAS_MAX) : 0;
}

/* The number that a beat in full is to name on the connection; 0 if there are no more. */
uint32_t pw_alias_assign(struct pw_alias_source *source, _Atomic uint64_t *word, uint64_t epoch);

/* A beat went well on the connection. */
void pw_alias_went_well(_Atomic uint64_t *word, uint64_t epoch, pw_alias_use use);

/* What a beat can be refused with that went by an alias which the orchestrator does not know. */
#define PW_ALIAS_UNKNOWN PYWATT_INVALID_ARGUMENT

/* A beat was refused so: the next one names another number. */
void pw_alias_doubt(_Atomic uint64_t *word, uint64_t epoch, pw_alias_use use);

/* Whether a message of `count` beats that is refused so as a whole may be refused for their aliases. */
bool pw_alias_may_be_why(const pw_alias_use *uses, size_t count, enum pywatt_status status);

/* One was: no more aliases on that connection. */
void pw_alias_refuse(struct pw_alias_source *source, uint64_t epoch);

/* The module's registration is another one, or it has none any more: that was written before. */
void pw_alias_revoke(_Atomic uint64_t *word);

#endif

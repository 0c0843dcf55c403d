/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alias.c - see alias.h. Any thread; no lock.
 *
 * Assigning and revoking both change the word by an exchange, so whoever assigns after a revocation
 * sees all that was written before that.
 */
#include "registry/alias.h"

static uint64_t word_of(uint64_t epoch, uint64_t number)
{
    return epoch << PW_ALIAS_EPOCH_SHIFT | number;
}

/* The next number of the connection; 0 if it has no more, or is not the last one any more. */
static uint32_t next_number(struct pw_alias_source *source, uint64_t epoch)
{
    uint64_t last = atomic_load(&source->last);
    uint64_t next;
    do {
        const uint64_t last_epoch = last >> PW_ALIAS_EPOCH_SHIFT;
        if (last_epoch > epoch || last == word_of(epoch, PW_ALIAS_MAX)) {
            return 0;
        }
        next = last_epoch == epoch ? last + 1 : word_of(epoch, 1);
    } while (!atomic_compare_exchange_weak(&source->last, &last, next));
    return (uint32_t)(next & PW_ALIAS_MAX);
}

uint32_t pw_alias_assign(struct pw_alias_source *source, _Atomic uint64_t *word, uint64_t epoch)
{
    uint64_t value = atomic_load(word);
    if (epoch == 0 || value >> PW_ALIAS_EPOCH_SHIFT == epoch) {
        return (uint32_t)(epoch == 0 ? 0 : value & PW_ALIAS_MAX);
    }
    const uint32_t number = next_number(source, epoch);
    if (number == 0) {
        return 0;
    }
    /* If another thread was quicker its number is as good, but for an older connection's. */
    while (!atomic_compare_exchange_weak(word, &value, word_of(epoch, number))) {
        if (value >> PW_ALIAS_EPOCH_SHIFT >= epoch) {
            return value >> PW_ALIAS_EPOCH_SHIFT == epoch ? (uint32_t)(value & PW_ALIAS_MAX) : 0;
        }
    }
    return number;
}

void pw_alias_went_well(_Atomic uint64_t *word, uint64_t epoch, pw_alias_use use)
{
    uint64_t value = word_of(epoch, use);
    if (use != 0 && !pw_alias_is_used(use)) {
        atomic_compare_exchange_strong(word, &value, value | PW_ALIAS_GIVEN);
    }
}

void pw_alias_doubt(_Atomic uint64_t *word, uint64_t epoch, pw_alias_use use)
{
    uint64_t value = word_of(epoch, use);
    atomic_compare_exchange_strong(word, &value, 0);
}

bool pw_alias_may_be_why(const pw_alias_use *uses, size_t count, enum pywatt_status status)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any |= pw_alias_is_used(uses[i]);
    }
    return any && (status == PYWATT_SERIALIZATION || status == PYWATT_UNSUPPORTED ||
                   status == PYWATT_INVALID_ARGUMENT);
}

void pw_alias_refuse(struct pw_alias_source *source, uint64_t epoch)
{
    uint64_t last = atomic_load(&source->refused_epoch);
    while (last < epoch && !atomic_compare_exchange_weak(&source->refused_epoch, &last, epoch)) {
        /* Somebody else did so; `last` is what it is now. */
    }
}

void pw_alias_revoke(_Atomic uint64_t *word)
{
    /* Also if it is none: see above. */
    atomic_exchange(word, 0);
}

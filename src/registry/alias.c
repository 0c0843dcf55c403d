/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alias.c - see alias.h. Any thread; no lock.
 *
 * A beat in full is under way with the old token when its module is registered anew: that it went
 * well must not count for the new one. So a change is counted first, and the word cleared then; who
 * saw a beat go well looks at the word first, and then at the count. If it is the count from before the
 * beat, the word is from before the change, and if it is cleared in this moment the exchange fails.
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
    if (value >> PW_ALIAS_EPOCH_SHIFT == epoch) {
        return (uint32_t)(value & PW_ALIAS_MAX);
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

uint64_t pw_alias_changes(const struct pw_alias_source *source)
{
    return atomic_load(&source->changes);
}

void pw_alias_went_well(const struct pw_alias_source *source, _Atomic uint64_t *word,
                        uint64_t epoch, uint64_t changes)
{
    uint64_t value = atomic_load(word);
    if (value >> PW_ALIAS_EPOCH_SHIFT == epoch && (value & PW_ALIAS_GIVEN) == 0 &&
        (value & PW_ALIAS_MAX) != 0 && atomic_load(&source->changes) == changes) {
        atomic_compare_exchange_strong(word, &value, value | PW_ALIAS_GIVEN);
    }
}

void pw_alias_revoke(struct pw_alias_source *source, _Atomic uint64_t *word)
{
    if (atomic_load(word) != 0) {
        atomic_fetch_add(&source->changes, 1);
        atomic_store(word, 0);
    }
}

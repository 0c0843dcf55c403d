/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * card.c - the sequence lock of card.h. Readers: any thread. Writers: whoever has the module's lock.
 *
 * No fences, which ThreadSanitizer does not know: the writer releases each word, so whoever reads a
 * new one also sees that the version was odd; the reader acquires each, so none is read later than
 * the second look at the version.
 */
#include "registry/card.h"

#include "base/tool_hints.h"

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

void pw_card_init(struct pw_card *card)
{
    PW_HINT_ATOMIC(*card);
    atomic_init(&card->version, 0);
    atomic_init(&card->token_len, 0);
}

void pw_card_write(struct pw_card *card, const struct pywatt_uuid *id, uint64_t generation,
                   struct pw_str token)
{
    uint64_t words[PW_CARD_TOKEN_WORDS] = {0};
    uint64_t halves[2];
    const size_t len = token.len <= PW_CARD_TOKEN_MAX ? token.len : 0;
    if (len > 0) {
        memcpy(words, token.data, len);
    }
    memcpy(halves, id->bytes, sizeof(halves));
    const unsigned version = atomic_load_explicit(&card->version, memory_order_relaxed);
    atomic_store_explicit(&card->version, version + 1, memory_order_relaxed);
    atomic_store_explicit(&card->token_len, (uint32_t)len, memory_order_release);
    store(&card->generation, generation);
    store(&card->id[0], halves[0]);
    store(&card->id[1], halves[1]);
    for (unsigned i = 0; i < PW_CARD_TOKEN_WORDS; i++) {
        store(&card->token[i], words[i]);
    }
    atomic_store_explicit(&card->version, version + 2, memory_order_release);
}

size_t pw_card_read(const struct pw_card *card, struct pywatt_uuid *id, uint64_t *generation,
                    char token[PW_CARD_TOKEN_MAX])
{
    uint64_t words[PW_CARD_TOKEN_WORDS];
    uint64_t halves[2];
    unsigned version;
    size_t len;
    do {
        version = atomic_load_explicit(&card->version, memory_order_acquire);
        len = atomic_load_explicit(&card->token_len, memory_order_acquire);
        *generation = load(&card->generation);
        halves[0] = load(&card->id[0]);
        halves[1] = load(&card->id[1]);
        for (unsigned i = 0; i < PW_CARD_TOKEN_WORDS; i++) {
            words[i] = load(&card->token[i]);
        }
    } while (version % 2 != 0 ||
             atomic_load_explicit(&card->version, memory_order_relaxed) != version);
    memcpy(id->bytes, halves, sizeof(halves));
    memcpy(token, words, sizeof(words));
    return len;
}

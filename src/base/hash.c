/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * hash.c - SipHash-1-3 with a secret that each process draws once. Any thread: the secret is written
 * once, before `secret_ready` is set, and only read afterwards.
 *
 * Ids and numbers have a fixed length, so theirs leave out the last block, which tells lengths
 * apart.
 */
#include "base/map.h"
#include "base/siphash.h"
#include "base/tool_hints.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

struct sip_state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_init(struct sip_state *s, const uint64_t key[2])
{
    /* The initial state spells "somepseudorandomlygeneratedbytes". */
    s->v0 = key[0] ^ UINT64_C(0x736f6d6570736575);
    s->v1 = key[1] ^ UINT64_C(0x646f72616e646f6d);
    s->v2 = key[0] ^ UINT64_C(0x6c7967656e657261);
    s->v3 = key[1] ^ UINT64_C(0x7465646279746573);
}

static inline void sip_round(struct sip_state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_absorb(struct sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

static inline uint64_t sip_finish(struct sip_state *s)
{
    s->v2 ^= 0xff;
    sip_round(s);
    sip_round(s);
    sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* `len` bytes, up to 8, as a little-endian number. */
static inline uint64_t load_le(const uint8_t *p, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)p[i] << (8 * i);
    }
    return word;
}

uint64_t pw_siphash13(const uint64_t key[2], const void *data, size_t len)
{
    struct sip_state s;
    sip_init(&s, key);
    const uint8_t *p = data;
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        sip_absorb(&s, load_le(p, 8));
    }
    sip_absorb(&s, load_le(p, left) | (uint64_t)(len & 0xff) << 56);
    return sip_finish(&s);
}

static uint64_t secret_key[2];
static atomic_bool secret_ready;
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void draw_secret(void)
{
    ssize_t got;
    do {
        got = getrandom(secret_key, sizeof(secret_key), 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(secret_key)) {
        /* A kernel or a sandbox without the call: libuuid knows more ways to randomness. */
        struct pywatt_uuid uuid;
        pywatt_uuid_generate(&uuid);
        memcpy(secret_key, uuid.bytes, sizeof(secret_key));
    }
    PW_HINT_ATOMIC(secret_ready);
    PW_HINT_RELEASE(&secret_ready);
    atomic_store_explicit(&secret_ready, true, memory_order_release);
}

static inline const uint64_t *secret(void)
{
    if (!atomic_load_explicit(&secret_ready, memory_order_acquire)) {
        pthread_once(&secret_once, draw_secret);
    }
    PW_HINT_ACQUIRE(&secret_ready);
    return secret_key;
}

uint64_t pw_hash_bytes(const void *data, size_t len)
{
    return pw_siphash13(secret(), data, len);
}

uint64_t pw_hash_uuid(const struct pywatt_uuid *uuid)
{
    uint64_t words[2];
    memcpy(words, uuid->bytes, sizeof(words));
    struct sip_state s;
    sip_init(&s, secret());
    sip_absorb(&s, words[0]);
    sip_absorb(&s, words[1]);
    return sip_finish(&s);
}

uint64_t pw_hash_u64(uint64_t value)
{
    struct sip_state s;
    sip_init(&s, secret());
    sip_absorb(&s, value);
    return sip_finish(&s);
}

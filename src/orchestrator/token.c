/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * token.c - tokens are made, hashed, compared and wiped. No state; any thread.
 */
#include "orchestrator/token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

enum {
    RANDOM_BYTES = 32
};

_Static_assert(PW_TOKEN_LEN == (RANDOM_BYTES * 4 + 2) / 3, "base64 without padding");

static enum pywatt_status random_bytes(uint8_t *out, size_t len)
{
    size_t got = 0;
    while (got < len) {
        const ssize_t n = getrandom(out + got, len - got, 0);
        if (n > 0) {
            got += (size_t)n;
        } else if (errno != EINTR) {
            return PYWATT_IO;
        }
    }
    return PYWATT_OK;
}

/* Six bits a character, from the first byte's highest on. */
static void write_base64url(const uint8_t *bytes, size_t len, char *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 6; have -= 6) {
            *out++ = alphabet[bits >> (have - 6) & 63];
        }
    }
    if (have > 0) {
        *out = alphabet[bits << (6 - have) & 63];
    }
}

enum pywatt_status pw_token_prepare(void)
{
    uint8_t hash[PW_TOKEN_HASH_SIZE];
    return pw_token_hash(PW_STR_LITERAL("first use"), hash);
}

enum pywatt_status pw_token_generate(struct pw_token *out)
{
    uint8_t bytes[RANDOM_BYTES];
    const enum pywatt_status status = random_bytes(bytes, sizeof(bytes));
    if (status == PYWATT_OK) {
        write_base64url(bytes, sizeof(bytes), out->text);
        pw_token_wipe(bytes, sizeof(bytes));
    }
    return status;
}

enum pywatt_status pw_token_hash(struct pw_str text, uint8_t out[PW_TOKEN_HASH_SIZE])
{
    return EVP_Digest(text.data, text.len, out, NULL, EVP_sha256(), NULL) == 1 ? PYWATT_OK
                                                                               : PYWATT_NO_MEMORY;
}

static uint64_t difference(const char *a, const char *b)
{
    uint64_t left;
    uint64_t right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return left ^ right;
}

/* In words, as it is done for every beat; the last one overlaps the one before. */
bool pw_token_equal(const char a[PW_TOKEN_LEN], const char b[PW_TOKEN_LEN])
{
    uint64_t differences = difference(a + PW_TOKEN_LEN - 8, b + PW_TOKEN_LEN - 8);
    for (size_t at = 0; at + 8 <= PW_TOKEN_LEN; at += 8) {
        differences |= difference(a + at, b + at);
    }
    return differences == 0;
}

bool pw_token_hash_equal(const uint8_t a[PW_TOKEN_HASH_SIZE], const uint8_t b[PW_TOKEN_HASH_SIZE])
{
    return CRYPTO_memcmp(a, b, PW_TOKEN_HASH_SIZE) == 0;
}

void pw_token_wipe(void *secret, size_t len)
{
    OPENSSL_cleanse(secret, len);
}

void pw_token_wipe_buffer(struct pw_buffer *buffer)
{
    if (buffer->data != NULL) {
        /* Not what was never written: that may be pages which the system has not given yet. */
        pw_token_wipe(buffer->data, buffer->touched);
    }
    pw_buffer_destroy(buffer);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * token.h - the secrets that modules are given: 256 random bits, written in 43 characters of
 * base64url. No state; any thread. A token is never logged.
 */
#ifndef PW_ORCHESTRATOR_TOKEN_H
#define PW_ORCHESTRATOR_TOKEN_H

#include "base/buffer.h"
#include "base/bytes.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stdint.h>

#define PW_TOKEN_LEN 43
#define PW_TOKEN_HASH_SIZE 32

struct pw_token {
    char text[PW_TOKEN_LEN]; /* not NUL-terminated */
};

/*
 * libcrypto sets itself up at its first use. To be called before there are threads, which would all
 * do it at once. PYWATT_OK or PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_token_prepare(void);

/* Makes one. PYWATT_OK, or PYWATT_IO if the system gives no random bytes. */
enum pywatt_status pw_token_generate(struct pw_token *out);

/* SHA-256 of the text. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_token_hash(struct pw_str text, uint8_t out[PW_TOKEN_HASH_SIZE]);

/* Compares in a time that does not depend on where they differ. */
bool pw_token_equal(const char a[PW_TOKEN_LEN], const char b[PW_TOKEN_LEN]);
bool pw_token_hash_equal(const uint8_t a[PW_TOKEN_HASH_SIZE], const uint8_t b[PW_TOKEN_HASH_SIZE]);

/* Overwrites a secret, in a way that no compiler leaves out. */
void pw_token_wipe(void *secret, size_t len);

/* Overwrites what a buffer held, and gives its memory back. It can be used on, with its limit. */
void pw_token_wipe_buffer(struct pw_buffer *buffer);

#endif

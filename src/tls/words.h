/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * words.h - what OpenSSL has to say, in words that name the thing. No state but OpenSSL's queue of
 * errors, which belongs to the calling thread.
 */
#ifndef PW_TLS_WORDS_H
#define PW_TLS_WORDS_H

#include <openssl/x509_vfy.h>
#include <stdbool.h>
#include <stddef.h>

#define PW_TLS_WORDS_MAX 160

/* Whether the last call failed for want of memory. */
bool pw_tls_is_no_memory(void);

/* The reason of the oldest error in the queue, as OpenSSL calls it, or "unknown error". Static. */
const char *pw_tls_reason(void);

/*
 * The queue of a handshake or of an open connection that has failed, in the words of somebody who looks at the peer:
 * "it does not speak TLS". Returns `out`, or a static text.
 */
const char *pw_tls_words_failure(bool open, char out[PW_TLS_WORDS_MAX]);

/*
 * Why a certificate did not do, from inside of the callback that verifies: "its certificate is for
 * a.example, not for b.example". `wanted` is the name that was looked for, or NULL.
 */
void pw_tls_words_certificate(X509_STORE_CTX *store, const char *wanted,
                              char out[PW_TLS_WORDS_MAX]);

#endif

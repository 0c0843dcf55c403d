/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * siphash.h - SipHash-1-3, the keyed hash under pw_hash_*. No state; any thread.
 */
#ifndef PW_BASE_SIPHASH_H
#define PW_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t pw_siphash13(const uint64_t key[2], const void *data, size_t len);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shuffle.h - an order that surprises the caches, and is the same each time. Any thread. */
#ifndef BENCH_SHUFFLE_H
#define BENCH_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

/* The numbers from 0 to count - 1 in an order that `seed` decides; the caller frees them. */
uint32_t *bench_shuffled(size_t count, uint64_t seed);

#endif

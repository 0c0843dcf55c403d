/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See shuffle.h. */
#include "support/shuffle.h"

#include "support/check.h"

uint32_t *bench_shuffled(size_t count, uint64_t seed)
{
    uint32_t *order = calloc(count, sizeof(*order));

    bench_check(order != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t at = (size_t)((seed >> 33) % (i + 1));
        order[i] = order[at];
        order[at] = (uint32_t)i;
    }
    return order;
}

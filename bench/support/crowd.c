/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See crowd.h. */
#include "support/crowd.h"

#include "support/check.h"
#include "support/shuffle.h"

void bench_crowd_open(struct bench_crowd *crowd, const char *url, const char *codec, size_t count,
                      bool coalesce)
{
    uint32_t *order = bench_shuffled(count, 1);

    const struct bench_client_options with = {.codec = codec, .one_by_one = !coalesce};
    crowd->client = bench_open_client_with(url, &with);
    crowd->modules = calloc(count, sizeof(struct pywatt_module *));
    crowd->count = count;
    bench_check(crowd->modules != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        crowd->modules[order[i]] = bench_register(crowd->client, codec, i);
    }
    free(order);
}

void bench_crowd_close(struct bench_crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        pywatt_module_free(crowd->modules[i]);
    }
    pywatt_client_free(crowd->client);
    free(crowd->modules);
}

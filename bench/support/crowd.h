/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crowd.h - one client and many modules of it, in an order that surprises caches. One thread at a
 * time.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "support/sides.h"

struct bench_crowd {
    struct pywatt_client *client;
    struct pywatt_module **modules;
    size_t count;
};

void bench_crowd_open(struct bench_crowd *crowd, const char *url, const char *codec, size_t count,
                      bool coalesce);

/* Frees them; nothing is unregistered. */
void bench_crowd_close(struct bench_crowd *crowd);

#endif

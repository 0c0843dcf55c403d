/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * driver.h - a million modules for an orchestrator, at the price of an id and a token each: one
 * connection onto which requests are written in batches, two of them under way at once, and from
 * which every reply is read and checked. Needs the codecs, so its users link pywatt_internal. One
 * thread at a time.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "support/shuffle.h"

#include <stddef.h>
#include <stdint.h>

/* Requests in a batch, unless the caller says less. */
#define BENCH_DRIVER_BATCH 128u

struct bench_driver;

/*
 * `url` is a tcp:// URL of the loopback; there is room for `capacity` modules, whose names begin to
 * count at `first_name`.
 */
struct bench_driver *bench_driver_open(const char *url, const char *codec, size_t capacity,
                                       size_t first_name);

/* Goes on at another orchestrator, or at one that has started again, which knows the same modules. */
void bench_driver_move(struct bench_driver *driver, const char *url);

/* Registers `count` more modules, each called "m-" and its number, from `first_name` on. */
void bench_driver_register(struct bench_driver *driver, size_t count);

/* Each of its modules tells capabilities of some 150 bytes. Before any shuffling. */
void bench_driver_advertise(struct bench_driver *driver);

/*
 * Puts the modules into another order, so that beats by rising number surprise the orchestrator's
 * caches, and not the driver's own. A number is then no longer that of the name.
 */
void bench_driver_shuffle(struct bench_driver *driver, uint64_t seed);

/*
 * One beat for each of the `count` modules whose numbers stand in `order`, `batch` in a batch. If
 * `sent_ns` is not NULL, sent_ns[n] gets the moment just before module n's beat was written.
 */
void bench_driver_beat(struct bench_driver *driver, const uint32_t *order, size_t count,
                       unsigned batch, uint64_t *sent_ns);

/* The same in two steps, for one beat: it is written, and its reply is read and checked. */
void bench_driver_ask_beat(struct bench_driver *driver, uint32_t number);
void bench_driver_take_beat(struct bench_driver *driver);

size_t bench_driver_count(const struct bench_driver *driver);
void bench_driver_close(struct bench_driver *driver);

#endif

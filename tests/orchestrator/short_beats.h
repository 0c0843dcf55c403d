/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * short_beats.h - beats that name aliases, and beats by them. Main thread: what asserts does so there.
 */
#ifndef PW_TESTS_SHORT_BEATS_H
#define PW_TESTS_SHORT_BEATS_H

#include "world.h"

/* A beat in full that names an alias; the token is borrowed. */
struct pw_batched_beat naming(const struct identity *who, uint32_t alias, uint64_t generation);

/* Sends them, and expects a reply to as many. */
void call_full(struct peer *peer, const struct pw_batched_beat *beats, uint32_t count);
void call_short(struct peer *peer, const pw_short_beat *beats, uint32_t count);

/* One that gives the alias. */
void give(struct peer *peer, const struct identity *who, uint32_t alias);

struct pw_request short_batch(const pw_short_beat *beats, uint32_t count);

/* What one beat by the alias is answered with. */
enum pywatt_status beat_by(struct peer *peer, uint32_t alias, enum pywatt_health health);

/* So many beats have come from the module, and that is its health. */
void expect_beats(struct world *world, const struct identity *who, uint64_t beats,
                  enum pywatt_health health);

#endif

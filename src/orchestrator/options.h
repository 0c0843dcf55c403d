/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.h - the settings of an orchestrator, checked and copied. A struct pw_config never changes
 * once it is made: when the settings do, another one takes its place (in_force.h). It is shared by
 * references.
 */
#ifndef PW_ORCHESTRATOR_OPTIONS_H
#define PW_ORCHESTRATOR_OPTIONS_H

#include "base/clock.h"
#include "codec/codec.h"
#include "orchestrator/allow.h"
#include "orchestrator/join_token.h"

#include <pywatt/orchestrator.h>

#include <stdatomic.h>

/* What the public options do not offer; tests change it. */
struct pw_config_hooks {
    const struct pw_clock *clock;
    /* A reply that is not ready by then never goes out: its connection is closed instead. */
    uint32_t reply_timeout_ms;
    /* How long stopping waits for peers to take their last replies. */
    uint32_t stop_timeout_ms;
};

/* Monotonic clock, 8 s, 1 s. */
extern const struct pw_config_hooks pw_config_default_hooks;

struct pw_config {
    struct pywatt_orchestrator_options options; /* its strings are the config's own */
    uint32_t workers_asked;                     /* as they were given; 0: as many as it takes */
    struct pw_codec_limits limits;
    struct pw_config_hooks hooks;
    struct pw_allow allow;          /* what the lists among the options say */
    struct pw_join_set join_tokens; /* what stood in join_token_file when this was made */
    atomic_uint references;
};

/*
 * Checks `options` and copies them, strings included. PYWATT_OK, PYWATT_INVALID_ARGUMENT (the text
 * names the option), PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_config_init(struct pw_config *config,
                                  const struct pywatt_orchestrator_options *options,
                                  struct pywatt_error *error);
void pw_config_destroy(struct pw_config *config);

/*
 * The same on the heap, with one reference, the caller's. `hooks` may be NULL for the usual ones.
 * *out is set on success only.
 */
enum pywatt_status pw_config_new(const struct pywatt_orchestrator_options *options,
                                 const struct pw_config_hooks *hooks, struct pw_config **out,
                                 struct pywatt_error *error);

/* Returns `config`. */
struct pw_config *pw_config_acquire(struct pw_config *config);

/* The last one frees it. NULL is allowed. */
void pw_config_release(const struct pw_config *config);

/* That `next` can take the place of `config`, while threads run. PYWATT_OK or PYWATT_INVALID_ARGUMENT. */
enum pywatt_status pw_config_check_change(const struct pw_config *config,
                                          const struct pw_config *next, struct pywatt_error *error);

/* The lease that a module gets that asks for `wanted_ms`. */
uint64_t pw_config_lease_ms(const struct pw_config *config, uint64_t wanted_ms);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.h - the settings of an orchestrator, checked and copied once. Constant afterwards, so any
 * thread may read them.
 */
#ifndef PW_ORCHESTRATOR_OPTIONS_H
#define PW_ORCHESTRATOR_OPTIONS_H

#include "base/clock.h"
#include "orchestrator/allow.h"

#include <pywatt/orchestrator.h>

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
    struct pw_config_hooks hooks;
    struct pw_allow allow; /* what the lists among the options say */
};

/*
 * Checks `options` and copies them, strings included. PYWATT_OK, PYWATT_INVALID_ARGUMENT (the text
 * names the option), PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_config_init(struct pw_config *config,
                                  const struct pywatt_orchestrator_options *options,
                                  struct pywatt_error *error);
void pw_config_destroy(struct pw_config *config);

/* The lease that a module gets that asks for `wanted_ms`. */
uint64_t pw_config_lease_ms(const struct pw_config *config, uint64_t wanted_ms);

#endif

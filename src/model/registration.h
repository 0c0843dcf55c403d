/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registration.h - how a registration is made, before it is handed out and immutable.
 */
#ifndef PW_MODEL_REGISTRATION_H
#define PW_MODEL_REGISTRATION_H

#include "base/bytes.h"

#include <pywatt/model.h>

#include <stdatomic.h>

/* Keys of the additional data that this library understands. */
#define PW_DATA_LEASE_MS "lease_ms"
#define PW_DATA_HEARTBEAT_INTERVAL_MS "heartbeat_interval_ms"
#define PW_DATA_GENERATION "generation"

/* What the orchestrator can do beyond the four operations, a list of names; for people to see. */
#define PW_DATA_FEATURES "features"

/* The metadata key with which a module asks for a lease. */
#define PW_METADATA_LEASE_MS "lease_ms"

struct pywatt_registration {
    atomic_uint references;
    struct pywatt_uuid id;
    char *token;                     /* never NULL once handed out; wiped when freed */
    struct pywatt_module_info *info; /* NULL for an attached module that was given none */
    char *host;                      /* NULL reads as "" */
    uint16_t port;
    struct pywatt_string_map *env;             /* NULL if there is none */
    struct pywatt_string_map *additional_data; /* key to JSON text; NULL if there is none */
    uint64_t generation;                       /* read from additional_data by seal */
    uint64_t lease_ms;
    uint64_t heartbeat_interval_ms;
};

/* One reference, all members empty. NULL when memory is out. */
struct pywatt_registration *pw_registration_new(void);
enum pywatt_status pw_registration_set_token(struct pywatt_registration *registration,
                                             struct pw_str token);
enum pywatt_status pw_registration_set_host(struct pywatt_registration *registration,
                                            struct pw_str host);

/* Adds a whole number to the additional data. */
enum pywatt_status pw_registration_set_number(struct pywatt_registration *registration,
                                              const char *key, uint64_t value);

/*
 * Reads the numbers out of the additional data, after which nothing may be changed. A value that is
 * no whole number of the range is ignored.
 */
void pw_registration_seal(struct pywatt_registration *registration);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * operation.h - one operation of a module, from its arguments to its result: builds the request,
 * reads the reply, does to the module what the reply means. Shared by the blocking form, which runs
 * it in the calling thread, and the asynchronous one.
 */
#ifndef PW_REGISTRY_OPERATION_H
#define PW_REGISTRY_OPERATION_H

#include "model/message.h"
#include "registry/deferral.h"
#include "registry/module.h"

#include <pywatt/module.h>

#include <stdbool.h>
#include <stdint.h>

/* What is to be done. Its owner has a reference on the module while it lives. */
struct pw_errand {
    enum pw_operation operation;
    struct pywatt_module *module; /* to register: a new one, without an id */
    uint64_t deadline_ns;
    enum pywatt_health health;                /* heartbeat */
    const struct pywatt_string_map *details;  /* heartbeat; borrowed, may be NULL */
    struct pw_told *told;                     /* capabilities; borrowed */
    struct pywatt_registration *registration; /* what it went out with; a reference, or NULL */
    enum pywatt_health verdict;               /* heartbeat: the result */
    bool refused;                             /* the orchestrator said no */
    uint32_t retry_after_ms;                  /* and when to come again; 0: it did not say */
    uint64_t epoch;                           /* of the connection that it was last sent over */
};

void pw_errand_init(struct pw_errand *errand, enum pw_operation operation,
                    struct pywatt_module *module, uint64_t deadline_ns);
void pw_errand_clear(struct pw_errand *errand);

/*
 * Fills `request` with what is to be sent now: pointers borrowed from the errand, which keeps them
 * until it is filled again or cleared. PYWATT_OK, or PYWATT_CLOSED if the module is unregistered.
 */
enum pywatt_status pw_errand_fill(struct pw_errand *errand, struct pw_request *request,
                                  struct pywatt_error *error);

/*
 * Takes in how the request ended that was sent over connection `epoch`: `status` of the channel and,
 * if that is PYWATT_OK, the reply. Returns what it comes to, with its words in *error, which is not
 * NULL. Cannot fail for itself.
 */
enum pywatt_status pw_errand_settle(struct pw_errand *errand, uint64_t epoch,
                                    enum pywatt_status status, const struct pw_response *response,
                                    const struct pywatt_error *channel_error,
                                    struct pywatt_error *error);

/*
 * Does it all, as often as it is told to come again: the blocking form. The caller is inside the
 * client. `error` may be NULL.
 */
enum pywatt_status pw_errand_run(struct pw_errand *errand, struct pywatt_error *error);

/* What an orchestrator said. */
struct pw_answer {
    bool refused;                             /* it was there, and said no */
    uint32_t retry_after_ms;                  /* and when to come again; 0: it did not say */
    uint64_t epoch;                           /* of the connection that it came over */
    enum pywatt_health verdict;               /* of a heartbeat */
    struct pywatt_registration *registration; /* when it registered: a reference for the caller */
};

/*
 * Sends `request` and waits for its reply: PYWATT_OK if the orchestrator did what was asked, else
 * why not. Fills *answer in any case.
 */
enum pywatt_status pw_ask(struct pywatt_client *client, struct pw_request *request,
                          uint64_t deadline_ns, struct pw_answer *answer,
                          struct pywatt_error *error);

/* The same for a reply to `operation` that is there; all but the epoch. */
enum pywatt_status pw_read_reply(enum pw_operation operation, const struct pw_response *response,
                                 struct pw_answer *answer, struct pywatt_error *error);

/* Beats that were sent together have been answered. */
void pw_note_round_trip(struct pywatt_client *client, uint64_t sent_ns, uint64_t answered_ns,
                        uint64_t beats);

/* Checks the arguments of a heartbeat. PYWATT_OK or PYWATT_INVALID_ARGUMENT. */
enum pywatt_status pw_check_heartbeat(const struct pywatt_module *module, enum pywatt_health health,
                                      struct pywatt_error *error);

/* Checks those of an advertisement, and copies what is to be told. Adds PYWATT_NO_MEMORY. */
enum pywatt_status pw_check_capabilities(const struct pywatt_module *module,
                                         const struct pywatt_capabilities *capabilities,
                                         struct pw_told **out, struct pywatt_error *error);

/* True for operations that a module which the orchestrator has forgotten cannot do. */
bool pw_needs_registration(enum pw_operation operation);

/* Puts what was being done before the words of *error: "heartbeat of <id>: ...". */
void pw_prefix_operation(struct pywatt_error *error, enum pw_operation operation,
                         const struct pywatt_module *module);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory.h - a pair of connected ends within the process, for tests and for an orchestrator that
 * lives in the same process as its modules.
 */
#ifndef PW_TRANSPORT_MEMORY_H
#define PW_TRANSPORT_MEMORY_H

#include "transport/transport.h"

/*
 * "memory:name": a listener has the name to itself within the process, and it is free again once
 * the listener is destroyed; connections that it did not accept are then shut down.
 */
extern const struct pw_transport_ops pw_memory_transport;

/* Two connected ends, each the caller's. PYWATT_OK, PYWATT_IO, PYWATT_NO_MEMORY. */
enum pywatt_status pw_memory_pair(struct pw_conn **a, struct pw_conn **b,
                                  struct pywatt_error *error);

#endif

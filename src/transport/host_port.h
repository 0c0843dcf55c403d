/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * host_port.h - the "//host:port" of the transports over IP. No state; any thread.
 */
#ifndef PW_TRANSPORT_HOST_PORT_H
#define PW_TRANSPORT_HOST_PORT_H

#include "transport/endpoint.h"

/*
 * The parse slot of such a transport: fills host (without brackets) and port. PYWATT_OK or
 * PYWATT_INVALID_ARGUMENT, with a text that names the fault and leaves the URL to the caller.
 */
enum pywatt_status pw_host_port_parse(const char *rest, bool for_listening, struct pw_endpoint *out,
                                      struct pywatt_error *error);

#endif

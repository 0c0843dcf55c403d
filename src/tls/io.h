/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * io.h - what the connections of a client and of a server can do; conn.h says how.
 */
#ifndef PW_TLS_IO_H
#define PW_TLS_IO_H

#include "tls/conn.h"

extern const struct pw_conn_ops pw_tls_client_conn_ops;
extern const struct pw_conn_ops pw_tls_server_conn_ops;

#endif

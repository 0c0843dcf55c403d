/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unix.h - "unix:/path" and "unix:@name" in the abstract name space, which has no file and no
 * permissions.
 */
#ifndef PW_TRANSPORT_UNIX_H
#define PW_TRANSPORT_UNIX_H

#include "transport/transport.h"

/*
 * A listener makes its socket file with the permissions that the process's umask leaves, replaces
 * one that a crash left behind, and removes it when it is destroyed. It holds a lock on "<path>.lock"
 * meanwhile, so that of several processes that start at once one gets the path.
 */
extern const struct pw_transport_ops pw_unix_transport;

#endif

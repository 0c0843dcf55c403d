/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite.h - the store that forgets nothing: one SQLite file. A change is answered when it is on
 * the disk.
 */
#ifndef PW_ORCHESTRATOR_STORE_SQLITE_H
#define PW_ORCHESTRATOR_STORE_SQLITE_H

#include "orchestrator/store.h"

extern const struct pw_store_ops pw_store_sqlite;

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_memory.h - the store that forgets everything with its process.
 */
#ifndef PW_ORCHESTRATOR_STORE_MEMORY_H
#define PW_ORCHESTRATOR_STORE_MEMORY_H

#include "orchestrator/store.h"

extern const struct pw_store_ops pw_store_memory;

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * account_list.h - users or groups of this machine, by name or number, as the numbers that the library
 * wants. No state; any thread. Looking a name up may ask a directory on the network, and wait for it.
 */
#ifndef ORCHESTRATOR_ACCOUNT_LIST_H
#define ORCHESTRATOR_ACCOUNT_LIST_H

#include "common/value.h"

enum account_kind {
    ACCOUNT_USER,
    ACCOUNT_GROUP
};

/*
 * `text` has names or numbers, separated by commas; what has digits alone is a number. Returns the numbers,
 * separated by commas, for the caller to free. NULL if there is no such one: `why` says which and what
 * would be right; or, with an empty `why`, if memory is out.
 */
char *account_list_numbers(enum account_kind kind, const char *text, char why[TOOL_WHY_SIZE]);

#endif

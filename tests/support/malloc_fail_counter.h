/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * malloc_fail_counter.h - for what comes between a program and its allocations: asked at each one.
 * Any thread.
 */
#ifndef PW_MALLOC_FAIL_COUNTER_H
#define PW_MALLOC_FAIL_COUNTER_H

#include <stdbool.h>

/* Counts one allocation; true, and errno is set, if it is one that has to fail. */
bool pw_malloc_must_fail(void);

#endif

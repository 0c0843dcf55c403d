/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Makes a chosen allocation fail. A test that is declared with MALLOC_FAIL is linked so that malloc,
 * calloc, realloc, reallocarray, strdup, strndup, aligned_alloc, posix_memalign and (v)asprintf of
 * the library and of the test itself come through here; what shared libraries allocate does not.
 *
 * The pattern, one failure at each allocation of a scenario in turn:
 *
 *     for (unsigned long n = 1;; n++) {
 *         pw_malloc_fail_at(n);
 *         enum pywatt_status status = scenario();
 *         if (!pw_malloc_fail_disarm()) {
 *             assert_int_equal(status, PYWATT_OK);
 *             break;
 *         }
 *         assert_int_equal(status, PYWATT_NO_MEMORY);
 *     }
 *
 * Any thread may allocate at any time; arm and disarm belong to one thread, the test's own.
 */
#ifndef PW_MALLOC_FAIL_H
#define PW_MALLOC_FAIL_H

#include <stdbool.h>

/* Arms: of the allocations that the calling thread makes from now on, the n-th (from 1) fails. */
void pw_malloc_fail_at(unsigned long n);

/* The same, but the allocations of all threads are counted together. */
void pw_malloc_fail_at_any_thread(unsigned long n);

/* Arms for all threads: the n-th allocation from now on fails, and every one after it. */
void pw_malloc_fail_from(unsigned long n);

/* Disarms; says whether an allocation was made to fail since it was armed. */
bool pw_malloc_fail_disarm(void);

/* Whether an allocation was made to fail since it was armed last. */
bool pw_malloc_fail_fired(void);

/* Number of allocations that were counted since it was armed last. */
unsigned long pw_malloc_fail_count(void);

/*
 * Between the two, allocations of the calling thread are neither counted nor made to fail: for the
 * test's own fakes. They nest.
 */
void pw_malloc_fail_pause(void);
void pw_malloc_fail_resume(void);

#endif

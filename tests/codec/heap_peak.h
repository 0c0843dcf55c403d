/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * heap_peak.h - how much heap the library held at most. Linked with --wrap, so what shared libraries
 * allocate for themselves is not seen; for cJSON, which does, there is nothing to see when decoding.
 */
#ifndef PW_HEAP_PEAK_H
#define PW_HEAP_PEAK_H

#include <stddef.h>

/* Between the two, of the calling thread: the most bytes that were held at once. */
void pw_heap_peak_start(void);
size_t pw_heap_peak_stop(void);

#endif

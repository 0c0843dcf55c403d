/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tool_hints.h - tells Valgrind's Helgrind about C11 atomics, which it takes for plain accesses and
 * so for races. Only debug builds on a machine that has Valgrind's headers carry the hints, and
 * without Valgrind they cost a few instructions; elsewhere they are nothing. ThreadSanitizer needs
 * none of them. Use them for atomics alone: a hint on plain data hides a real race.
 */
#ifndef PW_BASE_TOOL_HINTS_H
#define PW_BASE_TOOL_HINTS_H

#ifdef PW_TOOL_HINTS

#include <valgrind/helgrind.h>

/* `object` is atomic: accesses from several threads are meant. Again whenever it is initialised. */
#define PW_HINT_ATOMIC(object) VALGRIND_HG_DISABLE_CHECKING(&(object), sizeof(object))

/*
 * What this thread did so far happens before what another does after PW_HINT_ACQUIRE of the same
 * address: beside an atomic release and the acquire that reads it. The last drop of a reference
 * count is the usual case: release before the decrement, acquire when it reached zero.
 */
#define PW_HINT_RELEASE(address) ANNOTATE_HAPPENS_BEFORE(address)
#define PW_HINT_ACQUIRE(address) ANNOTATE_HAPPENS_AFTER(address)

#else

#define PW_HINT_ATOMIC(object) ((void)0)
#define PW_HINT_RELEASE(address) ((void)0)
#define PW_HINT_ACQUIRE(address) ((void)0)

#endif

#endif

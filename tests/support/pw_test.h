/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every test program shares: cmocka with the headers it wants first, one way to run a table of
 * cases, patience that knows under which tool the program runs, a watchdog, and helpers that wait
 * for a condition and count open files.
 *
 * Everything here is called from the main thread of a test program, except the two clock functions
 * and pw_test_slow_factor, which any thread may call.
 */
#ifndef PW_TEST_H
#define PW_TEST_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>

/*
 * Runs the cases of a table in order and returns what main returns: 0, or 1 if any failed. The
 * watchdog then knows which case hangs. Group fixtures may be NULL.
 */
#define PW_TEST_RUN(cases) \
    pw_test_run(#cases, (cases), sizeof(cases) / sizeof((cases)[0]), NULL, NULL)
#define PW_TEST_RUN_WITH(cases, setup, teardown) \
    pw_test_run(#cases, (cases), sizeof(cases) / sizeof((cases)[0]), (setup), (teardown))

int pw_test_run(const char *group, const struct CMUnitTest *cases, size_t n_cases,
                CMFixtureFunction setup, CMFixtureFunction teardown);

/*
 * By how much this run is slower than a plain one: 1, or more under a sanitizer or Valgrind. Bounds
 * on time are multiplied by it; never what is asserted to be right. From PYWATT_TEST_SLOW and
 * PYWATT_TEST_TOOL, which the runner sets.
 */
unsigned pw_test_slow_factor(void);

/* The tool under which the program runs ("asan", "tsan", "memcheck", "helgrind"), or "". */
const char *pw_test_tool(void);

/* Monotonic now, and the absolute deadline that lies timeout_ms times the slow factor ahead. */
int64_t pw_test_now_ns(void);
int64_t pw_test_deadline_ns(unsigned timeout_ms);

/*
 * For operations of a client: timeout_ms times the slow factor, but always less than the longest that
 * an orchestrator can make a client wait.
 */
uint32_t pw_test_timeout_ms(uint32_t timeout_ms);

/*
 * Waits until predicate(user) holds; false if it still doesn't after timeout_ms times the slow
 * factor. The only place in the tests that polls.
 */
bool pw_test_wait_until(bool (*predicate)(void *user), void *user, unsigned timeout_ms);

/*
 * Number of open file descriptors of the process. For leak tests: count before, count after,
 * assert that they are equal.
 */
size_t pw_test_open_fds(void);

/*
 * Number of threads of the process: a stopped library has none left. One that was joined is not
 * counted; one that was detached may be for a moment, so compare through pw_test_wait_until.
 */
size_t pw_test_threads(void);

/* A new empty folder for this test, which is removed with its files at exit. Free the string. */
char *pw_test_temp_dir(void);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_cases.h - reads the tables of tests/corpus/json. One thread.
 */
#ifndef PW_JSON_CASES_H
#define PW_JSON_CASES_H

#include "base/bytes.h"

/*
 * Calls `run` for each case of corpus/json/<table>.cases; the text stands in a heap block of exactly
 * its size, so that a tool sees a read behind its end. Returns the number of cases.
 */
size_t pw_json_cases(const char *table,
                     void (*run)(const char *name, struct pw_span text, void *user), void *user);

#endif

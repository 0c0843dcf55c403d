/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * against_cjson.h - our JSON scanner and cJSON, over the same text. What both take has the same values
 * in it. What only cJSON takes is one of its known liberties: numbers that begin or end as JSON has
 * none, control characters in texts and instead of blanks, a byte order mark, bytes that are not
 * UTF-8, \u without four digits; or it is over a limit. What only the scanner takes has a number of
 * more characters than cJSON looks at. Main thread.
 */
#ifndef PW_TESTS_FUZZ_AGAINST_CJSON_H
#define PW_TESTS_FUZZ_AGAINST_CJSON_H

#include "base/bytes.h"

/* `terminated`: the same text with a NUL behind it. */
void fuzz_against_cjson(struct pw_span text, const char *terminated);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sdk_rules.h - what the SDKs demand of a reply before they take it. What stands beside it they
 * ignore. Any thread.
 */
#ifndef PW_TESTS_SDK_RULES_H
#define PW_TESTS_SDK_RULES_H

#include "base/bytes.h"

/* NULL if the SDK would take the reply, else the field that it would stumble over. Static. */
const char *rust_sdk_stumbles_over(struct pw_span payload);
const char *python_sdk_stumbles_over(struct pw_span payload);

#endif

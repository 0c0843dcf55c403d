/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * same.h - whether two messages say the same, wherever their memory is. Any thread.
 */
#ifndef PW_CODEC_SAME_H
#define PW_CODEC_SAME_H

#include "model/message.h"

bool pw_same_request(const struct pw_request *a, const struct pw_request *b);
bool pw_same_response(const struct pw_response *a, const struct pw_response *b);

#endif

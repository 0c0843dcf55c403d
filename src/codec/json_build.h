/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_build.h - the parts of registrations and capabilities, built with cJSON. No state; any
 * thread: cJSON's parser, which has a global, is never called.
 */
#ifndef PW_CODEC_JSON_BUILD_H
#define PW_CODEC_JSON_BUILD_H

#include "codec/json_out.h"

/*
 * Put the object to `out` in its form: what is absent is left out in the Rust form, and null in the
 * Python form. If memory is out, that is the status of `out`.
 */
void pw_json_put_info(struct pw_json_out *out, const struct pywatt_module_info *info);
void pw_json_put_capabilities(struct pw_json_out *out,
                              const struct pywatt_capabilities *capabilities);
void pw_json_put_registration(struct pw_json_out *out,
                              const struct pywatt_registration *registration);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module_info.h - module info as the codecs fill it. No lock: one thread at a time.
 */
#ifndef PW_MODEL_MODULE_INFO_H
#define PW_MODEL_MODULE_INFO_H

#include "base/bytes.h"

#include <pywatt/model.h>

/* As the public functions, for views. */
enum pywatt_status pw_module_info_new(struct pw_str name, struct pw_str version,
                                      struct pw_str description, struct pywatt_module_info **out);
enum pywatt_status pw_module_info_set_metadata(struct pywatt_module_info *info, struct pw_str key,
                                               struct pw_str value);

/* Takes a metadata key out, such as a secret that must not be kept. */
void pw_module_info_remove_metadata(struct pywatt_module_info *info, const char *key);
void pw_module_info_clear_id(struct pywatt_module_info *info);

#endif

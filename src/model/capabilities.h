/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capabilities.h - endpoints and capabilities as the codecs fill them. No lock: one thread at a
 * time.
 */
#ifndef PW_MODEL_CAPABILITIES_H
#define PW_MODEL_CAPABILITIES_H

#include "base/bytes.h"

#include <pywatt/model.h>

/* An endpoint without methods yet. */
enum pywatt_status pw_endpoint_new(struct pw_str path, struct pywatt_endpoint **out);
enum pywatt_status pw_endpoint_add_method(struct pywatt_endpoint *endpoint, struct pw_str method);
enum pywatt_status pw_endpoint_set_auth(struct pywatt_endpoint *endpoint, struct pw_str scheme);
enum pywatt_status pw_endpoint_set_metadata(struct pywatt_endpoint *endpoint, struct pw_str key,
                                            struct pw_str value);

/* Adds `endpoint` itself, which is consumed when PYWATT_OK is returned, else left alone. */
enum pywatt_status pw_capabilities_take_endpoint(struct pywatt_capabilities *capabilities,
                                                 struct pywatt_endpoint *endpoint);
enum pywatt_status pw_capabilities_add_message_type(struct pywatt_capabilities *capabilities,
                                                    struct pw_str message_type);
enum pywatt_status pw_capabilities_set_json(struct pywatt_capabilities *capabilities,
                                            struct pw_str key, struct pw_str json_text);

#endif

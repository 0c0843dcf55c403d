/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * model.h - what is talked about: module info, endpoints, capabilities, health, registrations.
 *
 * All objects are plain data on the heap, reached through getters. They have no lock: one thread
 * at a time may change an object; any number may read one that nobody changes. Nothing blocks.
 *
 * Ownership: what a setter is given is copied, what a getter returns is borrowed from the object
 * and lives until the object is next changed or freed. `*_free` takes NULL. Strings are UTF-8
 * without NUL inside; every setter checks that and the bounds below, and changes nothing when it
 * fails. Setters return PYWATT_OK, PYWATT_INVALID_ARGUMENT (NULL, not UTF-8, empty where a text is
 * needed), PYWATT_LIMIT (a bound below) or PYWATT_NO_MEMORY.
 */
#ifndef PYWATT_MODEL_H
#define PYWATT_MODEL_H

#include <pywatt/export.h>
#include <pywatt/status.h>
#include <pywatt/uuid.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

PYWATT_BEGIN_DECLS

/* Bounds of the model, in bytes without the NUL, or in items. The wire has the same. */
#define PYWATT_NAME_MAX 255
#define PYWATT_VERSION_MAX 255
#define PYWATT_DESCRIPTION_MAX 4096
#define PYWATT_KEY_MAX 255
#define PYWATT_VALUE_MAX 4096
#define PYWATT_MAP_ITEMS_MAX 128
#define PYWATT_PATH_MAX 1024
#define PYWATT_METHOD_MAX 32
#define PYWATT_METHODS_MAX 32
#define PYWATT_ENDPOINTS_MAX 256
#define PYWATT_MESSAGE_TYPES_MAX 256
#define PYWATT_CAPABILITIES_MAX 128
#define PYWATT_ELEMENTS_MAX 16000
#define PYWATT_JSON_VALUE_MAX 16384
#define PYWATT_JSON_DEPTH_MAX 32
#define PYWATT_TOKEN_MAX 512
#define PYWATT_HOST_MAX 255

/* ---- Health ------------------------------------------------------------------------------ */

enum pywatt_health {
    PYWATT_HEALTHY = 0,
    PYWATT_DEGRADED = 1,
    PYWATT_UNHEALTHY = 2
};

/* "Healthy", "Degraded", "Unhealthy", or "Unknown" for any other number. Static. */
PYWATT_API const char *pywatt_health_name(enum pywatt_health health);

/*
 * Reads a name of a health status in any case, as both SDKs spell it. `text` is borrowed.
 * PYWATT_OK or PYWATT_INVALID_ARGUMENT, and then *out is not touched.
 */
PYWATT_API enum pywatt_status pywatt_health_parse(const char *text, enum pywatt_health *out);

/* ---- String map: metadata, details, context, env ------------------------------------------ */

struct pywatt_string_map;

/* An empty map that the caller owns, or NULL when memory is out. */
PYWATT_API struct pywatt_string_map *pywatt_string_map_new(void);
PYWATT_API void pywatt_string_map_free(struct pywatt_string_map *map);

/* Sets `key` to `value`, both copied; a key that is there gets the new value in its place. */
PYWATT_API enum pywatt_status pywatt_string_map_set(struct pywatt_string_map *map, const char *key,
                                                    const char *value);

/* The value, borrowed, or NULL if there is no such key. */
PYWATT_API const char *pywatt_string_map_get(const struct pywatt_string_map *map, const char *key);

/* Takes a key out; nothing happens if it is not there. */
PYWATT_API void pywatt_string_map_remove(struct pywatt_string_map *map, const char *key);

/* Takes all keys out, and keeps the memory for the next ones. */
PYWATT_API void pywatt_string_map_clear(struct pywatt_string_map *map);

/* How many keys there are; 0 for NULL. */
PYWATT_API size_t pywatt_string_map_count(const struct pywatt_string_map *map);

/*
 * The key and the value at `index`, in the order in which the keys were first set; both borrowed.
 * False, and nothing stored, when there is no such index.
 */
PYWATT_API bool pywatt_string_map_at(const struct pywatt_string_map *map, size_t index,
                                     const char **key, const char **value);

/* Same keys with the same values, in any order. NULL equals an empty map. */
PYWATT_API bool pywatt_string_map_equal(const struct pywatt_string_map *a,
                                        const struct pywatt_string_map *b);

/* ---- Module info -------------------------------------------------------------------------- */

struct pywatt_module_info;

/*
 * Basic facts of a module; the three texts are copied. On success *out is the caller's, to be
 * freed with pywatt_module_info_free. `name` must not be empty. Statuses as at the top.
 */
PYWATT_API enum pywatt_status pywatt_module_info_new(const char *name, const char *version,
                                                     const char *description,
                                                     struct pywatt_module_info **out);
PYWATT_API void pywatt_module_info_free(struct pywatt_module_info *info);

/* A deep copy that the caller owns. PYWATT_OK, PYWATT_INVALID_ARGUMENT or PYWATT_NO_MEMORY. */
PYWATT_API enum pywatt_status pywatt_module_info_copy(const struct pywatt_module_info *info,
                                                      struct pywatt_module_info **out);
PYWATT_API bool pywatt_module_info_equal(const struct pywatt_module_info *a,
                                         const struct pywatt_module_info *b);

/* Asks for this id at registration, so that a module keeps it over restarts. Not nil. */
PYWATT_API enum pywatt_status pywatt_module_info_set_id(struct pywatt_module_info *info,
                                                        const struct pywatt_uuid *id);
PYWATT_API enum pywatt_status pywatt_module_info_set_metadata(struct pywatt_module_info *info,
                                                              const char *key, const char *value);

/* The texts that `info` was made with, borrowed from it. */
PYWATT_API const char *pywatt_module_info_name(const struct pywatt_module_info *info);
PYWATT_API const char *pywatt_module_info_version(const struct pywatt_module_info *info);
PYWATT_API const char *pywatt_module_info_description(const struct pywatt_module_info *info);

/* The id, borrowed, or NULL if none was set. */
PYWATT_API const struct pywatt_uuid *pywatt_module_info_id(const struct pywatt_module_info *info);

/* The metadata, borrowed; NULL if there is none. */
PYWATT_API const struct pywatt_string_map *
pywatt_module_info_metadata(const struct pywatt_module_info *info);

/* ---- Endpoint ----------------------------------------------------------------------------- */

struct pywatt_endpoint;

/*
 * An HTTP endpoint: `path` and the `method_count` strings of `methods` are copied. `path` must not
 * be empty, nor a method. On success *out is the caller's. Statuses as at the top.
 */
PYWATT_API enum pywatt_status pywatt_endpoint_new(const char *path, const char *const *methods,
                                                  size_t method_count,
                                                  struct pywatt_endpoint **out);
PYWATT_API void pywatt_endpoint_free(struct pywatt_endpoint *endpoint);
PYWATT_API enum pywatt_status pywatt_endpoint_copy(const struct pywatt_endpoint *endpoint,
                                                   struct pywatt_endpoint **out);
PYWATT_API bool pywatt_endpoint_equal(const struct pywatt_endpoint *a,
                                      const struct pywatt_endpoint *b);

/* Names the authentication scheme, such as "Bearer", in up to PYWATT_NAME_MAX bytes. */
PYWATT_API enum pywatt_status pywatt_endpoint_set_auth(struct pywatt_endpoint *endpoint,
                                                       const char *auth_scheme);
PYWATT_API enum pywatt_status pywatt_endpoint_set_metadata(struct pywatt_endpoint *endpoint,
                                                           const char *key, const char *value);

/* The path, borrowed from `endpoint`, and how many methods it has. */
PYWATT_API const char *pywatt_endpoint_path(const struct pywatt_endpoint *endpoint);
PYWATT_API size_t pywatt_endpoint_method_count(const struct pywatt_endpoint *endpoint);

/* The method at `index`, borrowed, or NULL when there is no such index. */
PYWATT_API const char *pywatt_endpoint_method(const struct pywatt_endpoint *endpoint, size_t index);

/* The scheme, or NULL if none was set. */
PYWATT_API const char *pywatt_endpoint_auth(const struct pywatt_endpoint *endpoint);
PYWATT_API const struct pywatt_string_map *
pywatt_endpoint_metadata(const struct pywatt_endpoint *endpoint);

/* ---- Capabilities ------------------------------------------------------------------------- */

/*
 * Besides the bounds of its parts, a set of capabilities has at most PYWATT_ELEMENTS_MAX elements, so
 * that it fits into a message: 9 for an endpoint, 1 for each of its methods, 3 for each pair of its
 * metadata, 1 for a message type, and 2 for an additional capability, with 1 for each value and key in
 * it. Its bytes are bounded when it is sent, by the option max_frame_bytes.
 */
struct pywatt_capabilities;

/* An empty set that the caller owns, or NULL when memory is out. */
PYWATT_API struct pywatt_capabilities *pywatt_capabilities_new(void);
PYWATT_API void pywatt_capabilities_free(struct pywatt_capabilities *capabilities);
PYWATT_API enum pywatt_status pywatt_capabilities_copy(const struct pywatt_capabilities *from,
                                                       struct pywatt_capabilities **out);

/* Same endpoints and message types in the same order, same additional capabilities in any. */
PYWATT_API bool pywatt_capabilities_equal(const struct pywatt_capabilities *a,
                                          const struct pywatt_capabilities *b);

/* pywatt_endpoint_new and pywatt_capabilities_add_endpoint in one. */
PYWATT_API enum pywatt_status
pywatt_capabilities_add_http_endpoint(struct pywatt_capabilities *capabilities, const char *path,
                                      const char *const *methods, size_t method_count);

/* Adds a copy of `endpoint`. */
PYWATT_API enum pywatt_status
pywatt_capabilities_add_endpoint(struct pywatt_capabilities *capabilities,
                                 const struct pywatt_endpoint *endpoint);

/* Adds a message type, of up to PYWATT_NAME_MAX bytes. */
PYWATT_API enum pywatt_status
pywatt_capabilities_add_message_type(struct pywatt_capabilities *capabilities,
                                     const char *message_type);

/*
 * Sets an additional capability to any JSON value, given as its text (`"true"`, `"[1,2]"`,
 * `"\"text\""`). The text is checked (RFC 8259, UTF-8, no lone surrogate escape, depth of
 * PYWATT_JSON_DEPTH_MAX) and copied without the white space between its tokens, else as it is
 * spelled: numbers, escapes, the order of members, and members that stand twice. PYWATT_JSON_VALUE_MAX
 * bounds what is stored; with white space the text may have four times as much. A key that is there
 * gets the new value. PYWATT_SERIALIZATION if `json_text` is not one JSON value, else the statuses at
 * the top.
 */
PYWATT_API enum pywatt_status
pywatt_capabilities_set_capability(struct pywatt_capabilities *capabilities, const char *key,
                                   const char *json_text);

/*
 * Makes capabilities of `len` bytes of JSON, of the form in which they stand in a request:
 *
 *   {"endpoints": [{"path": "/x", "methods": ["GET"], "auth": "Bearer", "metadata": {"k": "v"}}],
 *    "message_types": ["resize"], "additional_capabilities": {"gpu": true}}
 *
 * Every part may be missing or null; one that is not known is refused, so that a misspelt one is not
 * lost in silence. Additional capabilities are stored as pywatt_capabilities_set_capability does. On
 * success *out is the caller's. PYWATT_OK; PYWATT_INVALID_ARGUMENT (NULL); PYWATT_SERIALIZATION (not
 * JSON, or not of this form); PYWATT_LIMIT (a bound above, or more than fits into a request);
 * PYWATT_NO_MEMORY. `error`, which may be NULL, says which field it is, or at which byte.
 */
PYWATT_API enum pywatt_status pywatt_capabilities_parse(const char *json_text, size_t len,
                                                        struct pywatt_capabilities **out,
                                                        struct pywatt_error *error);

/*
 * What was added, in the order of adding. What they return is borrowed from `capabilities`, and NULL
 * when there is no such index.
 */
PYWATT_API size_t
pywatt_capabilities_endpoint_count(const struct pywatt_capabilities *capabilities);
PYWATT_API const struct pywatt_endpoint *
pywatt_capabilities_endpoint(const struct pywatt_capabilities *capabilities, size_t index);
PYWATT_API size_t
pywatt_capabilities_message_type_count(const struct pywatt_capabilities *capabilities);
PYWATT_API const char *
pywatt_capabilities_message_type(const struct pywatt_capabilities *capabilities, size_t index);

/* The JSON text of an additional capability, or NULL if there is no such key. */
PYWATT_API const char *
pywatt_capabilities_capability(const struct pywatt_capabilities *capabilities, const char *key);

/* All additional capabilities, key to JSON text; borrowed, NULL if there is none. */
PYWATT_API const struct pywatt_string_map *
pywatt_capabilities_additional(const struct pywatt_capabilities *capabilities);

/* ---- Registration: what an orchestrator said when it registered a module ------------------- */

/* Immutable once it is handed out; owned by reference count, from any thread. */
struct pywatt_registration;

/* Takes one more reference, and returns `registration`. NULL stays NULL. */
PYWATT_API struct pywatt_registration *
pywatt_registration_acquire(struct pywatt_registration *registration);

/* Gives a reference back; the last one frees. NULL is allowed. */
PYWATT_API void pywatt_registration_release(struct pywatt_registration *registration);

/* The id of the module, borrowed from `registration`. */
PYWATT_API const struct pywatt_uuid *
pywatt_registration_id(const struct pywatt_registration *registration);

/* The module's secret: never log it. */
PYWATT_API const char *pywatt_registration_token(const struct pywatt_registration *registration);
PYWATT_API const struct pywatt_module_info *
pywatt_registration_info(const struct pywatt_registration *registration);
PYWATT_API const char *
pywatt_registration_orchestrator_host(const struct pywatt_registration *registration);
PYWATT_API uint16_t
pywatt_registration_orchestrator_port(const struct pywatt_registration *registration);

/* Environment that the orchestrator hands to the module; NULL if there is none. */
PYWATT_API const struct pywatt_string_map *
pywatt_registration_env(const struct pywatt_registration *registration);

/* Additional data, key to JSON text; NULL if there is none. */
PYWATT_API const struct pywatt_string_map *
pywatt_registration_additional_data(const struct pywatt_registration *registration);

/* From the additional data; 0 where the orchestrator said nothing. */
PYWATT_API uint64_t pywatt_registration_generation(const struct pywatt_registration *registration);
PYWATT_API uint64_t pywatt_registration_lease_ms(const struct pywatt_registration *registration);
PYWATT_API uint64_t
pywatt_registration_heartbeat_interval_ms(const struct pywatt_registration *registration);

PYWATT_END_DECLS

#endif

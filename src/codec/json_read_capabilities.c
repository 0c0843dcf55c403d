/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_read_capabilities.c - endpoints and capabilities out of a scanned JSON text. No state; any
 * thread.
 */
#include "codec/json_read.h"

#include "base/error.h"
#include "model/capabilities.h"

/* ---- Arrays ------------------------------------------------------------------------------- */

/* Reads one item of an array into `target`. */
typedef enum pywatt_status (*item_reader)(const struct pw_json_doc *doc,
                                          const struct pw_json_place *item, uint32_t token,
                                          void *target);

static enum pywatt_status read_array(const struct pw_json_doc *doc, const struct pw_json_place *in,
                                     const char *name, uint32_t token, item_reader read,
                                     void *target)
{
    enum pywatt_status status = pw_json_expect(doc, in, name, token, PW_JSON_ARRAY);
    if (status != PYWATT_OK) {
        return status;
    }
    const struct pw_json_place here = {.in = in, .name = name};
    struct pw_json_place item = {.in = &here};
    const uint32_t end = doc->tokens[token].next;
    for (uint32_t at = token + 1; at < end && status == PYWATT_OK; at = doc->tokens[at].next) {
        status = read(doc, &item, at, target);
        item.index++;
    }
    return status;
}

/* ---- Endpoint ----------------------------------------------------------------------------- */

enum endpoint_field {
    ENDPOINT_PATH,
    ENDPOINT_METHODS,
    ENDPOINT_SCHEME,
    ENDPOINT_METADATA,
    ENDPOINT_FIELDS
};

static const struct pw_str endpoint_keys[ENDPOINT_FIELDS] = {
    [ENDPOINT_PATH] = PW_JSON_KEY("path"),
    [ENDPOINT_METHODS] = PW_JSON_KEY("methods"),
    [ENDPOINT_SCHEME] = PW_JSON_KEY("auth"),
    [ENDPOINT_METADATA] = PW_JSON_KEY("metadata"),
};

static enum pywatt_status read_method(const struct pw_json_doc *doc,
                                      const struct pw_json_place *item, uint32_t token,
                                      void *endpoint)
{
    struct pw_str method;
    enum pywatt_status status = pw_json_text(doc, item, NULL, token, &method);
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, item, NULL, pw_endpoint_add_method(endpoint, method));
    }
    return status;
}

/* Errors do not call the field by its name, which means something to peers that read the text. */
static enum pywatt_status read_scheme(const struct pw_json_doc *doc,
                                      const struct pw_json_place *here, uint32_t token,
                                      struct pywatt_endpoint *endpoint)
{
    struct pw_str scheme;
    enum pywatt_status status = pw_json_text(doc, here, "scheme", token, &scheme);
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, here, "scheme", pw_endpoint_set_auth(endpoint, scheme));
    }
    return status;
}

static enum pywatt_status set_endpoint_metadata(void *endpoint, struct pw_str key,
                                                struct pw_str value)
{
    return pw_endpoint_set_metadata(endpoint, key, value);
}

static const struct pywatt_string_map *get_endpoint_metadata(const void *endpoint)
{
    return pywatt_endpoint_metadata(endpoint);
}

static const struct pw_json_map endpoint_metadata = {.set = set_endpoint_metadata,
                                                     .get = get_endpoint_metadata};

static enum pywatt_status fill_endpoint(const struct pw_json_doc *doc,
                                        const struct pw_json_place *here,
                                        const uint32_t fields[ENDPOINT_FIELDS],
                                        struct pywatt_endpoint *endpoint)
{
    enum pywatt_status status =
        read_array(doc, here, "methods", fields[ENDPOINT_METHODS], read_method, endpoint);
    if (status == PYWATT_OK && fields[ENDPOINT_SCHEME] != PW_JSON_ABSENT) {
        status = read_scheme(doc, here, fields[ENDPOINT_SCHEME], endpoint);
    }
    if (status == PYWATT_OK && fields[ENDPOINT_METADATA] != PW_JSON_ABSENT) {
        status = pw_json_read_entries(doc, here, "metadata", fields[ENDPOINT_METADATA],
                                      &endpoint_metadata, endpoint);
    }
    return status;
}

static enum pywatt_status read_endpoint(const struct pw_json_doc *doc,
                                        const struct pw_json_place *item, uint32_t token,
                                        void *capabilities)
{
    enum pywatt_status status = pw_json_expect(doc, item, NULL, token, PW_JSON_OBJECT);
    if (status != PYWATT_OK) {
        return status;
    }
    uint32_t fields[ENDPOINT_FIELDS];
    struct pw_str path;
    struct pywatt_endpoint *endpoint = NULL;
    pw_json_find(doc, token, endpoint_keys, ENDPOINT_FIELDS, fields);
    status = pw_json_text(doc, item, "path", fields[ENDPOINT_PATH], &path);
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, item, "path", pw_endpoint_new(path, &endpoint));
    }
    if (status == PYWATT_OK) {
        status = fill_endpoint(doc, item, fields, endpoint);
    }
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, item, NULL,
                                    pw_capabilities_take_endpoint(capabilities, endpoint));
    }
    if (status != PYWATT_OK) {
        pywatt_endpoint_free(endpoint);
    }
    return status;
}

/* ---- Capabilities ------------------------------------------------------------------------- */

enum capabilities_field {
    ENDPOINTS,
    MESSAGE_TYPES,
    ADDITIONAL,
    CAPABILITIES_FIELDS
};

static const struct pw_str capabilities_keys[CAPABILITIES_FIELDS] = {
    [ENDPOINTS] = PW_JSON_KEY("endpoints"),
    [MESSAGE_TYPES] = PW_JSON_KEY("message_types"),
    [ADDITIONAL] = PW_JSON_KEY("additional_capabilities"),
};

static enum pywatt_status read_message_type(const struct pw_json_doc *doc,
                                            const struct pw_json_place *item, uint32_t token,
                                            void *capabilities)
{
    struct pw_str type;
    enum pywatt_status status = pw_json_text(doc, item, NULL, token, &type);
    if (status == PYWATT_OK) {
        status = pw_json_from_model(doc, item, NULL,
                                    pw_capabilities_add_message_type(capabilities, type));
    }
    return status;
}

static enum pywatt_status set_additional(void *capabilities, struct pw_str key,
                                         struct pw_str json_text)
{
    return pw_capabilities_set_json(capabilities, key, json_text);
}

static const struct pywatt_string_map *get_additional(const void *capabilities)
{
    return pywatt_capabilities_additional(capabilities);
}

static const struct pw_json_map additional_map = {.set = set_additional,
                                                  .get = get_additional,
                                                  .any_json = true};

static enum pywatt_status fill_capabilities(const struct pw_json_doc *doc,
                                            const struct pw_json_place *here,
                                            const uint32_t fields[CAPABILITIES_FIELDS],
                                            struct pywatt_capabilities *capabilities)
{
    enum pywatt_status status = PYWATT_OK;
    if (fields[ENDPOINTS] != PW_JSON_ABSENT) {
        status = read_array(doc, here, "endpoints", fields[ENDPOINTS], read_endpoint, capabilities);
    }
    if (status == PYWATT_OK && fields[MESSAGE_TYPES] != PW_JSON_ABSENT) {
        status = read_array(doc, here, "message_types", fields[MESSAGE_TYPES], read_message_type,
                            capabilities);
    }
    if (status == PYWATT_OK && fields[ADDITIONAL] != PW_JSON_ABSENT) {
        status = pw_json_read_entries(doc, here, "additional_capabilities", fields[ADDITIONAL],
                                      &additional_map, capabilities);
    }
    return status;
}

/* `here` is the object, NULL for the root. */
static enum pywatt_status make_capabilities(const struct pw_json_doc *doc,
                                            const struct pw_json_place *here,
                                            const uint32_t fields[CAPABILITIES_FIELDS],
                                            struct pywatt_capabilities **out)
{
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    if (capabilities == NULL) {
        return pw_error_no_memory(doc->error);
    }
    const enum pywatt_status status = fill_capabilities(doc, here, fields, capabilities);
    if (status != PYWATT_OK) {
        pywatt_capabilities_free(capabilities);
        return status;
    }
    *out = capabilities;
    return PYWATT_OK;
}

enum pywatt_status pw_json_read_capabilities(const struct pw_json_doc *doc,
                                             const struct pw_json_place *in, const char *name,
                                             uint32_t token, struct pywatt_capabilities **out)
{
    enum pywatt_status status = pw_json_expect(doc, in, name, token, PW_JSON_OBJECT);
    if (status != PYWATT_OK) {
        return status;
    }
    const struct pw_json_place here = {.in = in, .name = name};
    uint32_t fields[CAPABILITIES_FIELDS];
    pw_json_find(doc, token, capabilities_keys, CAPABILITIES_FIELDS, fields);
    status = pw_json_expect(doc, &here, "endpoints", fields[ENDPOINTS], PW_JSON_ARRAY);
    return status == PYWATT_OK ? make_capabilities(doc, &here, fields, out) : status;
}

/* ---- As a person writes them -------------------------------------------------------------- */

static bool is_one_of(const struct pw_json_doc *doc, const struct pw_json_token *key,
                      const struct pw_str *keys, size_t count)
{
    const struct pw_str raw = pw_json_raw(doc->text, key);
    size_t i = 0;
    while (i < count && !pw_json_key_is(raw, key->escaped, keys[i])) {
        i++;
    }
    return i < count;
}

static enum pywatt_status expect_members(const struct pw_json_doc *doc,
                                         const struct pw_json_place *here, uint32_t object,
                                         const struct pw_str *keys, size_t count, const char *what)
{
    const uint32_t end = doc->tokens[object].next;
    for (uint32_t key = object + 1; key < end; key = doc->tokens[key + 1].next) {
        if (!is_one_of(doc, &doc->tokens[key], keys, count)) {
            return pw_json_wrong(doc, here, NULL, PYWATT_SERIALIZATION, what);
        }
    }
    return PYWATT_OK;
}

static enum pywatt_status expect_endpoint_members(const struct pw_json_doc *doc,
                                                  const struct pw_json_place *item, uint32_t token,
                                                  void *nothing)
{
    (void)nothing;
    enum pywatt_status status = pw_json_expect(doc, item, NULL, token, PW_JSON_OBJECT);
    if (status == PYWATT_OK) {
        status = expect_members(doc, item, token, endpoint_keys, ENDPOINT_FIELDS,
                                "has more than path, methods, auth and metadata");
    }
    return status;
}

enum pywatt_status pw_json_read_written_capabilities(const struct pw_json_doc *doc,
                                                     struct pywatt_capabilities **out)
{
    static const struct pw_json_place root = {.name = "the object"};
    uint32_t fields[CAPABILITIES_FIELDS];
    enum pywatt_status status =
        expect_members(doc, &root, 0, capabilities_keys, CAPABILITIES_FIELDS,
                       "has more than endpoints, message_types and additional_capabilities");
    pw_json_find(doc, 0, capabilities_keys, CAPABILITIES_FIELDS, fields);
    if (status == PYWATT_OK && fields[ENDPOINTS] != PW_JSON_ABSENT) {
        status =
            read_array(doc, NULL, "endpoints", fields[ENDPOINTS], expect_endpoint_members, NULL);
    }
    return status == PYWATT_OK ? make_capabilities(doc, NULL, fields, out) : status;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sdk_rules.c - see the header. Reads with cJSON, whose opinion of JSON is the SDKs' more than that
 * of the library's own scanner. No state.
 */
#include "sdk_rules.h"

#include <pywatt/uuid.h>

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <string.h>

/* How the two spell the same thing. */
struct spelling {
    const char *types[4];
    const char *health[3];
};

static const struct spelling rust = {
    .types = {"register", "unregister", "heartbeat", "capabilities"},
    .health = {"Healthy", "Degraded", "Unhealthy"},
};
static const struct spelling python = {
    .types = {"registration", "unregistration", "heartbeat", "capabilities"},
    .health = {"healthy", "degraded", "unhealthy"},
};

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool has_text(const cJSON *object, const char *key)
{
    return cJSON_IsString(get(object, key));
}

static bool is_one_of(const cJSON *item, const char *const *words, size_t count)
{
    for (size_t i = 0; cJSON_IsString(item) && i < count; i++) {
        if (strcmp(item->valuestring, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_uuid(const cJSON *item)
{
    struct pywatt_uuid uuid;
    return cJSON_IsString(item) && pywatt_uuid_parse(item->valuestring, &uuid) == PYWATT_OK;
}

static bool is_ip_literal(const cJSON *item)
{
    struct in6_addr address;
    return cJSON_IsString(item) && (inet_pton(AF_INET, item->valuestring, &address) == 1 ||
                                    inet_pton(AF_INET6, item->valuestring, &address) == 1);
}

static bool is_port(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 65535 &&
           item->valuedouble == (double)item->valueint;
}

static bool is_absent(const cJSON *item)
{
    return item == NULL || cJSON_IsNull(item);
}

static const char *module_fault(const cJSON *module)
{
    const cJSON *info = get(module, "info");
    if (!cJSON_IsObject(module)) {
        return "module";
    }
    if (!has_text(info, "name") || !has_text(info, "version") || !has_text(info, "description")) {
        return "module.info";
    }
    if (!is_uuid(get(module, "id"))) {
        return "module.id";
    }
    if (!has_text(module, "token")) {
        return "module.token";
    }
    if (!is_ip_literal(get(module, "orchestrator_host"))) {
        return "module.orchestrator_host";
    }
    return is_port(get(module, "orchestrator_port")) ? NULL : "module.orchestrator_port";
}

static const char *reply_fault(const cJSON *reply, const struct spelling *spelling)
{
    const cJSON *type = get(reply, "response_type");
    const cJSON *success = get(reply, "success");
    const cJSON *error = get(reply, "error");
    if (!is_one_of(type, spelling->types, 4)) {
        return "response_type";
    }
    if (!cJSON_IsBool(success)) {
        return "success";
    }
    if (!is_absent(error) && !cJSON_IsString(error)) {
        return "error";
    }
    if (strcmp(type->valuestring, "heartbeat") == 0) {
        const cJSON *context = get(reply, "context");
        return !is_one_of(get(reply, "status"), spelling->health, 3) ? "status"
               : is_absent(context) || cJSON_IsObject(context)       ? NULL
                                                                     : "context";
    }
    if (strcmp(type->valuestring, spelling->types[0]) == 0) {
        const cJSON *module = get(reply, "module");
        return is_absent(module) && cJSON_IsFalse(success) ? NULL : module_fault(module);
    }
    return NULL;
}

const char *rust_sdk_stumbles_over(struct pw_span payload)
{
    cJSON *reply = cJSON_ParseWithLength((const char *)payload.data, payload.len);
    const char *fault = cJSON_IsObject(reply) ? reply_fault(reply, &rust) : "the whole of it";
    cJSON_Delete(reply);
    return fault;
}

const char *python_sdk_stumbles_over(struct pw_span payload)
{
    cJSON *message = cJSON_ParseWithLength((const char *)payload.data, payload.len);
    const char *fault = !has_text(message, "id")                    ? "id"
                        : !cJSON_IsObject(get(message, "metadata")) ? "metadata"
                        : !cJSON_IsObject(get(message, "content"))
                            ? "content"
                            : reply_fault(get(message, "content"), &python);
    cJSON_Delete(message);
    return fault;
}

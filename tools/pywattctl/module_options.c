/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See module_options.h. */
#include "pywattctl/module_options.h"

#include "common/parse.h"
#include "pywattctl/common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The metadata key with which a module asks for a lease. */
#define METADATA_LEASE "lease_ms"

const struct tool_option ctl_module_options_table[] = {
    {"name", KEY_NAME, "NAME", "the module's name, unique at an orchestrator"},
    {"version", KEY_VERSION, "TEXT", "its version (default 0)"},
    {"description", KEY_DESCRIPTION, "TEXT", "what it is (default: nothing)"},
    {"id", KEY_MODULE_ID, "UUID", "the id to register it with (default: a new one)"},
    {"metadata", KEY_METADATA, "KEY=VALUE", "a fact about it; may be given several times"},
    {"lease", KEY_LEASE, "MS", "the lease to ask for (default: the orchestrator's)"},
    {"join-token-file", KEY_JOIN_TOKEN, "FILE",
     "the join token, on the first line of FILE, without which\nsome orchestrators register nobody"},
    {NULL, 0, NULL, NULL},
};

void ctl_module_options_init(struct ctl_module_options *options)
{
    memset(options, 0, sizeof(*options));
    options->version = "0";
    options->description = "";
}

void ctl_module_options_clear(struct ctl_module_options *options)
{
    pywatt_string_map_free(options->metadata);
    options->metadata = NULL;
}

/* What a setter of the model said about the value of an option. */
static int setter_failed(const char *option, const char *value, enum pywatt_status status)
{
    if (status == PYWATT_NO_MEMORY) {
        return tool_fail(TOOL_EXIT_OTHER, status, "--%s: out of memory", option);
    }
    return tool_usage_error("--%s: '%.80s': %s", option, value,
                            status == PYWATT_LIMIT ? "too long, or too many of them"
                                                   : "not valid UTF-8, or empty");
}

int ctl_add_pair(const char *option, const char *text, struct pywatt_string_map **map)
{
    char *key = NULL;
    const char *value = NULL;
    int bad = tool_parse_pair(option, text, &key, &value);

    if (bad != 0) {
        return bad;
    }
    if (*map == NULL) {
        *map = pywatt_string_map_new();
    }
    enum pywatt_status status =
        *map != NULL ? pywatt_string_map_set(*map, key, value) : PYWATT_NO_MEMORY;
    free(key);
    return status == PYWATT_OK ? 0 : setter_failed(option, text, status);
}

static int set_lease(struct ctl_module_options *options, const char *value)
{
    uint64_t lease_ms = 0;
    char pair[64];
    int bad = tool_parse_time_ms("lease", value, 1, UINT32_MAX, &lease_ms);

    if (bad != 0) {
        return bad;
    }
    snprintf(pair, sizeof(pair), METADATA_LEASE "=%" PRIu64, lease_ms);
    return ctl_add_pair("lease", pair, &options->metadata);
}

static int add_metadata(struct ctl_module_options *options, const char *value)
{
    static const char secret[] = CTL_METADATA_JOIN_TOKEN "=";

    if (strncmp(value, secret, sizeof(secret) - 1) == 0) {
        return tool_usage_error("--metadata: everybody on this machine can read a command line; "
                                "give the join token with --join-token-file");
    }
    return ctl_add_pair("metadata", value, &options->metadata);
}

int ctl_module_options_set(struct ctl_module_options *options, int key, const char *value)
{
    switch (key) {
    case KEY_NAME: options->name = value; return 0;
    case KEY_VERSION: options->version = value; return 0;
    case KEY_DESCRIPTION: options->description = value; return 0;
    case KEY_MODULE_ID:
        options->has_id = true;
        return pywatt_uuid_parse(value, &options->id) == PYWATT_OK &&
                       !pywatt_uuid_is_nil(&options->id)
                   ? 0
                   : tool_usage_error("--id: '%s' is not a UUID", value);
    case KEY_METADATA: return add_metadata(options, value);
    case KEY_JOIN_TOKEN: options->join_token_file = value; return 0;
    default: return set_lease(options, value);
    }
}

int ctl_module_options_info(const struct ctl_module_options *options,
                            struct pywatt_module_info **out)
{
    struct pywatt_module_info *info = NULL;
    const char *key = NULL;
    const char *value = NULL;

    if (options->name == NULL) {
        return tool_usage_error("--name is needed");
    }
    enum pywatt_status status =
        pywatt_module_info_new(options->name, options->version, options->description, &info);
    if (status != PYWATT_OK) {
        return setter_failed("name, --version or --description", options->name, status);
    }
    if (options->has_id) {
        status = pywatt_module_info_set_id(info, &options->id);
    }
    for (size_t i = 0;
         status == PYWATT_OK && pywatt_string_map_at(options->metadata, i, &key, &value); i++) {
        status = pywatt_module_info_set_metadata(info, key, value);
    }
    int code = 0;
    if (status != PYWATT_OK) {
        code = tool_fail(ctl_exit_code(status), status, "the module's description: %s",
                         pywatt_status_text(status));
    } else {
        code = ctl_module_options_join(options, info);
    }
    if (code != 0) {
        pywatt_module_info_free(info);
        return code;
    }
    *out = info;
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See capability_options.h. */
#include "pywattctl/capability_options.h"

#include "common/parse.h"
#include "pywattctl/common.h"

#include <stdlib.h>
#include <string.h>

const struct tool_option ctl_capability_options_table[] = {
    {"http", KEY_HTTP, "\"METHODS PATH\"",
     "an HTTP endpoint, such as \"GET,POST /items\";\nmay be given several times"},
    {"message-type", KEY_MESSAGE_TYPE, "TYPE",
     "a message type it handles; may be given several times"},
    {"capability", KEY_CAPABILITY, "KEY=JSON",
     "a further capability, with any JSON value;\nmay be given several times"},
    {"file", KEY_FILE, "FILE",
     "a JSON object with endpoints, message_types and\nadditional_capabilities; - reads standard "
     "input"},
    {NULL, 0, NULL, NULL},
};

/* What a setter of the model said about the value of an option. Returns 0 or an exit code. */
static int refused(const char *where, const char *value, enum pywatt_status status)
{
    switch (status) {
    case PYWATT_OK: return 0;
    case PYWATT_NO_MEMORY: return tool_fail(TOOL_EXIT_OTHER, status, "%s: out of memory", where);
    case PYWATT_LIMIT:
        return tool_usage_error("%s: '%.80s': too long, or too many of them", where, value);
    case PYWATT_SERIALIZATION:
        return tool_usage_error("%s: '%.80s' is not a JSON value", where, value);
    default: return tool_usage_error("%s: '%.80s': not valid UTF-8, or empty", where, value);
    }
}

/* Takes "GET,POST /path" apart in a copy of its own. */
static int add_http(struct pywatt_capabilities *capabilities, const char *value)
{
    const char *methods[PYWATT_METHODS_MAX];
    size_t count = 0;
    char *copy = strdup(value);
    char *path = copy != NULL ? strchr(copy, ' ') : NULL;
    enum pywatt_status status = PYWATT_NO_MEMORY;

    if (copy != NULL && (path == NULL || path == copy || strchr(path + 1, ' ') != NULL)) {
        free(copy);
        return tool_usage_error("--http: '%s' is not of the form \"GET,POST /path\"", value);
    }
    if (copy != NULL) {
        *path++ = '\0';
        status = PYWATT_OK;
        for (char *rest = copy, *word; (word = strsep(&rest, ",")) != NULL;) {
            if (count == PYWATT_METHODS_MAX) {
                status = PYWATT_LIMIT;
                break;
            }
            methods[count++] = word;
        }
    }
    if (status == PYWATT_OK) {
        status = pywatt_capabilities_add_http_endpoint(capabilities, path, methods, count);
    }
    free(copy);
    return refused("--http", value, status);
}

static int add_capability(struct pywatt_capabilities *capabilities, const char *text)
{
    char *key = NULL;
    const char *value = NULL;
    int bad = tool_parse_pair("capability", text, &key, &value);

    if (bad != 0) {
        return bad;
    }
    enum pywatt_status status = pywatt_capabilities_set_capability(capabilities, key, value);
    free(key);
    if (status == PYWATT_SERIALIZATION) {
        return tool_usage_error("--capability: '%s': what stands after '=' is not a JSON value "
                                "(a text needs its quotes: '\"text\"')",
                                text);
    }
    return refused("--capability", text, status);
}

int ctl_capability_options_set(struct pywatt_capabilities **capabilities, int key,
                               const char *value)
{
    if (*capabilities == NULL) {
        *capabilities = pywatt_capabilities_new();
    }
    if (*capabilities == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    switch (key) {
    case KEY_HTTP: return add_http(*capabilities, value);
    case KEY_MESSAGE_TYPE:
        return refused("--message-type", value,
                       pywatt_capabilities_add_message_type(*capabilities, value));
    case KEY_CAPABILITY: return add_capability(*capabilities, value);
    default: return ctl_capability_file(*capabilities, value);
    }
}

void ctl_record_capabilities(struct ctl_record *record,
                             const struct pywatt_capabilities *capabilities)
{
    ctl_record_number(record, "endpoints", pywatt_capabilities_endpoint_count(capabilities));
    ctl_record_number(record, "message_types",
                      pywatt_capabilities_message_type_count(capabilities));
    ctl_record_number(record, "additional_capabilities",
                      pywatt_string_map_count(pywatt_capabilities_additional(capabilities)));
}
